"""A label student taught and measured: what is held out teaches nothing, and what came of it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.blackbox.labelling import LabelsTaught, teach_labels
from pilotfish.distill.blackbox.students import LinearStudent, TeacherLabels
from pilotfish.errors import DataError
from pilotfish.models.classify import TextClassifier, TfidfFeatures
from tests.distill.blackbox.students.test_linear import soft_of, texts

pytest.importorskip("sklearn")


class Watched(TfidfFeatures):
    """Remembers the texts that it was fitted on."""

    seen: set[str]

    def fit(self, texts: Any) -> Watched:
        type(self).seen |= set(texts)
        super().fit(texts)
        return self


def student(features: Callable[[], TfidfFeatures] = lambda: TfidfFeatures((1, 1))) -> Callable[[bool], LinearStudent]:
    return lambda alone: LinearStudent(features(), alpha=1.0 if alone else 0.5)


def rows(gold: int, count: int) -> tuple[list[str], list[str | None], TeacherLabels]:
    """Texts of which the first have people's labels; the teacher says the truth of the others, softly."""
    some, labels = texts(count, 1)
    said = soft_of(labels, 0.8)
    said.probabilities[:gold] = np.nan
    return some, [*labels[:gold], *[None] * (count - gold)], said


def test_the_teacher_s_rows_help_and_the_gain_is_paired(tmp_path: Path) -> None:
    some, gold, said = rows(60, 400)
    told = teach_labels(some, gold, said, student(), tmp_path / "out", settings="x", held_out=0.5)
    assert (told.held_out, told.gold + told.calibrated, told.taught) == (30, 30, 340)
    assert told.accuracy is not None and told.alone is not None and told.gain is not None
    assert told.accuracy.value > told.alone.value
    assert told.gain.value == pytest.approx(told.accuracy.value - told.alone.value)
    # What is saved is what was measured, not a student that saw the held-out rows as well.
    assert TextClassifier.load(tmp_path / "out").classes_ == told.classes
    assert LabelsTaught.from_json(told.to_json()) == told
    assert "from people's labels alone" in str(told)


def test_copies_of_what_is_held_out_teach_nothing(tmp_path: Path) -> None:
    some, gold, said = rows(40, 80)
    some[40:] = some[:40]  # the teacher labelled a copy of each
    Watched.seen = set()
    told = teach_labels(some, gold, said, student(lambda: Watched((1, 1))), tmp_path / "out", settings="", held_out=0.3)
    held = set(some) - Watched.seen
    assert len([text for text in some[:40] if text in held]) >= told.held_out == 12
    assert told.taught <= 40 - len(held)


def test_another_run_is_told_and_the_same_is_not_repeated(tmp_path: Path) -> None:
    some, gold, said = rows(30, 90)
    told = teach_labels(some, gold, said, student(), tmp_path / "out", settings=[1])
    assert (
        teach_labels(some, gold, said, lambda alone: pytest.fail("fitted again"), tmp_path / "out", settings=[1])
        == told
    )
    # One more label of the teacher's is another run.
    said.probabilities[-1] = np.nan
    with pytest.raises(DataError, match="another run"):
        teach_labels(some, gold, said, student(), tmp_path / "out", settings=[1])
    # A killed run leaves its own folder, and goes on.
    (tmp_path / "killed" / "run").mkdir(parents=True)
    (tmp_path / "killed" / "head.json").write_text("{")
    assert teach_labels(some, gold, said, student(), tmp_path / "killed", settings=[1]).taught > 0
    assert not (tmp_path / "killed" / "run").exists()


@pytest.mark.parametrize("gold", ["none", "one kind"])
def test_where_there_is_little_of_people_s_there_is_little_to_tell(tmp_path: Path, gold: str) -> None:
    some, labels, said = rows(30, 90)
    given = [None] * 90 if gold == "none" else ["fruit" if label else None for label in labels]
    told = teach_labels(some, given, said, student(), tmp_path, settings="", held_out=0.2)
    assert told.alone is None and told.gain is None
    assert (told.accuracy is None) == (gold == "none")
    assert ("nothing is measured" in str(told)) == (gold == "none")
