"""What a benchmark gives, how it is checked, and where it is kept.

A benchmark is a module of this package with `main(quick: bool, data: Path | None) -> dict`: its `name`, its `cases`,
and whatever else is worth keeping. A case against a peer has `ratio` (above 1 means ours is better), with its least and
greatest; any other has a `value`, with `low` and `high` where it is an estimate. Where the peer cannot be installed
there are no cases, and `peer` says so.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pilotfish.measure.intervals import Interval
from pilotfish.measure.meters import machine

RESULTS = Path(__file__).parent / "results"
COMING = Path(__file__).resolve().parents[1] / ".bench" / "cases"
AGAINST_PEER = ("ours", "peer", "ratio", "ratio_min", "ratio_max", "parity")


def completed(found: dict[str, Any], name: str, *, quick: bool) -> dict[str, Any]:
    """Return the whole result: name, machine, whether it was the quick form, and the cases, checked.

    Raises:
        ValueError: a case lacks what the scheme asks for; the text names it.
    """
    cases = found.get("cases", [])
    if found.get("name") != name or not (cases or found.get("peer")):
        raise ValueError(f"benchmarks.{name} must give its name and at least one case")
    for case in cases:
        _check(case, name)
    return {"name": name, "machine": machine(), "quick": quick, **found}


def line(result: dict[str, Any]) -> str:
    """Return the result as one line of strict JSON."""
    return json.dumps(result, ensure_ascii=False, allow_nan=False)


def estimated(title: str, found: Interval, unit: str) -> dict[str, Any]:
    """Return a case of a number with its interval."""
    return {"case": title, "value": found.value, "low": found.low, "high": found.high, "unit": unit, "n": found.n}


def keep(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Store the result; a quick one beside the whole one, never over it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}{'.quick' if result['quick'] else ''}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(line(result) + "\n", encoding="utf-8")
    return temporary.replace(path)


def shown(case: dict[str, Any]) -> str:
    """Return a case as one line for people."""
    if "ratio" in case:
        least, greatest = case["ratio_min"], case["ratio_max"]
        return f"{case['case']}: {case['ratio']:.3g} times the peer ({least:.3g} to {greatest:.3g}), n = {case['n']}"
    spread = f" ({case['low']:.4g} to {case['high']:.4g})" if "low" in case and "high" in case else ""
    return f"{case['case']}: {case['value']:.4g} {case['unit']}{spread}, n = {case['n']}"


class Cases:
    """The cases of a long benchmark, each checked, told and written down as it comes: one that dies loses none.

    The file has one case a line; the next run of the same benchmark begins it anew.

    Attributes:
        found: the cases so far.
        path: the file.
    """

    def __init__(self, name: str, *, quick: bool, folder: Path = COMING) -> None:
        self.name = name
        self.found: list[dict[str, Any]] = []
        self.path = folder / f"{name}{'.quick' if quick else ''}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text("", encoding="utf-8")

    def add(self, cases: Iterable[dict[str, Any]]) -> None:
        """Take cases in.

        Raises:
            ValueError: a case lacks what the scheme asks for; those before it are kept.
        """
        for case in cases:
            _check(case, self.name)
            self.found.append(case)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line(case) + "\n")
            print("  " + shown(case), file=sys.stderr, flush=True)


def _check(case: dict[str, Any], name: str) -> None:
    title = case.get("case")
    if not isinstance(title, str) or not title:
        raise ValueError(f"benchmarks.{name}: a case without its title")
    if "unit" not in case or not isinstance(case.get("n"), int):
        raise ValueError(f"benchmarks.{name}: {title}: a case needs a unit and n, the number it rests on")
    wanted = AGAINST_PEER if "ratio" in case else ("value",)
    for key in wanted:
        value = case.get(key)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"benchmarks.{name}: {title}: {key} is {value!r}, not a number")
