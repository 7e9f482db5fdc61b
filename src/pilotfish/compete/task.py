"""A text-classification task: training, held-out and unlabelled texts, split before anything learns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError, did_you_mean
from pilotfish.rows.dedupe import leaks, near_duplicates
from pilotfish.rows.split import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 0.8  # Jaccard similarity of character trigrams from which two texts count as the same
MAX_DEDUPE = 200_000  # beyond this many texts the search for near-duplicates would take minutes


@dataclass(frozen=True)
class TextTask:
    """Texts and labels in three parts, and what was done to get there.

    Attributes:
        train: texts that anything may learn from, with `train_labels`.
        test: held-out texts, with `test_labels`; nothing learns from them.
        tune: indices into `train` kept back while settings (penalty, temperature) are chosen.
        calibrate: indices into `train` kept back for the cascade's threshold; disjoint from `tune`.
        unlabelled: texts without labels.
        labels: every label of the training part, sorted.
        names: label -> the name a prompt shows.
        notes: what a reader should know: duplicates removed, leaks dropped, rows without text.
        unseen: labels of the test part that training never saw, with their counts.
        leaky: indices of test rows that have a near-duplicate among the training rows.
    """

    train: list[str]
    train_labels: list[str]
    test: list[str]
    test_labels: list[str]
    tune: NDArray[np.int64]
    calibrate: NDArray[np.int64]
    unlabelled: list[str]
    labels: list[str]
    names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)
    leaky: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def fit(self) -> NDArray[np.int64]:
        """Indices into `train` of the rows in neither `tune` nor `calibrate`."""
        kept = np.ones(len(self.train), dtype=bool)
        kept[self.tune] = False
        kept[self.calibrate] = False
        return np.flatnonzero(kept)

    def taken(self, where: NDArray[np.int64]) -> tuple[list[str], list[str]]:
        """Return the texts and labels of some training rows."""
        return [self.train[i] for i in where], [self.train_labels[i] for i in where]


def text_task(
    rows: Sequence[Mapping[str, Any]],
    *,
    text: str,
    label: str,
    test: Sequence[Mapping[str, Any]] | None = None,
    unlabelled: Sequence[Mapping[str, Any]] = (),
    names: Mapping[str, str] | None = None,
    test_share: float = 0.25,
    drop_leaks: bool = False,
    seed: int = 0,
) -> TextTask:
    """Make a task of labelled rows.

    Without `test`, near-duplicates are removed first (the first of each group stays), then a stratified share is held
    out. With `test`, both parts are left as they are, so that figures compare with published ones; test rows with a
    near-duplicate among the training rows are told (`leaky`), and `drop_leaks` drops those training rows.

    Raises:
        DataError: no rows, a column is missing, one class only, or fewer than two rows of every class.
    """
    notes: list[str] = []
    leaky: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    groups: NDArray[np.int64] | None = None
    texts, labels = _columns(rows, text, label, "the rows", notes)
    free = _texts(unlabelled, text, notes)
    if test is None:
        texts, labels = _deduplicated(texts, labels, notes)
        _check_classes(labels)
        parts = split(len(texts), {"train": 1 - test_share, "test": test_share}, seed, stratify=labels)
        held = set(parts["test"].tolist())
        test_texts = [texts[i] for i in sorted(held)]
        test_labels = [labels[i] for i in sorted(held)]
        texts, labels = (
            [one for i, one in enumerate(texts) if i not in held],
            [one for i, one in enumerate(labels) if i not in held],
        )
        if not test_texts:
            raise DataError(f"{len(texts):,} rows leave none to hold out for the test: give more rows, or a test file")
        notes.append(f"{len(test_texts):,} of the rows are held out for the test, stratified by label (seed {seed})")
    else:
        test_texts, test_labels = _columns(test, text, label, "the test rows", notes)
        texts, labels, leaky, groups = _leaks(texts, labels, test_texts, notes, drop=drop_leaks)
        _check_classes(labels)
    known = sorted(set(labels))
    missing = Counter(one for one in test_labels if one not in set(known))
    tune, calibrate = _kept_back(labels, groups, seed)
    free = _without(free, test_texts, notes)
    return TextTask(
        texts,
        labels,
        test_texts,
        test_labels,
        tune,
        calibrate,
        free,
        known,
        _names(names, known),
        tuple(notes),
        missing,
        leaky,
    )


def _names(names: Mapping[str, str] | None, labels: Sequence[str]) -> dict[str, str]:
    for name in names or {}:
        if name not in labels:
            raise DataError(f"a name is given for {name!r}, a label no training row has{did_you_mean(name, labels)}")
    return dict(names or {})


def _columns(
    rows: Sequence[Mapping[str, Any]], text: str, label: str, what: str, notes: list[str]
) -> tuple[list[str], list[str]]:
    if not rows:
        raise DataError(f"{what} are empty: nothing to learn from or to measure on")
    for column in (text, label):
        if column not in rows[0]:
            raise DataError(f"{what} have no column {column!r}{did_you_mean(column, rows[0])}")
    texts, labels, empty = [], [], 0
    ids = Counter(str(row["id"]) for row in rows if row.get("id") not in (None, ""))
    repeated = sum(count > 1 for count in ids.values())
    if repeated:
        example = next(name for name, count in ids.items() if count > 1)
        notes.append(f"{repeated:,} ids stand on more than one row of {what} (such as {example!r}); rows are kept")
    for row in rows:
        value, of = row.get(text), row.get(label)
        if not isinstance(value, str) or not value.strip() or _blank(of):
            empty += 1
            continue
        if isinstance(of, list | tuple):
            raise DataError(
                f"{what} have lists in {label!r}: one label a row is told here, and several are what "
                "`pilotfish classify learn --several` teaches"
            )
        texts.append(value)
        labels.append(str(of))
    if empty:
        notes.append(f"{empty:,} of {what} have no text or no label and are left out")
    if not texts:
        raise DataError(f"{what} have no text in {text!r} with a label in {label!r}")
    return texts, labels


def _blank(label: Any) -> bool:
    """Whether a cell holds no label: null, not a number (how some tables write null), or only spaces."""
    return label is None or (isinstance(label, float) and math.isnan(label)) or not str(label).strip()


def _texts(rows: Sequence[Mapping[str, Any]], text: str, notes: list[str]) -> list[str]:
    if rows and text not in rows[0]:
        raise DataError(f"the unlabelled rows have no column {text!r}{did_you_mean(text, rows[0])}")
    texts = [row[text] for row in rows if isinstance(row.get(text), str) and row[text].strip()]
    if len(texts) < len(rows):
        notes.append(f"{len(rows) - len(texts):,} of the unlabelled rows have no text and are left out")
    return texts


def _deduplicated(texts: list[str], labels: list[str], notes: list[str]) -> tuple[list[str], list[str]]:
    if len(texts) > MAX_DEDUPE:
        notes.append(f"near-duplicates are not searched for among more than {MAX_DEDUPE:,} rows")
        return texts, labels
    found = near_duplicates(texts, NEAR, labels=labels)
    if found.removed:
        notes.append(f"{len(found.removed):,} near-duplicates removed before splitting (trigrams, {NEAR:.0%})")
    if found.conflicts:
        one = found.conflicts[0]
        notes.append(
            f"{len(found.conflicts):,} groups of near-duplicates carry different labels, such as "
            f"{' and '.join(sorted({str(label) for label in one.labels}))}: look at these labels"
        )
    return [texts[i] for i in found.keep], [labels[i] for i in found.keep]


def _without(free: list[str], test: list[str], notes: list[str]) -> list[str]:
    """Drop unlabelled texts that are near-duplicates of test texts: a student that learns them has seen the test."""
    if not free or len(free) + len(test) > MAX_DEDUPE:
        return free
    leaked = set(leaks(free, test, NEAR).train.tolist())
    if leaked:
        notes.append(f"{len(leaked):,} unlabelled rows dropped: near-duplicates of test rows")
    return [one for i, one in enumerate(free) if i not in leaked]


def _check_classes(labels: Sequence[str]) -> None:
    counts = Counter(labels)
    if not counts:
        raise DataError("every training row is a near-duplicate of a test row: nothing is left to learn from")
    if len(counts) < 2:
        only = next(iter(counts))
        raise DataError(f"every training row has the label {only!r}: there is nothing to tell apart")
    if max(counts.values()) < 2:
        raise DataError("no label has two rows: this column looks like an id or free text, not a class")
    if len(counts) > max(50, len(labels) // 2):
        raise DataError(f"{len(counts):,} labels for {len(labels):,} rows: this column is free text, not a class")


def _leaks(
    texts: list[str], labels: list[str], test: list[str], notes: list[str], *, drop: bool
) -> tuple[list[str], list[str], NDArray[np.int64], NDArray[np.int64] | None]:
    """Return training texts and labels, the test rows that have a near-duplicate among them, and groups of the former.

    Groups keep near-duplicates together when rows are kept back, so that no threshold is chosen on rows that were seen.
    """
    if len(texts) + len(test) > MAX_DEDUPE:
        notes.append(f"near-duplicates are not searched for among more than {MAX_DEDUPE:,} rows")
        return texts, labels, np.zeros(0, dtype=np.int64), None
    found = leaks(texts, test, NEAR)
    leaked = set(found.train.tolist())
    leaky = np.unique([there for _, there, _ in found.pairs]).astype(np.int64)
    if leaked and drop:
        notes.append(f"{len(leaked):,} training rows dropped: near-duplicates of test rows (trigrams)")
        labels = [one for i, one in enumerate(labels) if i not in leaked]
        texts = [one for i, one in enumerate(texts) if i not in leaked]
        leaky = np.zeros(0, dtype=np.int64)
    elif leaked:
        notes.append(
            f"{len(leaked):,} training rows are near-duplicates of {len(leaky):,} test rows; both parts are left as "
            "they are (`--drop-leaks` drops those training rows)"
        )
    return texts, labels, leaky, near_duplicates(texts, NEAR).group if texts else None


def _kept_back(
    labels: Sequence[str], groups: NDArray[np.int64] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows kept back for tuning and for the threshold: a tenth and a tenth, 1,000 rows each at most."""
    share = min(0.1, 1000 / len(labels))
    shares = {"train": 1 - 2 * share, "tune": share, "calibrate": share}
    parts = split(len(labels), shares, seed + 1, stratify=list(labels), group=groups)
    return parts["tune"], parts["calibrate"]
