"""Passages that stand in several rows, or twice in one: cut out, or the row left out.

Source: Lee et al. 2022 (Deduplicating Training Data Makes Language Models Better), section 4.2, exact substrings of 50
tokens or more. They build a suffix array; here every run of 50 words is hashed, and equal hashes are brought together.
What is found is the same: a passage of 50 or more repeats just where each run of 50 in it does. A token is a word
between white space, so 50 are somewhat more text than 50 of their byte-pair tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._corpus import in_batches
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row
from pilotfish.rows._sketch_parts import parts_of
from pilotfish.rows._sketch_windows import window_hashes

__all__ = ["Substrings"]

_ROOM = 1 << 22  # windows that are sorted at a time
_WORD = re.compile(r"\S+")


class Substrings(Barrier):
    """Finds passages of some words or more that stand in the rows before, word for word, and cuts them out.

    `into` has the passages, [from, to, row] in characters of the text as it came, `row` being the number (from 1, of
    those that came so far) of the first row that the text shares a passage with. A row that has none is not changed.

    In memory are 12 bytes a row; 9 bytes a word lie on the disk, 25 while they are sorted.

    Args:
        words: the fewest words of a passage; white space between them does not count.
        keep: `first` leaves a passage where it comes first, `none` takes it out everywhere.
        drop: a row goes whose repeated share of words is this or more; None cuts only.
        shortest: a row goes that has fewer words left.
        text: the column.
        into: the column for the passages.

    Raises:
        ConfigError: a setting is out of range.
    """

    def __init__(
        self,
        words: int = 50,
        *,
        keep: Literal["first", "none"] = "first",
        drop: float | None = None,
        shortest: int = 1,
        text: str = "text",
        into: str = "substrings",
    ) -> None:
        if words < 2:
            raise ConfigError(f"a passage has at least 2 words, not {words}")
        if keep not in ("first", "none"):
            raise ConfigError(f"of a passage the first or none is kept, not {keep!r}")
        if drop is not None and not 0 < drop <= 1:
            raise ConfigError(f"the share of words that drops a row lies above 0 and at most at 1, not {drop}")
        if shortest < 0:
            raise ConfigError(f"the fewest words that are left are 0 or more, not {shortest}")
        if into == text:
            raise ConfigError(f"passages cannot stand in {into!r}, where the text is")
        self.words, self.keep, self.drop, self.shortest = words, keep, drop, shortest
        self.text, self.into = text, into

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find which words of each row stand in a passage that goes."""
        starts = self._written(rows, folder / "windows.u8")
        repeated, source = self._repeated(starts, folder)

        def decide(number: int, row: Row) -> Judged:
            gone = np.flatnonzero(repeated[starts[number] : starts[number + 1]])
            if not len(gone):
                return {}
            return self._judged(_text(row, self.text), gone, int(source[number]) + 1)

        return decide

    def _written(self, rows: Iterator[Row], path: Path) -> NDArray[np.int64]:
        """Write the hashes of all windows; return where each row's begin, and the last one's end: (rows + 1,)."""
        texts = (" ".join(_text(row, self.text).split()) for row in rows)
        sizes = [np.zeros(1, np.int64)]
        with path.open("wb") as file:
            for batch in in_batches(texts):
                for hashes, counts in window_hashes(batch, self.words):
                    file.write(hashes.tobytes())
                    sizes.append(counts)
        return np.cumsum(np.concatenate(sizes))

    def _repeated(self, starts: NDArray[np.int64], folder: Path) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """Return which windows stand in a passage that goes (in a file), and the first row that each row repeats."""
        size = int(starts[-1])
        source = np.full(len(starts) - 1, np.iinfo(np.int32).max, dtype=np.int32)
        if not size:
            return np.zeros(0, np.bool_), source
        repeated = np.memmap(folder / "repeated.b1", np.bool_, mode="w+", shape=(size,))
        for keys, places in parts_of(folder / "windows.u8", size, _ROOM, np.int64):
            order = np.argsort(keys, kind="stable")
            keys, places = keys[order], places[order]  # noqa: PLW2901
            begin = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            counts = np.diff(np.concatenate([begin, [len(keys)]]))
            first = np.repeat(places[begin], counts)
            row, first_row = (np.searchsorted(starts, some, side="right") - 1 for some in (places, first))
            # Within a row a passage repeats where it has ended before it begins anew: "ha ha ha" is no copy of itself.
            later = (places != first) & ((row != first_row) | (places - first >= self.words))
            if self.keep == "none":
                whole = np.logical_or.reduceat(later, begin)
                again = np.repeat(whole, counts)
            else:
                again = later
            repeated[places[again]] = True
            np.minimum.at(source, row[again], first_row[again].astype(np.int32))
        repeated.flush()
        return repeated, source

    def _judged(self, text: str, gone: NDArray[np.int64], source: int) -> Judged:
        words = [one.span() for one in _WORD.finditer(text)]
        step = np.zeros(len(words) + 1, dtype=np.int64)
        np.add.at(step, gone, 1)
        np.add.at(step, gone + self.words, -1)
        covered = np.cumsum(step)[:-1] > 0
        edges = np.flatnonzero(np.diff(np.concatenate([[0], covered.astype(np.int8), [0]])))
        spans = [(words[a][0], words[b - 1][1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        found = {self.into: [[start, end, source] for start, end in spans]}
        share, left = float(covered.mean()), int((~covered).sum())
        told = f"{share:.1%} of the words stand in row {source} of those that came so far, or in later ones"
        if self.drop is not None and share >= self.drop:
            return Dropped(f"substrings: {told}", columns=found)
        if left < self.shortest:
            return Dropped(
                f"substrings.short: {left} words are left against at least {self.shortest}; {told}", columns=found
            )
        parts, at = [], 0
        for start, end in spans:
            parts.append(text[at:start])
            at = end
        # What stood around a passage stays apart by its own white space; at an end there is nothing to keep apart.
        kept = "".join([*parts, text[at:]])
        kept = kept.lstrip() if covered[0] else kept
        return {self.text: kept.rstrip() if covered[-1] else kept, **found}

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {name: value for name, value in super().config().items() if value is not None}


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else ""
