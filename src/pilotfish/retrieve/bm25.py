"""Words: BM25 in the variants of bm25s, over tokens that are kept, so that a change counts but reads nothing again.

Sources: Robertson et al. 1994 (Okapi at TREC-3); the variants as Kamphuis et al. 2020 (Which BM25 Do You Mean?) have
them; scores summed from columns that are computed beforehand: Lù 2024 (BM25S), whose library cuts texts into words.
What a change costs: the number of passages, their mean length and every document frequency change with each document,
so all scores are computed again, from the words that are kept: one sort of them, some 3 s for 100,000 passages of 60.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.retrieve._appended import Appended
from pilotfish.retrieve._best import best_of, found_of
from pilotfish.retrieve.found import Found
from pilotfish.rows._atomic import atomic
from pilotfish.rows._bm25_scores import Scores, scores_of
from pilotfish.rows.bm25 import Method, Words

__all__ = ["Bm25", "Method", "Words"]

BUILT = "built.json"


class Bm25:
    """Rows of an index by their words.

    A row is found where it holds a word of the query.

    Args:
        folder: of its files.
        words: what counts as a word, and how much.

    Raises:
        ConfigError: settings as of `Words`.
    """

    name = "bm25"
    patient = False

    def __init__(self, folder: Path, words: Words | None = None) -> None:
        self.folder, self.words = folder, words or Words()
        self._read = self.words.reader()
        # The words themselves as bytes, one behind the other, and where each ends.
        self._kept = Appended(
            folder, {"tokens": ("int32", 1), "ends": ("int64", 1), "letters": ("uint8", 1), "letter_ends": ("int64", 1)}
        )
        self._vocabulary = self._words()
        self._deleted: set[int] = set()
        # The rows that are not deleted and their scores, replaced together: other threads may be searching.
        self._settled: tuple[NDArray[np.int64], Scores | None] = np.zeros(0, np.int64), None

    @property
    def rows(self) -> int:
        """See `Way`."""
        return self._kept.sizes["ends"]

    def add(self, texts: Sequence[str]) -> None:
        """See `Way`.

        Raises:
            DataError: the disk is full, or refuses.
        """
        tokens: list[int] = []
        ends: list[int] = []
        new: list[bytes] = []
        before = self._kept.sizes["tokens"]
        for words in self._read(texts):
            for word in words:
                number = self._vocabulary.setdefault(word, len(self._vocabulary))
                if number == self._kept.sizes["letter_ends"] + len(new):
                    new.append(word.encode())
                tokens.append(number)
            ends.append(before + len(tokens))
        at = self._kept.sizes["letters"]
        self._kept.append("letters", np.frombuffer(b"".join(new), np.uint8))
        self._kept.append("letter_ends", at + np.cumsum([len(word) for word in new], dtype=np.int64))
        self._kept.append("tokens", np.array(tokens, np.int32))
        self._kept.append("ends", np.array(ends, np.int64))
        self._kept.commit({})

    def delete(self, rows: Sequence[int]) -> None:
        """See `Way`."""
        self._deleted.update(map(int, rows))

    def settle(self) -> None:
        """Compute the scores, where these rows' are not there; see the head of this file for what it costs."""
        live = np.setdiff1d(np.arange(self.rows), np.fromiter(self._deleted, np.int64))
        # Rows only come and only go, so the two numbers tell any two moments of an index apart.
        state = {"rows": self.rows, "deleted": self.rows - len(live)}
        path = self.folder / BUILT
        told = json.loads(path.read_bytes()) if path.is_file() else None
        if not self._tokens_of(live):
            self._settled = live, None
            return
        if told is None or told["state"] != state:
            told = self._built(live, state, path)
        self._settled = live, Scores.load(self.folder / told["folder"], len(live))

    def _tokens_of(self, live: NDArray[np.int64]) -> int:
        """Return how many words some rows have together."""
        return int(np.diff(self._kept.read("ends"), prepend=0)[live].sum()) if len(live) else 0

    def _built(self, live: NDArray[np.int64], state: dict[str, int], path: Path) -> dict[str, Any]:
        """Compute and keep the scores of some rows; those that were kept before go when these are there."""
        tokens, ends = self._kept.read("tokens"), self._kept.read("ends")
        lengths = np.diff(ends, prepend=0)
        alive = np.zeros(len(ends), bool)
        alive[live] = True
        # A word that only deleted rows hold counts nothing, as in a fresh index: no score is of it.
        held = np.asarray(tokens) if len(live) == len(ends) else tokens[np.repeat(alive, lengths)]
        made = scores_of(held, lengths[live], len(self._vocabulary), self.words)
        name = f"scores-{state['rows']}-{state['deleted']}"
        shutil.rmtree(self.folder / name, ignore_errors=True)
        made.save(self.folder / name)
        told = {"folder": name, "state": state}
        with atomic(path) as file:
            file.write(json.dumps(told).encode())
        for other in self.folder.glob("scores-*"):
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        return told

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `Ranker`. A word that a query has twice counts twice."""
        live, columns = self._settled
        if columns is None or not queries:
            return found_of([live[:0]] * len(queries), [np.zeros(0, np.float32)] * len(queries), k)
        rows, scores = [], []
        for words in self._read(queries):
            told = columns.of([self._vocabulary[word] for word in words if word in self._vocabulary])
            best = best_of(told, k)
            rows.append(live[best])
            scores.append(told[best])
        return found_of(rows, scores, k)

    def _words(self) -> dict[str, int]:
        letters, ends = self._kept.read("letters").tobytes(), self._kept.read("letter_ends").tolist()
        starts = [0, *ends[:-1]]
        return {
            letters[start:stop].decode(): number for number, (start, stop) in enumerate(zip(starts, ends, strict=False))
        }
