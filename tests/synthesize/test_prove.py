"""A student of synthesised rows: measured on people's labels, never on rows that it has seen in other clothes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.measure.folds import folds
from pilotfish.models.classify import TextClassifier, TfidfFeatures
from pilotfish.synthesize.prove import _joined, prove

pytest.importorskip("sklearn")

WORDS = {"card": ["card", "chip", "pin", "blocked"], "loan": ["loan", "rate", "month", "credit"]}


def rows(count: int, seed: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        label = ("card", "loan")[i % 2]
        said = [*random.choice(WORDS[label], 2), *random.choice(["please", "help", "now", "my", "the"], 3)]
        found.append((f"{' '.join(said)} {int(random.integers(10**6))}", label))
    return found


def test_the_student_is_measured_and_saved(tmp_path: Path) -> None:
    gold = [*rows(60, 1), ("something else entirely", "other")]
    made = [*rows(80, 2), gold[0], (gold[1][0].upper() + "!", gold[1][1])]
    proof = prove(made, gold, TfidfFeatures(), tmp_path, few=rows(6, 3))
    assert proof.contaminated == 2 and proof.rows == 80 and proof.unknown == 1 and proof.few == 6
    assert proof.accuracy.value > 0.9 and proof.alone is not None and proof.gain is not None
    assert proof.gain.value == pytest.approx(proof.accuracy.value - proof.alone.value)
    assert "2 rows were near" in str(proof) and "gain" in str(proof)
    loaded = TextClassifier.load(tmp_path / "student")
    assert loaded.predict(["my card is blocked"]) == ["card"]
    assert (tmp_path / "proof.json").exists()


def test_what_cannot_be_proven_is_told(tmp_path: Path) -> None:
    for made, gold in (([], rows(4, 1)), (rows(4, 1), []), ([("a b", "card"), ("c d", "card")], rows(4, 1))):
        with pytest.raises(DataError):
            prove(made, gold, TfidfFeatures(), tmp_path)


def test_groups_and_near_rows_are_tied_together() -> None:
    tied = _joined(np.array([0, 1, 1, 3, 4]), ["a", "b", "c", "c", "d"])
    assert tied[1] == tied[2] == tied[3] and len({int(tied[0]), int(tied[1]), int(tied[4])}) == 3


def test_children_of_the_few_are_tied_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []

    def noting(tied: np.ndarray, count: int, seed: int) -> object:
        seen.append(tied.tolist())
        return folds(tied, count, seed)

    monkeypatch.setattr("pilotfish.synthesize.prove.folds", noting)
    few = [(f"{text} {chr(97 + i) * 9}", label) for i, (text, label) in enumerate(rows(12, 3))]
    made = [(f"{chr(107 + i) * 20} {label}", label) for i, (_, label) in enumerate(few)]
    named = [f"g{i}" for i in range(12)]
    prove(made, rows(20, 1), TfidfFeatures(), tmp_path, few=few, groups=named, few_groups=named)
    assert seen[0][:12] == seen[0][12:] and len(set(seen[0])) == 12
