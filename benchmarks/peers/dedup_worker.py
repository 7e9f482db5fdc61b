"""Documents deduplicated end to end by ours or by datasketch, in whichever environment runs this.

A line of JSON in: {which, source: a folder with one JSONL file, folder: an empty one, ngram (words), threshold, size};
a line out: the seconds of the processor for all and for signatures alone, the peak of memory, and the ids that are
kept.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Curate with one step; then the signatures of the texts alone."""
    from pilotfish.curate import curate
    from pilotfish.curate.dedupe import Dedupe
    from pilotfish.rows._near import MinHash
    from pilotfish.rows._sketch_native import packed
    from pilotfish.rows._sketch_texts import plain_bytes

    (source,) = Path(job["source"]).iterdir()
    step = Dedupe(job["threshold"], ngram=job["ngram"], unit="word", method="minhash")
    start = time.process_time()
    curate(source, [step], job["folder"], progress=False)
    seconds = time.process_time() - start
    kept = [json.loads(line)["id"] for line in (Path(job["folder"]) / "kept.jsonl").open(encoding="utf-8")]
    texts = [row["text"] for row in _rows(job["source"])]
    how = MinHash(job["threshold"], job["ngram"], "word", size=job["size"])
    start = time.process_time()
    for at in range(0, len(texts), 4096):
        how.sketched_packed(*packed(plain_bytes(texts[at : at + 4096])))
    return {"processor": seconds, "signatures": time.process_time() - start, "kept": kept}


def datasketch(job: dict[str, Any]) -> dict[str, Any]:
    """As its documentation has it: read, `bulk`, an index that each text is looked up in, write the first of each."""
    library = importlib.import_module("datasketch")
    start = time.process_time()
    rows = _rows(job["source"])
    texts = [" ".join("".join(c if c.isalnum() else " " for c in row["text"].lower()).split()) for row in rows]
    begun = time.process_time()
    sketches = library.MinHash.bulk((_shingles(text, job["ngram"]) for text in texts), num_perm=job["size"])
    signed = time.process_time() - begun
    index = library.MinHashLSH(threshold=job["threshold"], num_perm=job["size"])
    kept = []
    with (Path(job["folder"]) / "kept.jsonl").open("w", encoding="utf-8") as out:
        for place, (row, sketch) in enumerate(zip(rows, sketches, strict=True)):
            near = (other for other in index.query(sketch) if sketches[other].jaccard(sketch) >= job["threshold"])
            if next(near, None) is None:
                out.write(json.dumps(row) + "\n")
                kept.append(row["id"])
            index.insert(place, sketch)
    return {"processor": time.process_time() - start, "signatures": signed, "kept": kept}


def _shingles(text: str, n: int) -> set[bytes]:
    words = text.split()
    return {" ".join(words[at : at + n]).encode() for at in range(max(1, len(words) - n + 1))}


def _rows(source: str) -> list[dict[str, Any]]:
    (path,) = Path(source).iterdir()
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def main() -> None:
    """Answer jobs."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        told = {"ours": ours, "datasketch": datasketch}[job["which"]](job)
        told["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main()
