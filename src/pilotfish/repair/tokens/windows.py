"""An answer and its evidence as windows that an encoder reads: the question, a piece of the evidence, the answer.

Kovacs and Recski 2025 (LettuceDetect), section 3: evidence and answer in one window, a class a token of the answer.
Evidence that is too long for a window is cut into pieces that overlap, and the answer is read with each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.support import COMMON
from pilotfish.repair.tokens.rows import Answered, words_of

__all__ = ["FEATURES", "Cutter", "Pieces", "Window"]

# Of a word of the answer, by the evidence of the window alone: it stands there; with the word before it; it is a number
# that does not; it is a word that any text has. All are 0 where there is no evidence, but for the last.
FEATURES = 4
_OVERLAP = 0.2  # of a piece of evidence


@dataclass(frozen=True)
class Window:
    """What is read at once.

    Attributes:
        ids: tokens.
        types: 0 for question and evidence, 1 for the answer.
        at: places in `ids` of the answer's tokens that belong to words.
        words: the word of each of those.
        features: (those, FEATURES) of their words.
        shared: how many different words that tell something the answer has in common with the evidence.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    at: tuple[int, ...]
    words: tuple[int, ...]
    features: NDArray[np.float32]
    shared: int = 0


@dataclass(frozen=True)
class Pieces:
    """An answer's words, and its windows.

    Attributes:
        words: where they stand in the answer, in characters.
        windows: of each piece of the answer one for each piece of the evidence.
    """

    words: tuple[tuple[int, int], ...]
    windows: tuple[tuple[Window, ...], ...]


class Cutter:
    """Cuts rows into windows.

    Args:
        tokenizer: a fast one of transformers, with a token to begin by and one to separate by.
        length: tokens of a window at most.

    Raises:
        ConfigError: a window too short for anything.
        ModelError: the tokenizer has no such tokens.
    """

    def __init__(self, tokenizer: Any, length: int) -> None:
        if length < 16:
            raise ConfigError(f"a window has at least 16 tokens, not {length}")
        first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
        between = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
        if first is None or between is None or not tokenizer.is_fast:
            raise ModelError("spans are read by a fast tokenizer with a token to begin by and one to separate by")
        self.tokenizer, self.length = tokenizer, length
        self.first, self.between = int(first), int(between)

    def cut(self, rows: Sequence[Answered]) -> list[Pieces]:
        """Return each row's words and windows."""
        texts = list(dict.fromkeys(text for row in rows for text in (row.answer, row.context, row.question) if text))
        read: dict[str, tuple[list[int], list[tuple[int, int]]]] = {"": ([], [])}
        if texts:
            told = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            read |= dict(zip(texts, zip(told["input_ids"], told["offset_mapping"], strict=True), strict=True))
        return [self._row(row, read) for row in rows]

    def _row(self, row: Answered, read: dict[str, tuple[list[int], list[tuple[int, int]]]]) -> Pieces:
        words = words_of(row.answer, row.before)
        ids, offsets = read[row.answer]
        known, places = read[row.context]
        asked = read[row.question][0][: self.length // 4]
        free = self.length - 4 - len(asked)
        # With evidence the answer has half of the room at most, so that every window shows some.
        most = min(len(ids), free // 2 if known else free)
        begins = next((at for at, (_, end) in enumerate(offsets) if end > row.before), len(ids))
        windows = []
        for start, judged, end in _parts(begins, len(ids), max(1, most)):
            of = _word_of(offsets, words, judged, end)
            if not of:
                continue
            room = max(1, free - (end - start))
            cuts = _cuts(len(known), room)
            windows.append(
                tuple(
                    self._window(
                        asked, known[a:b], ids[start:end], {at - start: word for at, word in of.items()}, row, words,
                        row.context[places[a][0] : places[b - 1][1]] if b > a else "",
                    )
                    for a, b in cuts
                )
            )  # fmt: skip
        return Pieces(tuple(words), tuple(windows))

    def _window(
        self,
        asked: Sequence[int],
        known: Sequence[int],
        said: Sequence[int],
        of: dict[int, int],
        row: Answered,
        words: Sequence[tuple[int, int]],
        evidence: str,
    ) -> Window:
        head = [self.first, *asked, *([self.between] if asked and known else []), *known, self.between]
        if not asked and not known:
            head = [self.first]
        ids = [*head, *said, self.between]
        features, shared = _features(row.answer, words, evidence, row.question)
        return Window(
            tuple(ids),
            tuple([0] * len(head) + [1] * (len(ids) - len(head))),
            tuple(len(head) + at for at in of),
            tuple(of.values()),
            features[list(of.values())],
            shared,
        )


def _parts(begins: int, count: int, most: int) -> list[tuple[int, int, int]]:
    """Return (start, first that is judged, end) of the pieces of an answer; the first has what stands before it."""
    found = []
    at = begins
    while at < count:
        end = min(count, at + most)
        found.append((max(0, end - most) if at == begins else at, at, end))
        at = end
    return found


def _cuts(count: int, room: int) -> list[tuple[int, int]]:
    """Return pieces of as many tokens that overlap, evenly long; one empty piece of nothing."""
    if count <= room:
        return [(0, count)]
    step = max(1, room - int(room * _OVERLAP))
    pieces = 1 + -(-(count - room) // step)
    return [(start, start + room) for start in (round(i * (count - room) / (pieces - 1)) for i in range(pieces))]


def _word_of(
    offsets: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]], start: int, end: int
) -> dict[int, int]:
    """Return token -> word, of tokens from start to end that lie in a word."""
    found, word = {}, 0
    for at in range(start, end):
        a, b = offsets[at]
        while word < len(words) and words[word][1] <= a:
            word += 1
        if word < len(words) and words[word][0] < b and a < b:
            found[at] = word
    return found


def _features(
    answer: str, words: Sequence[tuple[int, int]], evidence: str, question: str
) -> tuple[NDArray[np.float32], int]:
    """Return (words, FEATURES), and how many telling words of the answer stand in the evidence."""
    said = [answer[a:b].casefold() for a, b in words]
    found = np.zeros((len(said), FEATURES), dtype=np.float32)
    found[:, 3] = [word in COMMON for word in said]
    if not evidence:
        return found, 0
    there = [evidence[a:b].casefold() for a, b in words_of(evidence)] + [
        question[a:b].casefold() for a, b in words_of(question)
    ]
    single, pairs = set(there), set(pairwise(there))
    for at, word in enumerate(said):
        found[at, 0] = word in single
        found[at, 1] = at > 0 and (said[at - 1], word) in pairs
        found[at, 2] = word[0].isdigit() and word not in single
    return found, len((set(said) & single) - COMMON)
