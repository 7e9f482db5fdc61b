"""Teach one small classifier of several labels a text, and measure it; what nothing is learnt from sets thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.classify import assert_encoder, features_of
from pilotfish.compete.further import LORA
from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.measure.members import MemberScores, member_scores, member_table
from pilotfish.models.classify import EncoderFeatures, SeveralClassifier, SigmoidHead
from pilotfish.models.classify.several import label_set
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.split import split
from pilotfish.train.several import FIT, tuned_several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder

__all__ = ["SeveralMade", "SeveralTask", "several_task", "teach_several"]

NEAR = 0.8  # Jaccard similarity of character trigrams from which two texts count as the same
MAX_DEDUPE = 200_000


@dataclass(frozen=True)
class SeveralTask:
    """Texts with sets of labels, in three parts.

    Attributes:
        labels: every label of the training part, sorted.
        train, tune, test: texts to learn from, to set thresholds by, and to measure on.
        train_sets, tune_sets, test_sets: (texts, labels) which each has.
        unknown: labels of held-out rows that training lacks; nothing can be right on them.
    """

    labels: list[str]
    train: list[str]
    train_sets: NDArray[np.bool_]
    tune: list[str]
    tune_sets: NDArray[np.bool_]
    test: list[str]
    test_sets: NDArray[np.bool_]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeveralMade:
    """A classifier of several labels, and what it is worth on the held-out rows."""

    classifier: SeveralClassifier
    scores: MemberScores
    rows: int
    kept_back: int

    def to_json(self) -> dict[str, Any]:
        """Return what was measured as plain data."""
        return {"rows": self.rows, "kept_back": self.kept_back, **self.scores.to_json()}

    def __str__(self) -> str:
        return f"{self.scores}, {self.scores.exact.n:,} held-out rows; learnt from {self.rows:,}"


def several_task(
    rows: Sequence[Mapping[str, Any]],
    *,
    text: str,
    label: str,
    separator: str | None = None,
    test: Sequence[Mapping[str, Any]] | None = None,
    test_share: float = 0.25,
    tune_share: float = 0.15,
    seed: int = 0,
) -> SeveralTask:
    """Make a task of rows whose label is a list, a JSON list, or a text with a separator.

    Near-duplicates fall on one side of every split. A row without any label is one of none, and counts.

    Raises:
        DataError: a column is missing, a cell is no set of labels, or there are fewer than two labels.
    """
    texts, sets = _read(rows, text, label, separator)
    held: tuple[list[str], list[list[str]]] = ([], [])
    shares = {"train": 1 - tune_share, "tune": tune_share}
    if test is None:
        shares = {"train": (1 - tune_share) * (1 - test_share), "tune": tune_share * (1 - test_share)}
        shares["test"] = test_share
    else:
        held = _read(test, text, label, separator)
    groups = near_duplicates(texts, NEAR).group if len(texts) <= MAX_DEDUPE else None
    parts = split(len(texts), shares, seed, group=groups)
    if test is None:
        held = ([texts[i] for i in parts["test"]], [sets[i] for i in parts["test"]])
    labels = sorted({one for i in parts["train"] for one in sets[i]})
    if len(labels) < 2:
        raise DataError(f"column {label!r} holds {len(labels)} different labels, and two are needed: give a separator?")
    known = set(labels)
    unknown = sorted({one for some in held[1] for one in some} - known)

    def part(where: NDArray[np.int64]) -> tuple[list[str], NDArray[np.bool_]]:
        own = [[one for one in sets[i] if one in known] for i in where]
        return [texts[i] for i in where], member_table(own, labels)

    train, tune = part(parts["train"]), part(parts["tune"])
    tested = member_table([[one for one in some if one in known] for some in held[1]], labels)
    return SeveralTask(labels, *train, *tune, held[0], tested, tuple(unknown))


def teach_several(
    task: SeveralTask,
    kind: str,
    encoder: Encoder | None = None,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    settings: dict[str, Any] | None = None,
) -> SeveralMade:
    """Teach a classifier of several labels: linear heads (tfidf, encoder, static), or the encoder (tuned, lora).

    Args:
        task: rows, split.
        kind: of these five.
        encoder: what all but tfidf stand on; it stays as it is.
        seed: of what is random.
        folder: where checkpoints lie; None keeps none.
        settings: of the training (`Fit`'s), over the usual ones.

    Raises:
        ConfigError: a kind that has no several labels, or it needs an encoder.
    """
    assert_encoder(kind, encoder)
    if kind in ("bag", "contrastive"):
        raise ConfigError(f"a classifier of the kind {kind} gives one label; of several: tfidf, encoder, static, tuned")
    if kind in ("tuned", "lora"):
        assert encoder is not None
        how = replace(LORA if kind == "lora" else FIT, **{"seed": seed, **(settings or {})})
        tuned, head = tuned_several(encoder, task.train, task.train_sets, task.labels, how, folder=folder)
        classifier = SeveralClassifier(EncoderFeatures(tuned, own=True), head)
    else:
        if settings:
            raise ConfigError(f"a classifier of the kind {kind} is linear: there is nothing to set in its training")
        features = features_of(kind, encoder).fit(task.train)
        head = SigmoidHead().fit(features.transform(task.train), task.train_sets, task.labels)
        classifier = SeveralClassifier(features, head)
    if task.tune:
        classifier.head.tune(classifier.features.transform(task.tune), task.tune_sets)
    said = classifier.head.said(classifier.predict_proba(task.test))
    scores = member_scores(task.test_sets, said, task.labels, seed=seed)
    return SeveralMade(classifier, scores, len(task.train), len(task.tune))


def _read(
    rows: Sequence[Mapping[str, Any]], text: str, label: str, separator: str | None
) -> tuple[list[str], list[list[str]]]:
    if not rows:
        raise DataError("no rows: nothing to learn from or to measure on")
    for column in (text, label):
        if column not in rows[0]:
            raise DataError(f"the rows have no column {column!r}{did_you_mean(column, rows[0])}")
    texts, sets = [], []
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get(text), str) or not row[text].strip():
            continue
        try:
            sets.append(label_set(row.get(label), separator))
        except DataError as error:
            raise DataError(f"row {number}, column {label!r}: {error}") from None
        texts.append(row[text])
    if not texts:
        raise DataError(f"no row has a text in {text!r}")
    return texts, sets
