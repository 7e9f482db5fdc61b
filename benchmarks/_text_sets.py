"""Texts with labels: banking77, TREC, SST-2, CR, Subj; and what is made of them, for scopes and several labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.advise import SUPPORT, TREC_NAMES
from pilotfish.rows.dedupe import leaks, near_duplicates
from pilotfish.rows.read import read
from pilotfish.rows.split import split

SEED, TESTED, NEAR = 3, 1000, 0.8
MOVIES = {"0": "negative", "1": "positive"}
Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Set:
    """Rows as (text, label) to learn from and to test on, and what a prompt calls each label."""

    name: str
    train: Rows
    test: Rows
    names: dict[str, str]

    @property
    def labels(self) -> list[str]:
        """The labels, sorted."""
        return sorted({label for _, label in self.train})

    def drawn(self, count: int | None, seed: int) -> Rows:
        """Return so many rows a label; all of a label that has fewer, or of every label."""
        if count is None:
            return self.train
        random = np.random.default_rng([seed, count])
        places = [np.flatnonzero([label == one for _, label in self.train]) for one in self.labels]
        return [self.train[i] for some in places for i in random.permutation(some)[:count]]


def sets(data: Path | None) -> Iterator[Set]:
    """Yield the sets; without data the embedded support messages.

    Training rows that are near-duplicates of test rows are dropped (trigrams, 80%). Tests are a seeded sample of 1,000
    rows where there are more. CR and Subj, which have no official test part, give a quarter of their rows.
    """
    if data is None:
        rows = [(str(row["text"]), str(row["intent"])) for row in read(SUPPORT / "labelled.jsonl")]
        yield _parted("support", rows, {label: label.replace("_", " ") for _, label in rows})
        return
    banking = [_rows(data / "banking77" / name, "category") for name in ("train.csv", "test.csv")]
    yield _made("banking77", (banking[0], banking[1]), {label: label.replace("_", " ") for _, label in banking[0]})
    sent = data / "sent_conv"
    trec = _lines(sent / "TREC.train.all", "latin-1"), _lines(sent / "TREC.test.all", "latin-1")
    yield _made("TREC", trec, TREC_NAMES)
    movies = _lines(sent / "stsa.binary.train"), _lines(sent / "stsa.binary.test")
    yield _made("SST-2", movies, MOVIES)
    yield _parted("CR", _lines(sent / "custrev.all"), MOVIES)
    names = {"0": "subjective opinion", "1": "objective description"}
    yield _parted("Subj", _lines(sent / "subj.all", "latin-1"), names)


def _rows(path: Path, label: str) -> Rows:
    return [(str(row["text"]), str(row[label])) for row in read(path)]


def _lines(path: Path, encoding: str = "utf-8") -> Rows:
    return [(str(row["text"]), str(row["label"])) for row in read(path, format="labelled-lines", encoding=encoding)]


def _parted(name: str, rows: Rows, names: dict[str, str]) -> Set:
    kept = near_duplicates([text for text, _ in rows], NEAR).keep
    rows = [rows[i] for i in kept]
    parts = split(len(rows), {"train": 0.75, "test": 0.25}, SEED, stratify=[label for _, label in rows])
    return _made(name, ([rows[i] for i in parts["train"]], [rows[i] for i in parts["test"]]), names)


def _made(name: str, parts: tuple[Rows, Rows], names: dict[str, str]) -> Set:
    train, test = parts
    leaked = set(leaks([text for text, _ in train], [text for text, _ in test], NEAR).train.tolist())
    train = [row for i, row in enumerate(train) if i not in leaked]
    picked = np.sort(np.random.default_rng(SEED).permutation(len(test))[:TESTED])
    return Set(name, train, [test[i] for i in picked], names)


def parted_by_label(one: Set, share: float, seed: int) -> tuple[Set, list[str]]:
    """Return a set without some of its labels, and the test texts of those: what is out of its scope, and near."""
    away = set(np.random.default_rng(seed).permutation(one.labels)[: round(share * len(one.labels))].tolist())
    outside = [text for text, label in one.test if label in away]
    train = [row for row in one.train if row[1] not in away]
    return Set(one.name, train, [row for row in one.test if row[1] not in away], one.names), outside


def joined(one: Set, train: int, test: int, seed: int = SEED) -> dict[str, list[dict[str, Any]]]:
    """Return rows of several labels, made by joining messages of different labels.

    A row is one message (half of the rows), two (three in ten) or three (two in ten), and its labels are theirs. Rows
    to learn from are made of training messages alone, test rows of test messages alone.
    """
    random = np.random.default_rng(seed)
    return {"train": _joined(one.train, train, random), "test": _joined(one.test, test, random)}


def _joined(rows: Sequence[tuple[str, str]], count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    sizes: NDArray[Any] = random.choice([1, 2, 3], count, p=[0.5, 0.3, 0.2])
    found = []
    for size in sizes:
        picked: dict[str, str] = {}
        while len(picked) < size:
            text, label = rows[int(random.integers(len(rows)))]
            picked.setdefault(label, text)
        found.append({"text": " ".join(picked.values()), "labels": sorted(picked)})
    return found
