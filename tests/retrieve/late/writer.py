"""A process that changes an index until it is killed: `python -m tests.retrieve.late.writer FOLDER STEP`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pilotfish.retrieve.late.codec import Codec
from pilotfish.retrieve.late.index import LateIndex
from tests.retrieve.late.made import documents

DOCUMENTS = documents(400)
CODEC = Codec.fit(np.concatenate(DOCUMENTS), 64)
EACH = 7


def change(folder: Path, step: int) -> None:
    """Take one step: a whole index anew, a deletion, a compaction, or documents more."""
    if step % 20 == 0:
        LateIndex.build(folder, DOCUMENTS[step : step + 30], codec=CODEC)
        return
    index = LateIndex(folder)
    if step % 4 == 1:
        index.delete([step % len(index), 0])
    elif step % 9 == 2:
        index.compact()
    else:
        index.add(DOCUMENTS[step * EACH % 390 : step * EACH % 390 + EACH])


def main() -> None:
    """Go on from a step, and say each one that is done."""
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    print("up", flush=True)
    while True:
        change(folder, step)
        print(step, flush=True)
        step += 1


if __name__ == "__main__":
    main()
