"""Metrics of rows: columns are checked, scores become columns, runs stream and go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.metric import OfRows, Scoring, over_columns
from pilotfish.evaluate.scores import Scores
from pilotfish.rows import run
from pilotfish.rows._row import Row


class Overlap:
    """The share of a candidate's words that are in the reference."""

    name = "overlap"

    def __call__(
        self, candidates: Sequence[str], references: Sequence[str | Sequence[str]], *, progress: object = None
    ) -> Scores:
        values, notes = [], []
        for mine, theirs in zip(candidates, references, strict=True):
            words = mine.split()
            there = " ".join([theirs] if isinstance(theirs, str) else theirs).split()
            values.append(sum(word in there for word in words) / max(1, len(words)))
            notes.append("" if words else "empty: nothing to score")
        return Scores(
            "overlap", np.array(values), {"words": np.array([len(m.split()) for m in candidates], float)}, notes
        )


ROWS: list[Row] = [
    {"answer": "a b", "reference": "a c", "id": 1},
    {"answer": "a b", "reference": ["b", "a"], "id": 2},
    {"answer": "", "reference": "a", "id": 3},
]


def test_scores_of_rows_and_their_mean() -> None:
    metric = over_columns(Overlap(), "answer", "reference")
    found = metric(ROWS)
    assert found.values.tolist() == [0.5, 1, 0]
    assert found.mean().value == pytest.approx(0.5)
    assert found.odd() == {"empty": 1}
    other = metric([row | {"answer": "a"} for row in ROWS])
    assert other.above(found).value == pytest.approx(0.5)
    turned = over_columns(lambda sources, texts: Overlap()(texts, sources), "reference", "answer", name="turned")
    assert (turned.name, turned.columns) == ("turned", ("reference", "answer"))
    assert turned(ROWS).values.tolist() == [0.5, 1, 0]


def test_a_stage_writes_columns_and_resumes(tmp_path: Path) -> None:
    stage = Scoring(over_columns(Overlap(), "answer", "reference", name="ov"), batch_size=2)
    for _ in range(2):
        report = run(ROWS, stage, tmp_path / "out", progress=False)
        rows = [json.loads(line) for file in sorted((tmp_path / "out").glob("*.jsonl")) for line in file.open()]
        assert [row["ov"] for row in rows if "ov" in row] == [0.5, 1, 0]
        assert rows[2] == {**ROWS[2], "ov": 0.0, "ov.words": 0.0, "ov.note": "empty: nothing to score"}
    assert report.rows_out == 3


def test_a_row_that_lacks_a_text_is_told(tmp_path: Path) -> None:
    metric: OfRows = over_columns(Overlap(), "answer", "reference")
    with pytest.raises(DataError, match="row 2: no column 'reference'"):
        metric([ROWS[0], {"answer": "a"}])
    with pytest.raises(DataError, match="must be a text or a list of texts, not int"):
        metric([{"answer": "a", "reference": 3}])
    bad: list[Row] = [*ROWS, {"answer": None, "reference": "a", "id": 4}]
    report = run(bad, Scoring(metric), tmp_path / "out", progress=False)
    assert (report.rows_out, report.rejected) == (3, 1)


def test_a_score_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="row 2: its score is nan"):
        Scores("x", np.array([1.0, float("nan")]))
    with pytest.raises(DataError, match="2 scores, 1 words"):
        Scores("x", np.array([1.0, 2.0]), {"words": np.array([1.0])})
