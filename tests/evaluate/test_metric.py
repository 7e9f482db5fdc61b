"""Metrics of rows: columns are checked, scores become columns, runs stream and go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.metric import OfRows, Scoring, over_columns
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.report import MarkedText
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


def test_scores_come_back_from_the_rows_that_they_were_written_into() -> None:
    metric = over_columns(Overlap(), "answer", "reference")
    found = metric(ROWS)
    written = [row | found.row(number, "ov") for number, row in enumerate(ROWS)]
    back = Scores.of_rows(found.metric, written, "ov")
    assert (back.values.tolist(), list(back.notes)) == (found.values.tolist(), list(found.notes))
    assert back.parts["words"].tolist() == found.parts["words"].tolist()
    some = found.take([2, 0])
    assert some.values.tolist() == [0, 0.5] and some.notes[0] and some.parts["words"].tolist() == [0, 2]
    with pytest.raises(DataError, match="row 2: no score in 'ov'"):
        Scores.of_rows("ov", [written[0], ROWS[1]], "ov")


def test_a_metric_that_goes_by_all_rows_sees_them_first() -> None:
    plain = over_columns(Overlap(), "answer", "reference")

    def learnt(rows: Iterable[Row]) -> OfRows:
        return replace(plain, label=f"over {sum(1 for _ in rows)} rows")

    metric = replace(plain, learn=learnt)
    with pytest.raises(ConfigError, match="overlap goes by what is in all rows: call `fitted`"):
        metric(ROWS)
    assert metric.fitted(iter(ROWS)).label == "over 3 rows" and plain.fitted(ROWS) is plain


def test_rows_are_explained_by_the_metric_or_shown_as_they_are() -> None:
    metric = over_columns(Overlap(), "answer", "reference")
    shown = metric.explained(ROWS[1])
    assert [(text.title, text.text) for text in shown] == [("answer", "a b"), ("reference", "b"), ("reference", "a")]
    told = replace(metric, explain=lambda row: [MarkedText("x", [(row["answer"], 1.0)])])
    assert told.explained(ROWS[0])[0].pieces == [("a b", 1.0)]
    with pytest.raises(DataError, match="no column 'reference'"):
        metric.explained({"answer": "a"})


def test_a_run_goes_on_only_with_the_same_metric_and_writes_over_no_column(tmp_path: Path) -> None:
    metric = over_columns(Overlap(), "answer", "reference", settings={"seed": 1})
    run(ROWS, Scoring(metric), tmp_path / "out", progress=False)
    with pytest.raises(ConfigError, match="fresh"):
        run(ROWS, Scoring(replace(metric, settings={"seed": 2})), tmp_path / "out", progress=False)
    with pytest.raises(ConfigError, match="already have a column 'overlap'"):
        run([row | {"overlap": 1} for row in ROWS], Scoring(metric), tmp_path / "other", progress=False)
