"""lm-evaluation-harness's `local-completions` against a gateway, run in its own environment.

Reads one JSON line {url, model, tokenizer, tokenized, pairs}, answers {"totals", "greedy", "texts"}: the
log-probability of each continuation given its context, whether it is the greedy one, and what the model says after
three contexts.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Do one job a line."""
    out = sys.stdout
    sys.stdout = sys.stderr  # the peer prints
    os.environ.setdefault("OPENAI_API_KEY", "none")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    for line in sys.stdin:
        job = json.loads(line)
        model = LocalCompletionsAPI(
            model=job["model"],
            base_url=f"{job['url']}/v1/completions",
            tokenizer=job["tokenizer"],
            tokenizer_backend="huggingface",
            tokenized_requests=job["tokenized"],
            batch_size=4 if job["tokenized"] else 1,
            num_concurrent=2,
        )
        pairs = [tuple(pair) for pair in job["pairs"]]
        asked = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i) for i, pair in enumerate(pairs)]
        scored = model.loglikelihood(asked, disable_tqdm=True)
        settings = {"until": ["\n\n"], "max_gen_toks": 8, "do_sample": False, "temperature": 0.0}
        said = [
            Instance(request_type="generate_until", doc={}, arguments=(context, dict(settings)), idx=i)
            for i, (context, _) in enumerate(pairs[:3])
        ]
        texts = model.generate_until(said, disable_tqdm=True)
        answer = {"totals": [float(one[0]) for one in scored], "greedy": [bool(one[1]) for one in scored]}
        print(json.dumps(answer | {"texts": texts}), file=out, flush=True)


if __name__ == "__main__":
    main()
