"""The process in which a candidate is measured: `python -m pilotfish.compete.constrained.worker`, by `apart` alone."""

from __future__ import annotations

import sys

from pilotfish.compete.constrained.measured import work
from pilotfish.errors import PilotfishError

if __name__ == "__main__":
    try:
        work(sys.argv[1:])
    except PilotfishError as error:
        sys.exit(" ".join(str(error).split()))
    except MemoryError:
        sys.exit("out of memory")
