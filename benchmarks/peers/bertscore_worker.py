"""bert_score in an environment of its own: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer {weights, layers, threads, idf, baseline, pairs, fast}; pairs is a JSON file."""
    out, sys.stdout = sys.stdout, sys.stderr
    import torch
    from bert_score import BERTScorer  # type: ignore[import-not-found]

    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        torch.set_num_threads(job["threads"])
        pairs = json.loads(Path(job["pairs"]).read_text(encoding="utf-8"))
        candidates, references = pairs["candidates"], pairs["references"]
        scorer = BERTScorer(
            model_type=job["weights"],
            num_layers=job["layers"],
            idf=job["idf"] is not None,
            idf_sents=job["idf"],
            device="cpu",
            lang="en",
            rescale_with_baseline=job["baseline"] is not None,
            baseline_path=job["baseline"],
            use_fast_tokenizer=job["fast"],
            nthreads=0,
        )
        start = time.perf_counter()
        found = scorer.score(candidates, references, batch_size=64)
        told = {"scores": [one.tolist() for one in found], "seconds": time.perf_counter() - start}
        print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main()
