"""How long a user waits before anything happens: `import pilotfish` and `pilotfish --help`, in fresh processes.

The three commands take turns, so that a busy moment of the machine meets all of them. The bars are this project's own:
0.2 s for the import and 0.4 s for the help, Python's own start included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BARS = {"import pilotfish": 0.2, "pilotfish --help": 0.4}


def commands() -> dict[str, list[str]]:
    """Return the commands by their titles; the installed script where there is one."""
    script = Path(sys.executable).parent / "pilotfish"
    help_ = [str(script)] if script.exists() else [sys.executable, "-m", "pilotfish.cli.main"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import pilotfish": [sys.executable, "-c", "import pilotfish"],
        "pilotfish --help": [*help_, "--help"],
    }


def timed(runs: int) -> dict[str, list[float]]:
    """Return the seconds of each run of each command; the first, which fills the caches, is not counted."""
    seconds: dict[str, list[float]] = {title: [] for title in commands()}
    for run in range(runs + 1):
        for title, command in commands().items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if run:
                seconds[title].append(time.perf_counter() - started)
    return seconds


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the median of each command with its quartiles, as it is and without Python's own start."""
    del data
    runs = 8 if quick else 20
    seconds = timed(runs)
    bare = statistics.median(seconds["python -c pass"])
    cases: list[dict[str, Any]] = []
    for title, taken in seconds.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        case = {"case": title, "value": middle, "low": low, "high": high, "unit": "seconds", "n": runs}
        if title in BARS:
            case |= {"without_python": middle - bare, "bar": BARS[title], "within": middle <= BARS[title]}
        cases.append({key: round(value, 4) if isinstance(value, float) else value for key, value in case.items()})
    return {"name": "startup", "interval": "quartiles", "cases": cases}
