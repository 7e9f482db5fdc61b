"""What many sources say of many rows: classes or probabilities; a source that says nothing of a row abstains.

A vote is kept in pieces: a class is one piece of share 1, a probability vector one piece a class that it gives a share.
To label models a soft vote is a vote that was not seen for certain: it was for each class with the probability given.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._extras import need
from pilotfish.errors import DataError, did_you_mean
from pilotfish.measure._votes_read import (
    Label,
    classes_of,
    coded,
    coded_labels,
    named,
    one_each,
    soft_pieces,
    table_pieces,
    unknown,
)

__all__ = ["Gold", "Label", "Votes"]

Gold = Mapping[Any, Label] | Sequence[Any] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Votes:
    """The votes of sources on rows, in pieces sorted by row, source, class. Make one with a `from_...` method.

    Attributes:
        row: (pieces,) places in `ids`, rising.
        source: (pieces,) places in `sources`.
        label: (pieces,) places in `classes`.
        share: (pieces,) above 0, float64; the pieces of one vote sum to 1.
        classes: the labels that can be voted for, at least two.
        sources: the sources' names.
        ids: one a row, those without a vote too.
    """

    row: NDArray[np.int64]
    source: NDArray[np.int64]
    label: NDArray[np.int64]
    share: NDArray[np.float64]
    classes: tuple[Label, ...]
    sources: tuple[str, ...]
    ids: Sequence[Hashable]

    @classmethod
    def from_table(
        cls,
        table: ArrayLike | Sequence[Sequence[Any]],
        *,
        classes: Iterable[Label] | None = None,
        sources: Iterable[Hashable] | None = None,
        ids: Sequence[Hashable] | None = None,
        abstain: int = -1,
    ) -> Votes:
        """Return the votes of a (rows, sources) table of labels.

        Args:
            table: labels, with `abstain`, None or NaN where a source says nothing. Whole numbers are places in
                `classes` where the classes are words.
            classes: all labels; by default those in the table, sorted.
            sources: names, one a column; by default "0", "1", ...
            ids: one a row; by default 0, 1, ...
            abstain: the number that stands for no vote.

        Raises:
            DataError: no table, a label that is no class (row and source are told), or names that do not fit.
        """
        row, source, labels, shape = table_pieces(table, abstain)
        names = named(range(shape[1]) if sources is None else sources, shape[1], "sources")
        keys = range(shape[0]) if ids is None else one_each(ids, shape[0])
        known = classes_of(labels, classes)
        label = coded_labels(labels, known, lambda at: (keys[row[at]], names[source[at]]))
        return cls._sorted(row, source, label, np.ones(len(row)), known, names, keys)

    @classmethod
    def from_triples(cls, triples: Iterable[tuple[Hashable, Hashable, Label]], **options: Any) -> Votes:
        """Return the votes of (row, source, label) triples, as crowds give them; options as for `from_columns`.

        Raises:
            DataError: one that is no triple; or as for `from_columns`.
        """
        said: list[Any] = list(triples)
        for at, one in enumerate(said):
            if len(one) != 3:
                raise DataError(f"vote {at}: a row, a source and a label are wanted, not {one!r}")
        rows, sources, labels = ([one[part] for one in said] for part in range(3))
        return cls.from_columns(rows, sources, labels, **options)

    @classmethod
    def from_columns(
        cls,
        rows: Sequence[Hashable] | NDArray[Any],
        sources: Sequence[Hashable] | NDArray[Any],
        labels: Sequence[Label] | NDArray[Any],
        *,
        classes: Iterable[Label] | None = None,
        names: Iterable[Hashable] | None = None,
        ids: Sequence[Hashable] | None = None,
        repeats: Literal["refuse", "last"] = "refuse",
    ) -> Votes:
        """Return the votes that three columns of one length give, one vote a place.

        Args:
            rows: the rows' ids.
            sources: who says it.
            labels: what is said.
            classes: all labels; by default those given, sorted.
            names: all sources; by default those given, in the order they come in.
            ids: all rows, those without a vote too; by default those given, in the order they come in.
            repeats: a source that speaks twice of a row is refused, or its last word counts.

        Raises:
            DataError: no votes, columns of several lengths, a label, source or row that is not among those given, or a
                second vote of a source on a row.
        """
        if not len(rows) == len(sources) == len(labels):
            raise DataError(f"{len(rows)} rows, {len(sources)} sources, {len(labels)} labels: a vote has one of each")
        if not len(rows):
            raise DataError("there are no votes")
        row, keys = coded(rows, ids, "row")
        source, found = coded(sources, None if names is None else list(names), "source")
        known = classes_of(labels, classes)
        label = coded_labels(labels, known, lambda at: (rows[at], sources[at]))
        if repeats == "last":
            pair = row * len(found) + source
            _, last = np.unique(pair[::-1], return_index=True)
            kept = np.sort(len(pair) - 1 - last)
            row, source, label = row[kept], source[kept], label[kept]
        elif repeats != "refuse":
            raise DataError(f'repeats is "refuse" or "last", not {repeats!r}')
        own = named(found, len(found), "sources")
        return cls._sorted(row, source, label, np.ones(len(row)), known, own, keys)

    @classmethod
    def from_soft(
        cls,
        probabilities: ArrayLike,
        *,
        classes: Iterable[Label] | None = None,
        sources: Iterable[Hashable] | None = None,
        ids: Sequence[Hashable] | None = None,
    ) -> Votes:
        """Return the votes of (rows, sources, classes) probabilities; NaN for all classes is to abstain.

        Args:
            probabilities: each vote sums to 1, give or take .001.
            classes: the labels, one a place of the last axis; by default 0, 1, ...
            sources: names, one a place of the middle axis; by default "0", "1", ...
            ids: one a row; by default 0, 1, ...

        Raises:
            DataError: another shape, or a vote that is no probability vector (row and source are told).
        """
        given = np.asarray(probabilities, np.float64)
        if given.ndim != 3:
            raise DataError(f"soft votes are (rows, sources, classes); got shape {given.shape}")
        keys = range(len(given)) if ids is None else one_each(ids, len(given))
        names = named(range(given.shape[1]) if sources is None else sources, given.shape[1], "sources")
        known = classes_of([], range(given.shape[2]) if classes is None else classes)
        if len(known) != given.shape[2]:
            raise DataError(f"{len(known)} classes but probabilities of {given.shape[2]}")
        row, source, label, share = soft_pieces(given, lambda i, s: (keys[i], names[s]))
        return cls._sorted(row, source, label, share, known, names, keys)

    @classmethod
    def _sorted(
        cls,
        row: NDArray[np.int64],
        source: NDArray[np.int64],
        label: NDArray[np.int64],
        share: NDArray[np.float64],
        classes: tuple[Label, ...],
        sources: tuple[str, ...],
        ids: Sequence[Hashable],
    ) -> Votes:
        key = (row * len(sources) + source) * len(classes) + label
        if (np.diff(key) < 0).any():
            order = np.argsort(key, kind="stable")
            row, source, label, share = row[order], source[order], label[order], share[order]
        votes = cls(row, source, label, share, classes, sources, ids)
        # A soft vote has several pieces, but no more than 1 in all; two votes of one source on one row have 2.
        twice = np.flatnonzero(np.add.reduceat(share, votes.starts) > 1.5).tolist() if len(share) else []
        if twice:
            at = votes.starts[twice[0]]
            where = f"row {ids[row[at]]!r}, source {sources[source[at]]!r}"
            raise DataError(f'{where}: more than one vote; drop all but one, or pass repeats="last"')
        return votes

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(votes,) the first piece of each vote."""
        if not len(self.row):
            return np.zeros(0, np.int64)
        new = (np.diff(self.row) != 0) | (np.diff(self.source) != 0)
        return np.concatenate([[0], np.flatnonzero(new) + 1]).astype(np.int64)

    def __len__(self) -> int:
        """How many votes: a source's word on a row, hard or soft, is one."""
        return len(self.starts)

    @property
    def rows(self) -> int:
        """How many rows, those without a vote too."""
        return len(self.ids)

    @property
    def hard(self) -> bool:
        """Whether each vote is for one class."""
        return len(self.starts) == len(self.row)

    @cached_property
    def voted(self) -> NDArray[np.bool_]:
        """(rows,) whether any source says anything of the row."""
        found = np.zeros(self.rows, np.bool_)
        found[self.row] = True
        return found

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """(rows, classes) votes for each class, soft ones by their shares."""
        k = len(self.classes)
        found = np.bincount(self.row * k + self.label, self.share, self.rows * k)
        return np.asarray(found, np.float64).reshape(self.rows, k)

    @cached_property
    def table(self) -> Any:
        """The votes as a sparse matrix (rows, sources * classes) of shares; column = source * classes + class."""
        sparse = need("scipy.sparse", "train")
        k = len(self.classes)
        ends = np.searchsorted(self.row, np.arange(self.rows + 1))
        return sparse.csr_matrix(
            (self.share, self.source * k + self.label, ends), shape=(self.rows, len(self.sources) * k)
        )

    @cached_property
    def sure(self) -> Any:
        """The hard votes alone, as a sparse matrix (rows, sources * classes) like `table`."""
        kept = np.repeat(
            np.diff(np.append(self.starts, len(self.row))) == 1, np.diff(np.append(self.starts, len(self.row)))
        )
        parts = (self.row[kept], self.source[kept], self.label[kept], self.share[kept])
        return self.table if kept.all() else Votes(*parts, self.classes, self.sources, self.ids).table

    @cached_property
    def unsure(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The soft votes: row (votes,), source (votes,) and shares (votes, classes)."""
        many = np.diff(np.append(self.starts, len(self.row)))
        soft = self.starts[many > 1]
        shares = np.zeros((len(soft), len(self.classes)))
        kept = np.repeat(many > 1, many)
        shares[np.repeat(np.arange(len(soft)), many[many > 1]), self.label[kept]] = self.share[kept]
        return self.row[soft], self.source[soft], shares

    @cached_property
    def tops(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Row, source and likeliest class of each vote, (votes,) each; -1 where classes share the lead."""
        best = np.maximum.reduceat(self.share, self.starts) if len(self) else self.share
        vote = np.zeros(len(self.row), np.int64)
        vote[self.starts[1:]] = 1
        lead = self.share >= best[np.cumsum(vote)] - 1e-12 if len(self) else np.zeros(0, np.bool_)
        label = np.full(len(self), -1, np.int64)
        label[np.cumsum(vote)[lead]] = self.label[lead]
        if len(self):
            label[np.add.reduceat(lead.astype(np.int64), self.starts) > 1] = -1
        return self.row[self.starts], self.source[self.starts], label

    def take(self, rows: ArrayLike) -> Votes:
        """Return the votes on some rows, by their places, in that order; the sources stay.

        Raises:
            DataError: a place that is none, or one given twice.
        """
        places = np.asarray(rows)
        places = np.flatnonzero(places) if places.dtype == np.bool_ else places.astype(np.int64)
        if len(np.unique(places)) < len(places) or (len(places) and not 0 <= places.min() <= places.max() < self.rows):
            raise DataError(f"rows to take are places from 0 to {self.rows - 1}, each once")
        new = np.full(self.rows, -1, np.int64)
        new[places] = np.arange(len(places))
        kept = new[self.row] >= 0
        ids = [self.ids[place] for place in places.tolist()]
        parts = (new[self.row[kept]], self.source[kept], self.label[kept], self.share[kept])
        return self._sorted(*parts, self.classes, self.sources, ids)

    def only(self, sources: Iterable[str]) -> Votes:
        """Return the votes of some sources, which then have the order given; all rows stay.

        Raises:
            DataError: a source that is not there.
        """
        names = named(sources, None, "sources")
        place = {name: at for at, name in enumerate(names)}
        for name in names:
            if name not in set(self.sources):
                raise DataError(f"no source {name!r}{did_you_mean(name, self.sources)}")
        new = np.array([place.get(name, -1) for name in self.sources], np.int64)[self.source]
        kept = new >= 0
        parts = (self.row[kept], new[kept], self.label[kept], self.share[kept])
        return self._sorted(*parts, self.classes, names, self.ids)

    def seen_by(self, sources: tuple[str, ...], classes: tuple[Label, ...]) -> Votes:
        """Return these votes with the sources and classes that a model knows, in its order.

        Raises:
            DataError: other classes, or a vote of a source that the model does not know.
        """
        if set(self.classes) != set(classes):
            raise DataError(f"the model knows the classes {list(classes)}, the votes have {list(self.classes)}")
        if (self.sources, self.classes) == (sources, classes):
            return self
        place = {name: at for at, name in enumerate(sources)}
        new = np.array([place.get(name, -1) for name in self.sources], np.int64)[self.source]
        if (new < 0).any():
            name = self.sources[self.source[new < 0][0]]
            raise DataError(f"the model has not seen source {name!r}; fit it anew, or leave its votes out (`only`)")
        code = {label: at for at, label in enumerate(classes)}
        label = np.array([code[one] for one in self.classes], np.int64)[self.label]
        return self._sorted(self.row, new, label, self.share, classes, sources, self.ids)

    def beside(self, other: Votes) -> Votes:
        """Return the votes of both on the same rows, as hard ones of rules beside soft ones of classifiers.

        Raises:
            DataError: other rows, other classes, or a source in both.
        """
        if list(self.ids) != list(other.ids) or set(self.classes) != set(other.classes):
            raise DataError("votes that stand side by side are on the same rows, in one order, with the same classes")
        if both := set(self.sources) & set(other.sources):
            raise DataError(f"source {sorted(both)[0]!r} is on both sides; give it two names")
        right = other.seen_by(other.sources, self.classes)
        pairs = [(self.row, right.row), (self.source, right.source + len(self.sources))]
        pairs.append((self.label, right.label))
        row, source, label = (np.concatenate(pair) for pair in pairs)
        share = np.concatenate([self.share, right.share])
        return self._sorted(row, source, label, share, self.classes, self.sources + right.sources, self.ids)

    def truth(self, gold: Gold | None) -> NDArray[np.int64]:
        """Return what is known of the rows' true classes: (rows,) places in `classes`, -1 where nothing is.

        Args:
            gold: a mapping from row ids to labels; or one label a row with None (or -1, where that is no class) for not
                known; or None.

        Raises:
            DataError: a row that has no place here, a label that is no class, or not one a row.
        """
        known = np.full(self.rows, -1, np.int64)
        if gold is None:
            return known
        if isinstance(gold, Mapping):
            place = {key: at for at, key in enumerate(self.ids)}
            if missing := [key for key in gold if key not in place]:
                raise DataError(f"gold row {missing[0]!r} is not among the rows of the votes")
            pairs = [(place[key], label) for key, label in gold.items()]
        else:
            if len(gold) != self.rows:
                raise DataError(f"{len(gold)} gold labels for {self.rows} rows: give one a row, None where not known")
            pairs = list(enumerate(gold.tolist() if isinstance(gold, np.ndarray) else gold))
        code: dict[Any, int] = {label: at for at, label in enumerate(self.classes)}
        for at, label in pairs:
            if unknown(label) or (label == -1 and -1 not in code):
                continue
            if label not in code:
                raise DataError(f"gold row {self.ids[at]!r}: {label!r} is not among the classes {list(self.classes)}")
            known[at] = code[label]
        return known
