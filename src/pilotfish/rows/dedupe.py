"""Near-duplicates, found before rows are split, so that no test row is a training row in other clothes.

Two texts are the same when they agree after `normalised` (Unicode form, case, punctuation, white space); they are near
when the Jaccard similarity of their sets of n-grams, characters by threes unless said otherwise, reaches a threshold.
Two methods look for near texts. `exact` finds every pair: 10,000 short texts take a second, 100,000 half a minute.
`minhash` finds nearly every group (the candidates are drawn by sketches, then compared exactly): 100,000 short texts
take about two seconds, and long texts little more. `auto` takes the exact one up to two million characters in all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.rows._duplicates import Conflict, Duplicates, Leaks, grouped
from pilotfish.rows._grams import UNITS
from pilotfish.rows._near import MinHash, near_across, near_within
from pilotfish.rows._row import Rows, need_columns
from pilotfish.rows._shingles import normalised, shingles, similar_pairs

__all__ = ["METHODS", "Conflict", "Duplicates", "Leaks", "dedupe", "leaks", "near_duplicates"]

Ints = NDArray[np.int64]
THRESHOLD = 0.8
METHODS = ("auto", "exact", "minhash")
_EXACT = 2_000_000  # characters that `auto` still compares exactly


def near_duplicates(
    texts: Sequence[str],
    threshold: float = THRESHOLD,
    *,
    labels: Sequence[Hashable] | None = None,
    ngram: int = 3,
    unit: str = "char",
    method: str = "auto",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Duplicates:
    """Group the texts that say the same.

    Args:
        texts: the texts.
        threshold: the least Jaccard similarity of near texts, above 0; 1 asks for equal sets of n-grams.
        labels: one a text; groups with several different ones are reported as conflicts. None labels nothing.
        ngram: characters or words an n-gram; more is stricter about small changes, and faster.
        unit: n-grams of `char` or of `word`.
        method: `exact`, `minhash`, or `auto`, by size.
        seed: of MinHash; the exact method has none.
        progress: called with the number of texts that MinHash has sketched, some at a time.

    Raises:
        ConfigError: the threshold, the n-gram length, the unit or the method is not one.
        DataError: there are not as many labels as texts.
    """
    _check(threshold, ngram, unit, method)
    if labels is not None and len(labels) != len(texts):
        raise DataError(f"{len(texts)} texts but {len(labels)} labels")
    unique, firsts, first_of = _distinct(texts)
    if _exactly(method, unique):
        near = similar_pairs(shingles(unique, ngram, unit), threshold)
    else:
        how = MinHash(threshold, ngram, unit, seed=seed)
        near = near_within(how.sketched(unique, progress), how, unique)
    return grouped(firsts, first_of, near, labels)


def dedupe(
    rows: Rows,
    *,
    text: str = "text",
    label: str | None = None,
    threshold: float = THRESHOLD,
    ngram: int = 3,
    unit: str = "char",
    method: str = "auto",
    seed: int = 0,
) -> tuple[Rows, Duplicates]:
    """Return the rows without later duplicates, and what was found.

    Args:
        rows: the rows; they are not changed.
        text: the column that is compared.
        label: the column whose differences within a group are reported.
        threshold: as for `near_duplicates`, like all that follow.
        ngram: characters or words an n-gram.
        unit: n-grams of `char` or of `word`.
        method: `exact`, `minhash`, or `auto`, by size.
        seed: of MinHash.

    Raises:
        ConfigError: the threshold, the n-gram length, the unit or the method is not one.
        DataError: a row lacks a column, or its text is none.
    """
    for place, row in enumerate(rows):
        need_columns(row, text, *([label] if label else []), source=f"row {place + 1}")
        if not isinstance(row[text], str):
            raise DataError(f"row {place + 1}: column {text!r} is {type(row[text]).__name__}, not text")
    labels = [row[label] for row in rows] if label else None
    found = near_duplicates(
        [row[text] for row in rows], threshold, labels=labels, ngram=ngram, unit=unit, method=method, seed=seed
    )
    return [rows[place] for place in found.keep], found


def leaks(
    train: Sequence[str],
    test: Sequence[str],
    threshold: float = THRESHOLD,
    *,
    ngram: int = 3,
    unit: str = "char",
    method: str = "auto",
    seed: int = 0,
) -> Leaks:
    """Return which training texts are the same as, or near, a test text.

    Drop them from the training set, not from the test set: the test set is what others measure on too.

    Raises:
        ConfigError: the threshold, the n-gram length, the unit or the method is not one.
    """
    _check(threshold, ngram, unit, method)
    if not len(train) or not len(test):
        return Leaks(np.empty(0, np.int64))
    texts = [normalised(text) for text in (*train, *test)]
    if _exactly(method, texts):
        left, right, similarity = similar_pairs(shingles(texts, ngram, unit), threshold, split=len(train))
    else:
        how = MinHash(threshold, ngram, unit, seed=seed)
        left, right, similarity = near_across(how.sketched(texts), how, len(train), texts)
    pairs = [(int(a), int(b) - len(train), round(float(s), 6)) for a, b, s in zip(left, right, similarity, strict=True)]
    return Leaks(np.unique(left), tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))))


def _check(threshold: float, ngram: int, unit: str, method: str) -> None:
    if not 0 < threshold <= 1:
        raise ConfigError(f"the threshold of near-duplicates must be above 0 and at most 1, not {threshold}")
    if unit not in UNITS:
        raise ConfigError(f"n-grams are of {' or '.join(UNITS)}, not {unit!r}")
    if not 1 <= ngram <= 16:
        raise ConfigError(f"an n-gram has 1 to 16 {'characters' if unit == 'char' else 'words'}, not {ngram}")
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r} to find near-duplicates{did_you_mean(method, METHODS)}")


def exactly(texts: Sequence[str]) -> bool:
    """Say whether `auto` is exact for these texts."""
    return sum(map(len, texts)) <= _EXACT


def _exactly(method: str, texts: Sequence[str]) -> bool:
    return method == "exact" or (method == "auto" and exactly(texts))


def _distinct(texts: Sequence[str]) -> tuple[list[str], Ints, Ints]:
    """Return the distinct normalised texts, the first text of each, and for each text its distinct one."""
    place: dict[str, int] = {}
    firsts: list[int] = []
    first_of = np.empty(len(texts), np.int64)
    for index, text in enumerate(texts):
        key = normalised(text)
        if key not in place:
            place[key] = len(firsts)
            firsts.append(index)
        first_of[index] = place[key]
    return list(place), np.array(firsts, dtype=np.int64), first_of
