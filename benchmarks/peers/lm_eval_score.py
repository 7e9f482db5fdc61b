"""The peer's side of `benchmarks choices`: lm-evaluation-harness's loglikelihood, run in its own environment.

Reads one JSON line {folder, dtype, threads, batch, pairs}, answers {"ready": true}; then for each further line answers
{"seconds", "totals"} of scoring all pairs once.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Serve one benchmark."""
    out = sys.stdout
    sys.stdout = sys.stderr  # the peer prints
    job = json.loads(sys.stdin.readline())
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(job["threads"])
    model = HFLM(pretrained=job["folder"], dtype=job["dtype"], device="cpu", batch_size=job["batch"])
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(context, continuation), idx=i)
        for i, (context, continuation) in enumerate(job["pairs"])
    ]
    print(json.dumps({"ready": True}), file=out, flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        answers = model.loglikelihood(requests, disable_tqdm=True)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "totals": [float(total) for total, _ in answers]}), file=out, flush=True)


if __name__ == "__main__":
    main()
