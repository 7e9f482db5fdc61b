"""A 2 GB file of rows through quality and dedupe: the peak of memory, the time, and what planted copies became.

Rows are made of the data sets' texts as `curate-dedup` makes them, 10,000 anew for each seed, with a number in front of
each piece so that no two rows are one by accident; one in five is a changed copy. The classifier is a hashed one that
has learnt on some thousand of the texts. The peak is the most that was resident (VmHWM), files that are mapped counted
in. Bar: 4 GiB.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.curate_dedup import documents
from benchmarks.minhash import ONE, real

HINT = "the project's own environment"
BAR = 4096
WORKER = Path(__file__).parent / "peers" / "memory_worker.py"


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the peak of memory and the rows a second."""
    if data is None:
        return {"name": "curate-memory", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("curate-memory", quick=quick)
    wanted = 20_000_000 if quick else 2_000_000_000
    texts = real(data)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.jsonl"
        rows, copies = written(texts, source, wanted)
        print(f"{rows:,} rows, {copies:,} of them copies, {source.stat().st_size:,} bytes", file=sys.stderr)
        side = Peer(Path(sys.executable), WORKER, HINT, ONE)
        found = side.ask({"source": str(source), "folder": str(Path(folder) / "out"), "texts": texts[:4000]})
        side.close()
    titles = {
        "mib": ("peak memory", "MiB"),
        "seconds": ("time", "seconds"),
        "processor": ("processor time", "seconds"),
        "low": ("rows dropped for quality", "rows"),
        "copies": ("rows dropped as duplicates", "rows"),
    }
    cases.add({"case": title, "value": found[key], "unit": unit, "n": rows} for key, (title, unit) in titles.items())
    cases.add([{"case": "copies that were planted", "value": copies, "unit": "rows", "n": rows}])
    return {"name": "curate-memory", "peer": "none", "bars": {"peak memory, MiB": BAR}, "cases": cases.found}


def written(texts: list[str], path: Path, wanted: int) -> tuple[int, int]:
    """Write so many bytes of rows; return how many rows, and how many of them are copies."""
    rows = copies = size = seed = 0
    with path.open("w", encoding="utf-8") as file:
        while size < wanted:
            dice = random.Random(seed)
            some = [f"{dice.randrange(10**6)} {text}" for text in dice.sample(texts, min(len(texts), 8000))]
            docs, pairs = documents(some, 10_000, seed)
            for doc in docs:
                size += file.write(json.dumps({"id": rows, "text": doc}) + "\n")
                rows += 1
            copies += len(pairs)
            seed += 1
    return rows, copies
