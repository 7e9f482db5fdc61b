from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.constrained.task import (
    FitTask,
    above,
    choices_task,
    classes_task,
    perplexity,
    quality,
    similarity_task,
    text_task,
    value_of,
)
from pilotfish.errors import DataError


def test_rows_of_choices_by_place_or_by_text() -> None:
    rows: list[dict[str, Any]] = [
        {"q": "2 + 2 =", "o": ["3", "4"], "a": 1},
        {"q": "capital?", "o": ["Paris", "Rome"], "a": "Paris"},
    ]
    task = choices_task(rows, "q", "o", "a")
    assert [row["answer"] for row in task.rows] == [1, 0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"q": "x", "o": ["a"], "a": 0}, "two texts or more"),
        ({"q": "x", "o": ["a", "b"], "a": 2}, "none of its 2 choices"),
        ({"q": "x", "o": ["a", "b"], "a": True}, "none of its 2 choices"),
        ({"q": " ", "o": ["a", "b"], "a": 0}, "no text in column 'q'"),
    ],
)
def test_a_row_that_is_wrong_is_named(row: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match="row 1: ") as caught:
        choices_task([row], "q", "o", "a")
    assert said in str(caught.value)


def test_rows_of_similarity_need_numbers_that_differ() -> None:
    rows = [{"x": "a", "y": "b", "s": str(n)} for n in range(3)]
    assert [row["score"] for row in similarity_task(rows, "x", "y", "s").rows] == [0, 1, 2]
    with pytest.raises(DataError, match="not a finite number"):
        similarity_task([*rows, {"x": "a", "y": "b", "s": "nan"}], "x", "y", "s")
    with pytest.raises(DataError, match="scores that differ"):
        similarity_task([rows[0]] * 3, "x", "y", "s")


def test_rows_of_classes_are_split_and_nothing_stands_on_both_sides() -> None:
    rows = [{"t": f"{word} number {n}", "l": word} for word in ("alpha", "beta") for n in range(40)]
    task = classes_task(rows, "t", "l", seed=1)
    assert task.labels == ("alpha", "beta") and task.sort == "classes"
    trained = {text for text, _ in task.train}
    assert task.rows and task.train and not trained & {row["text"] for row in task.rows}
    assert all(0 <= i < len(task.train) for i in task.tune)


def test_a_task_is_written_and_read_without_what_was_learnt_from(tmp_path: Path) -> None:
    task = FitTask("classes", ({"text": "a", "label": "b"},), ("b", "c"), {"b": "bee"}, (("x", "b"),), (0,))
    task.save(tmp_path / "rows.json")
    again = FitTask.load(tmp_path / "rows.json")
    assert again.digest == task.digest and again.rows == task.rows and again.train == ()
    assert task.digest != FitTask("classes", ({"text": "a", "label": "c"},), ("b", "c"), {"b": "bee"}).digest


def test_texts_are_cut() -> None:
    assert len(text_task([{"t": "x" * 5000}], "t").rows[0]["text"]) == 2000


def test_quality_of_texts_is_per_byte_and_perplexity_per_token() -> None:
    scores = np.array([[-10.0, 5, 4], [-30.0, 15, 6]])
    assert value_of("text")(scores) == pytest.approx(-40 / 20 / math.log(2))
    assert perplexity(scores) == pytest.approx(math.exp(40 / 10))
    found = quality("text", scores)
    assert found.low <= found.value <= found.high and found.n == 2


def spearman(a: list[float], b: list[float]) -> float:
    """By its definition: Pearson's correlation of mean ranks."""

    def ranked(values: list[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    return float(np.corrcoef(ranked(a), ranked(b))[0, 1])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_the_correlation_is_spearmans(rows: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in rows], [float(y) for _, y in rows]
    found = value_of("similarity")(np.array([a, b]).T)
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert found == pytest.approx(spearman(a, b), abs=1e-9)
    else:
        assert found == 0


def test_a_difference_is_paired() -> None:
    one, other = np.ones((50, 1)), np.concatenate([np.ones((40, 1)), np.zeros((10, 1))])
    found = above("classes", one, other)
    assert found.value == pytest.approx(0.2) and found.low > 0
    same = above("classes", other, other)
    assert same.value == 0 and same.low < 0 < same.high  # rows that agree do not make two models one
    texts = np.array([[-10.0, 5, 4], [-30.0, 15, 6], [-7.0, 6, 3]])
    better = texts * np.array([0.9, 1, 1])
    assert above("text", better, texts).low > 0
