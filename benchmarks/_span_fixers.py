"""Fixers of sums and of JSON on data: what is right and left alone, what is wrong and mended."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._result import estimated
from pilotfish.measure.arithmetic import sums
from pilotfish.measure.intervals import wilson
from pilotfish.repair import Context
from pilotfish.repair.plugins import Calculation, JsonForm
from pilotfish.repair.protected import allowed
from pilotfish.repair.spans import Edit, applied
from pilotfish.rows.read import read

__all__ = ["fixers"]

_MARK = re.compile(r"<<([^=<>]*)=([\d.,]+)>>")


def fixers(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the figures of sums (GSM8K's right solutions, one result changed) and of JSON (JSONTestSuite)."""
    yield from calculations([str(row["answer"]) for row in read(data / "gsm8k" / "test.jsonl")])
    yield from forms(sorted((data / "json_test_suite").glob("*.json")))


def calculations(answers: list[str], seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield how many right sums are called wrong, and how many changed results are mended to what they were."""
    plugin, context, dice = Calculation(), Context(), random.Random(seed)
    every = sum(len(list(sums(answer))) for answer in answers)
    alarms = sum(len(plugin.detect(answer, context)) for answer in answers)
    yield estimated("GSM8K solutions: sums called wrong", wilson(alarms, every), "share of sums")
    planted = found = mended = 0
    for answer in answers:
        marks = [one for one in _MARK.finditer(answer) if one[2].replace(",", "").isdigit()]
        if not marks or plugin.detect(answer, context):
            continue
        mark = dice.choice(marks)
        wrong = str(int(mark[2].replace(",", "")) + dice.choice([-2, -1, 1, 2, 10]))
        if wrong.startswith("-"):
            continue
        text = answer[: mark.start(2)] + wrong + answer[mark.end(2) :]
        planted += 1
        spans = plugin.detect(text, context)
        found += any(span.start == mark.start(2) for span in spans)
        edits = [Edit(one.start, one.end, text[one.start : one.end], one.better or "") for one in spans]
        mended += applied(text, edits).replace(",", "") == answer.replace(",", "")
    yield estimated("GSM8K solutions, one result changed: found", wilson(found, planted), "share of answers")
    yield estimated("GSM8K solutions, one result changed: as it was again", wilson(mended, planted), "share of answers")


def forms(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield how many valid files are left as they are, and of how many broken ones strict JSON is made."""
    plugin, context = JsonForm(always=True), Context()
    left = valid = mended = broken = 0
    for path in paths:
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue  # an answer is text
        spans = plugin.detect(text, context)
        after = allowed(text, plugin.mend(text, spans, context).edits, plugin.touch)[0] if spans else text
        if path.name.startswith("y_"):
            valid, left = valid + 1, left + (after == text)
        elif path.name.startswith("n_"):
            broken += 1
            if after != text:
                json.loads(after)
                mended += 1
    yield estimated("JSONTestSuite, valid: left as it is", wilson(left, valid), "share of files")
    yield estimated("JSONTestSuite, broken: strict JSON made of it", wilson(mended, broken), "share of files")
