"""Documents a second against rows, 10^4 to 10^6, here and on one and two workers of Ray: are the lines straight?

Rows are made up: 20 to 120 words a row, of 20,000 words drawn by Zipf's law, each of English letters by their
frequency; one row in ten is a copy of a row before with one word changed. They go through rules (Gopher's, FineWeb's)
and, apart, through `dedupe` by sketches, whose keys workers share out. Ray is up before the clock starts; its start is
told. Outputs must be the same bytes. Of each line: seconds = a + b rows by least squares over the sizes, R^2, and the
farthest that a size lies from it, in parts of what the line says. Workers share two processors with the process that
reads and writes. Each run is kept, so that a benchmark that was stopped goes on; what other code has measured is
measured again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases
from pilotfish.curate import curate
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.dedupe import Dedupe
from pilotfish.curate.rules import FineWeb, GopherQuality, GopherRepetition
from pilotfish.rows import Ray, Stage, using
from pilotfish.rows.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench" / "curate-ray" / "measured.json"
SIZES = (10_000, 31_623, 100_000, 316_228, 1_000_000)
QUICK = (500, 1_000, 3_000)
ENGINES: dict[str, Engine] = {"local": "local", "1 worker": Ray(workers=1), "2 workers": Ray(workers=2)}
BARS = {"R^2": 0.99, "farthest from the line": 0.15}
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"
FREQUENCIES = (127, 91, 82, 75, 70, 67, 63, 61, 60, 43, 40, 28, 28, 24, 24, 22, 20, 20, 19, 15, 10, 8, 2, 2, 1, 1)
Steps = Callable[[], list[Stage | Barrier]]
JOBS: dict[str, Steps] = {
    "rules": lambda: [GopherRepetition(), GopherQuality(min_words=20), FineWeb()],
    "dedupe": lambda: [Dedupe(0.8, method="minhash")],
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return documents a second by engine and size, and how straight the lines are."""
    cases = Cases("curate-ray", quick=quick)
    sizes = QUICK if quick else SIZES
    kept = Kept(KEPT.with_stem("quick") if quick else KEPT)
    seconds: dict[tuple[str, str], list[float]] = {}
    digests: dict[tuple[str, int], set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = {size: Path(folder) / f"rows-{size}.jsonl" for size in sizes}
        for size, source in sources.items():
            write(source, size)
        for name, engine in ENGINES.items():
            done = all(kept.get(f"{job}, {size}, {name}") for size in sizes for job in JOBS)
            with timed("local" if done else engine) as start:
                if name != "local":
                    took = kept.of(f"start, {name}", lambda: (start[0], ""))[0]
                    cases.add([{"case": f"Ray's start, {name}", "value": took, "unit": "s", "n": 1}])
                for size, source in sources.items():
                    for job, steps in JOBS.items():
                        run = partial(one, source, steps, Path(folder) / "out")
                        found, digest = kept.of(f"{job}, {size}, {name}", run)
                        digests.setdefault((job, size), set()).add(digest)
                        seconds.setdefault((job, name), []).append(found)
                        told = {"value": size / found, "unit": "rows/s", "n": size, "seconds": found}
                        cases.add([{"case": f"{job}, {size:,} rows, {name}", **told}])
    differ = sum(len(some) - 1 for some in digests.values())
    for (job, name), some in seconds.items():
        cases.add(straight(f"{job}, {name}", sizes, some))
    cases.add([{"case": "outputs that differ", "value": differ, "unit": "outputs", "n": len(digests)}])
    return {"name": "curate-ray", "peer": "this library in one process", "bars": BARS, "cases": cases.found}


class Kept:
    """Seconds and digests of runs by their names, as this very code measured them."""

    def __init__(self, path: Path) -> None:
        self.path, self.code = path, hashlib.sha256()
        for folder in ("curate", "rows"):
            for file in sorted((ROOT / "src" / "pilotfish" / folder).rglob("*.py")):
                self.code.update(file.read_bytes())
        self.code.update(Path(__file__).read_bytes())
        told = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.runs: dict[str, Any] = told.get("runs", {}) if told.get("code") == self.code.hexdigest() else {}

    def get(self, name: str) -> Any:
        """Return what is kept under a name, None where nothing is."""
        return self.runs.get(name)

    def of(self, name: str, run: Callable[[], tuple[float, str]]) -> tuple[float, str]:
        """Return the seconds and the digest of a run, which is done where it was not."""
        if name not in self.runs:
            self.runs[name] = run()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"code": self.code.hexdigest(), "runs": self.runs}), "utf-8")
        seconds, digest = self.runs[name]
        return float(seconds), str(digest)


@contextmanager
def timed(engine: Engine) -> Iterator[list[float]]:
    """Let runs be done by the engine; gives the seconds that it took to be up."""
    began = time.perf_counter()
    with using(engine):
        yield [time.perf_counter() - began]


def one(source: Path, steps: Steps, out: Path) -> tuple[float, str]:
    """Return the seconds of a curation, and a digest of what it wrote."""
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    curate(source, steps(), out, progress=False)
    found = time.perf_counter() - began
    digest = hashlib.sha256()
    for name in ("kept.jsonl", "dropped.jsonl", "rejects.jsonl"):
        digest.update((out / name).read_bytes())
    shutil.rmtree(out)
    return found, digest.hexdigest()


def write(path: Path, size: int) -> None:
    """Write rows; those of a smaller size are the first of a larger one."""
    dice = random.Random(0)
    words = ["".join(dice.choices(LETTERS, FREQUENCIES, k=dice.randint(2, 9))) for _ in range(20_000)]
    words[:6] = ["the", "of", "and", "to", "that", "with"]  # some rules look for them
    zipf = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    recent: list[list[str]] = []
    with path.open("w") as file:
        for number in range(size):
            if number % 10 == 9:
                some = list(dice.choice(recent))
                some[dice.randrange(len(some))] = dice.choices(words, cum_weights=zipf)[0]
            else:
                some = dice.choices(words, cum_weights=zipf, k=dice.randint(20, 120))
                recent = [*recent[-99:], some]
            lines = [" ".join(some[at : at + 15]) + "." for at in range(0, len(some), 15)]
            file.write(json.dumps({"id": number, "text": "\n".join(lines)}) + "\n")


def straight(name: str, sizes: tuple[int, ...], seconds: list[float]) -> list[dict[str, Any]]:
    """Return the cases of a line through (rows, seconds)."""
    x, y = np.array(sizes, dtype=np.float64), np.array(seconds)
    # Each size counts the same: by what it lies off in parts, or the largest one alone would be the line.
    slope, base = np.polyfit(x, y, 1, w=1 / y)
    line = base + slope * x
    squared = 1 - ((y - line) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    off = float(np.abs(y / line - 1).max())
    print(f"{name}: {base:.2f} s and {1 / slope:,.0f} rows/s", file=sys.stderr)
    n = len(sizes)
    return [
        {"case": f"{name}: slope", "value": float(1 / slope), "unit": "rows/s", "n": n},
        {"case": f"{name}: R^2", "value": float(squared), "unit": "R^2", "n": n},
        {"case": f"{name}: farthest from the line", "value": off, "unit": "parts of it", "n": n},
    ]
