"""A curation of one file by quality and dedupe in a process of its own, and the most memory that was resident.

A line of JSON in: {source, folder, texts: what the classifier learns on}; a line out: seconds, rows, MiB.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from pathlib import Path


def main() -> None:
    """Curate in this process, and tell."""
    from pilotfish.curate import curate
    from pilotfish.curate.barrier import Barrier
    from pilotfish.curate.dedupe import Dedupe
    from pilotfish.curate.quality import HashedClassifier, Quality
    from pilotfish.rows import Stage

    out, sys.stdout = sys.stdout, sys.stderr
    job = json.loads(sys.stdin.readline())
    dice = random.Random(0)
    good = job["texts"]
    bad = [" ".join(dice.sample(text.split(), len(text.split()))) for text in good]
    folder = Path(job["folder"])
    HashedClassifier().fit([*good, *bad], [True] * len(good) + [False] * len(bad)).save(folder / "classifier")
    wall, processor = time.perf_counter(), time.process_time()
    steps: list[Stage | Barrier] = [Quality(folder / "classifier", threshold=0.05), Dedupe(0.75, ngram=5, unit="word")]
    report = curate(job["source"], steps, folder / "out", progress=False)
    told = {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor, "kept": report.kept}
    told |= {"low": report.steps[0].dropped, "copies": report.steps[1].dropped}
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert peak is not None
    print(json.dumps(told | {"mib": int(peak[1]) / 1024}), file=out, flush=True)


if __name__ == "__main__":
    main()
