"""Training rows that hold a test row, stand in one, or nearly say the same: found, named, and taken out.

Three looks, each on normalised texts (case, punctuation and white space do not count):

- n-grams: 13 words in a row that a row shares with a test row (Brown et al. 2020, appendix C). Where either text has
  fewer than 13 words but at least 8, all of it must stand in the other; where fewer still, both must be the same;
- near-duplicates, by the Jaccard similarity of n-grams of characters or words, exactly or by MinHash;
- vectors of an encoder, where they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._overlap import Overlap
from pilotfish.rows._shingles import normalised
from pilotfish.rows.dedupe import THRESHOLD, leaks
from pilotfish.rows.vectors import THRESHOLD as COSINE
from pilotfish.rows.vectors import vector_leaks

__all__ = ["NGRAM", "SHORTEST", "Contamination", "Hit", "decontaminate"]

NGRAM, SHORTEST = 13, 8
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hit:
    """Why a row is taken out: one a row, test set and way.

    Attributes:
        row: the row.
        test: the name of the test set.
        test_row: its row: the first that has the n-gram, or the nearest.
        how: `ngram`, `near` or `vector`.
        ngram: the words that both have; empty for the other ways.
        similarity: Jaccard or cosine; 1 for n-grams.
    """

    row: int
    test: str
    test_row: int
    how: str
    ngram: str = ""
    similarity: float = 1.0

    @property
    def reason(self) -> str:
        """One line, row numbers from 1."""
        where = f"row {self.test_row + 1} of {self.test}"
        if self.how == "ngram":
            return f"contaminated: shares {self.ngram!r} with {where}"
        what = "Jaccard" if self.how == "near" else "cosine"
        return f"contaminated: near {where}, {what} {self.similarity:.3f}"


@dataclass(frozen=True, eq=False)
class Contamination:
    """What was found.

    Attributes:
        rows: how many rows were looked at.
        hits: why rows go, in order of row, test set and way.
        touched: of each test set the rows that some training row touches.
        sizes: rows of each test set.
    """

    rows: int
    hits: tuple[Hit, ...]
    touched: dict[str, Ints]
    sizes: dict[str, int]

    @property
    def removed(self) -> list[int]:
        """The rows to drop, in order."""
        return sorted({hit.row for hit in self.hits})

    @property
    def keep(self) -> list[int]:
        """The other rows, in order."""
        gone = set(self.removed)
        return [row for row in range(self.rows) if row not in gone]

    @property
    def removed_ratio(self) -> float:
        """The share of rows to drop; 0 for no rows."""
        return len(self.removed) / self.rows if self.rows else 0.0

    @property
    def first(self) -> dict[int, Hit]:
        """For each row to drop its first hit."""
        out: dict[int, Hit] = {}
        for hit in self.hits:
            out.setdefault(hit.row, hit)
        return out

    def to_json(self, examples: int = 20) -> dict[str, Any]:
        """Return the counts, by test set and way, and the first few hits as plain data."""
        ways = ("ngram", "near", "vector")
        return {
            "rows": self.rows,
            "kept": self.rows - len(self.removed),
            "removed": len(self.removed),
            "removed_ratio": self.removed_ratio,
            "tests": {
                name: {
                    "rows": size,
                    "touched": len(self.touched[name]),
                    "removed": len({hit.row for hit in self.hits if hit.test == name}),
                    **{how: sum(hit.test == name and hit.how == how for hit in self.hits) for how in ways},
                }
                for name, size in self.sizes.items()
            },
            "hits": [{name: getattr(hit, name) for name in Hit.__slots__} for hit in self.hits[:examples]],
        }


def decontaminate(
    texts: Sequence[str],
    tests: Mapping[str, Sequence[str]],
    *,
    ngram: int | None = NGRAM,
    shortest: int = SHORTEST,
    common: int | None = None,
    threshold: float | None = THRESHOLD,
    near_ngram: int = 3,
    unit: str = "char",
    method: str = "auto",
    vectors: ArrayLike | None = None,
    test_vectors: Mapping[str, ArrayLike] | None = None,
    cosine: float = COSINE,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Contamination:
    """Find the rows that test sets have touched.

    Args:
        texts: the rows' texts.
        tests: name -> texts of a test set.
        ngram: words an n-gram; None does not look for them.
        shortest: the fewest words of a text that are looked for inside a longer one.
        common: n-grams in more rows than this do not count, being turns of phrase (Brown et al. take 10); None counts
            all: a generator may well repeat a test row fifty times.
        threshold: the least Jaccard similarity of near texts; None does not look for them.
        near_ngram: characters or words an n-gram of these.
        unit: `char` or `word`.
        method: `exact`, `minhash` or `auto`, as for `near_duplicates`.
        vectors: (rows, dimensions) vectors of the texts; None does not look at meaning.
        test_vectors: name -> (rows, dimensions), for the same test sets.
        cosine: the least cosine of near vectors.
        seed: of MinHash.
        progress: called with numbers of rows, whose sum is rows times test sets, while n-grams are looked up.

    Raises:
        ConfigError: no test set, nothing to look for, or a setting is out of range.
        DataError: not as many vectors as texts.
    """
    if not tests:
        raise ConfigError("decontamination needs at least one test set")
    if ngram is None and threshold is None and vectors is None:
        raise ConfigError("nothing to look for: neither n-grams, near-duplicates nor vectors")
    if ngram is not None and not (1 <= ngram <= 64 and shortest >= 1):
        raise ConfigError(f"an n-gram has 1 to 64 words and the shortest text 1 or more, not {ngram} and {shortest}")
    if common is not None and common < 1:
        raise ConfigError(f"n-grams are common in more than at least 1 row, not {common}")
    touched: dict[str, list[Ints]] = {name: [np.empty(0, np.int64)] for name in tests}
    hits: list[Hit] = []
    if ngram is not None:
        plain = [normalised(text) for text in texts]
        for name, test in tests.items():
            index = Overlap([normalised(text) for text in test], ngram, shortest)
            shared = index.find(plain, progress)
            if common is not None:
                shared = index.rare(shared, common)
            touched[name].append(index.touched(shared))
            for place in np.unique(shared.row, return_index=True)[1].tolist():
                test_row, words = index.shown(shared, place, plain)
                hits += [Hit(int(shared.row[place]), name, test_row, "ngram", words)] if words else []
    pairs: list[tuple[str, str, tuple[tuple[int, int, float], ...]]] = []
    if threshold is not None:
        every = [text for test in tests.values() for text in test]
        found = leaks(texts, every, threshold, ngram=near_ngram, unit=unit, method=method, seed=seed)
        start = 0
        for name, test in tests.items():
            stop = start + len(test)
            pairs.append((name, "near", tuple((a, b - start, s) for a, b, s in found.pairs if start <= b < stop)))
            start = stop
    if vectors is not None:
        for name, (mine, theirs) in _vectors(len(texts), vectors, tests, test_vectors or {}).items():
            pairs.append((name, "vector", vector_leaks(mine, theirs, cosine).pairs))
    for name, how, near in pairs:
        nearest: dict[int, tuple[int, float]] = {}
        for row, test_row, similarity in near:  # the nearest come first
            nearest.setdefault(row, (test_row, similarity))
        hits += [Hit(row, name, test_row, how, "", similarity) for row, (test_row, similarity) in nearest.items()]
        touched[name].append(np.array([test_row for _, test_row, _ in near], dtype=np.int64))
    order = {name: place for place, name in enumerate(tests)}
    hits.sort(key=lambda hit: (hit.row, order[hit.test], ("ngram", "near", "vector").index(hit.how)))
    return Contamination(
        rows=len(texts),
        hits=tuple(hits),
        touched={name: np.unique(np.concatenate(parts)) for name, parts in touched.items()},
        sizes={name: len(test) for name, test in tests.items()},
    )


def _vectors(
    rows: int, vectors: ArrayLike, tests: Mapping[str, Sequence[str]], given: Mapping[str, ArrayLike]
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    mine = np.asarray(vectors)
    if len(mine) != rows:
        raise DataError(f"{rows} texts but {len(mine)} vectors")
    out = {}
    for name, test in tests.items():
        if name not in given:
            raise DataError(f"no vectors of the test set {name!r}")
        out[name] = (mine, np.asarray(given[name]))
        if len(out[name][1]) != len(test):
            raise DataError(f"the test set {name!r} has {len(test)} texts but {len(out[name][1])} vectors")
    return out
