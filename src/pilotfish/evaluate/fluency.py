"""How fluent a text is to a small language model: its perplexity, with nothing before it.

Source: Jelinek et al. 1977; as a metric of generated text: Kann et al. 2018 (Sentence-Level Fluency Evaluation),
section 3, whose SLOR leaves out what rare words alone make unlikely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError
from pilotfish.evaluate.scores import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.reader import Reader

__all__ = ["Perplexity", "unigrams"]


class Perplexity:
    """Scores texts by exp of the mean -log p of their tokens: lower is better.

    Args:
        reader: the model.
        unigram: (vocabulary,) log p of each token alone, for SLOR as a further part; see `unigrams`.
    """

    def __init__(self, reader: Reader, *, unigram: NDArray[np.float64] | None = None) -> None:
        self.reader, self.unigram = reader, unigram

    @property
    def name(self) -> str:
        """With the model's."""
        return f"perplexity ({self.reader.name})"

    def __call__(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Scores:
        """Return each text's perplexity, its mean "nll" in nats a token and, with unigrams, "slor".

        A text longer than the model takes is read in windows that begin where half of the one before ended. An empty
        text has no token to be surprised by: its perplexity is 1, and it is noted.
        """
        rows: list[tuple[list[int], int]] = []
        owners: list[int] = []
        notes = [""] * len(texts)
        tokens: list[list[int]] = []
        most = self.reader.max_length
        for number, text in enumerate(texts):
            ids = list(self.reader.ids(text))
            tokens.append(ids[1:])
            windows = _windows(len(ids), most)
            found = [] if text.strip() else ["the text is empty"]
            notes[number] = "; ".join(found + ([f"long: read in {len(windows)} windows"] if len(windows) > 1 else []))
            rows += [(ids[begin:end], start - begin) for begin, start, end in windows]
            owners += [number] * len(windows)
        told = self.reader.logprobs(rows, progress=progress)
        sums = np.zeros(len(texts))
        for owner, one in zip(owners, told, strict=True):
            sums[owner] += float(one.astype(np.float64).sum())
        counts = np.array([max(1, len(ids)) for ids in tokens], np.float64)
        nll = -sums / counts
        parts = {"nll": nll}
        if self.unigram is not None:
            alone = np.array([self.unigram[ids].mean() if ids else 0.0 for ids in tokens])
            parts["slor"] = -nll - alone
        return Scores(self.name, np.exp(np.minimum(nll, 700.0)), parts, notes)


def unigrams(reader: Reader, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return (vocabulary,) the log of each token's share in texts, each counted once more than it is there.

    Raises:
        DataError: no texts.
    """
    if not texts:
        raise DataError("unigrams need texts to be counted in")
    counts = np.ones(len(reader.tokenizer))
    for text in texts:
        np.add.at(counts, np.array(reader.ids(text)[1:], np.int64), 1)
    return np.asarray(np.log(counts / counts.sum()))


def _windows(length: int, most: int) -> list[tuple[int, int, int]]:
    """Return (begin, first token that counts, end) of each window over a row of tokens."""
    found = [(0, 1, min(length, most))] if length > 1 else []
    while found and found[-1][2] < length:
        start = found[-1][2]
        begin = start - most // 2
        found.append((begin, start, min(length, begin + most)))
    return found
