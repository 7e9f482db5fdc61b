"""PyLate in an environment of its own: a line of JSON in, a line of JSON out.

Its index is Stanford's PLAID, which has kernels of its own for CPUs, or fast-plaid, its default.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Answer jobs: load, encode, scores, build, add, search."""
    out, sys.stdout = sys.stdout, sys.stderr
    import torch
    from pylate import indexes, models, scores  # type: ignore[import-not-found]

    held: dict[str, Any] = {}
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        torch.set_num_threads(job["threads"])
        told: dict[str, Any] = {}
        start = time.perf_counter()
        if job["do"] == "load":
            held["model"] = models.ColBERT(job["weights"], device="cpu")
        elif job["do"] == "encode":
            texts = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
            start = time.perf_counter()
            found = held["model"].encode(texts, is_query=job["query"], show_progress_bar=False, batch_size=32)
            told["seconds"] = time.perf_counter() - start
            np.savez(job["out"], vectors=np.concatenate(found), sizes=[len(one) for one in found])
        elif job["do"] == "scores":
            queries, documents = (ragged(job[name]) for name in ("queries", "documents"))
            rows = [
                [float(scores.colbert_scores(query[None].float(), one[None].float())[0, 0]) for one in documents]
                for query in queries
            ]
            told["scores"] = rows
        elif job["do"] == "build":
            documents = ragged(job["documents"])
            start = time.perf_counter()
            held["index"] = indexes.PLAID(
                index_folder=job["folder"],
                index_name="index",
                override=True,
                use_fast=job["fast"],
                nbits=4,
                show_progress=False,
                device="cpu",
            )
            held["index"].add_documents([str(i) for i in range(len(documents))], documents)
            told["seconds"] = time.perf_counter() - start
            told["bytes"] = sum(path.stat().st_size for path in Path(job["folder"]).rglob("*") if path.is_file())
        elif job["do"] == "add":
            documents = ragged(job["documents"])
            start = time.perf_counter()
            held["index"].add_documents([str(job["first"] + i) for i in range(len(documents))], documents)
            told["seconds"] = time.perf_counter() - start
        elif job["do"] == "search":
            queries = ragged(job["queries"])
            held["index"](queries[0][None].float(), k=job["k"])  # the first loads what it needs
            told |= {"seconds": [], "rows": [], "scores": []}
            for query in queries:
                start = time.perf_counter()
                [ranked] = held["index"](query[None].float(), k=job["k"])
                told["seconds"].append(time.perf_counter() - start)
                told["rows"].append([int(one["id"]) for one in ranked])
                told["scores"].append([float(one["score"]) for one in ranked])
        told.setdefault("seconds", time.perf_counter() - start)
        print(json.dumps(told), file=out, flush=True)


def ragged(path: str) -> list[Any]:
    """Return the vectors of a file, text by text."""
    import torch

    with np.load(path) as held:
        vectors, sizes = torch.from_numpy(held["vectors"]), held["sizes"].tolist()
    return list(torch.split(vectors, sizes))


if __name__ == "__main__":
    main()
