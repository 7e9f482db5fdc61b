"""Is what a text says borne out by its source: each sentence against the pieces of the source, by a model of inference.

Source: Laban et al. 2022 (SummaC), section 3.2: of each sentence the best entailment of any piece, their mean over
sentences. Beside it stands what nobody's mean should hide: the worst sentence, and how far any piece contradicts.
Pieces may be of several sentences that overlap, as what bears a sentence out is often said in two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.nli import CONTRADICTION, ENTAILMENT, Infers, cut_of, over_pieces
from pilotfish.evaluate.scores import Scores
from pilotfish.rows.sentences import pieces_of, sentences_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Consistency", "Judged"]

_ROWS = 64  # whose pairs are read together


@dataclass(frozen=True)
class Judged:
    """A sentence and what the source says of it.

    Attributes:
        sentence: of the text.
        entailment: the best of any piece.
        contradiction: see `over_pieces`.
        cut: tokens that the model did not read, of all pieces together.
    """

    sentence: str
    entailment: float
    contradiction: float
    cut: int = 0


class Consistency:
    """Scores texts by their sources; also the other way round: what of the source the text leaves out.

    Args:
        infers: the model; see `nli`.
        sizes: how many sentences a piece of the source has; of several sizes all pieces are asked.
        language: of sentences, as sentencex knows it.
        name: of the model, in reports.

    Raises:
        ConfigError: sizes below 1.
    """

    def __init__(
        self, infers: Infers, *, sizes: Sequence[int] = (1, 3), language: str = "en", name: str | None = None
    ) -> None:
        if not sizes or min(sizes) < 1:
            raise ConfigError(f"pieces have 1 sentence or more, not {list(sizes)}")
        self.infers, self.sizes, self.language = infers, tuple(sizes), language
        model = name or str(getattr(infers, "name", "nli"))
        self.name = f"consistency ({model}, pieces of {', '.join(map(str, self.sizes))})"

    def __call__(
        self,
        sources: Sequence[str | Sequence[str]],
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return the mean entailment of each text's sentences, with the worst one and the worst contradiction.

        A text without a sentence has nothing that could be untrue, and is noted: its entailment is 1.

        Raises:
            DataError: columns of different length.
        """
        told = self.sentences(sources, texts, progress=progress)
        columns = np.array([_numbers(some) for some in told], np.float64).reshape(-1, 3)
        notes = [_odd(some, _whole(source)) for some, source in zip(told, sources, strict=True)]
        return Scores(self.name, columns[:, 0], {"worst": columns[:, 1], "contradiction": columns[:, 2]}, notes)

    def sentences(
        self,
        sources: Sequence[str | Sequence[str]],
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Judged]]:
        """Return each text's sentences with what its source says of them: for people to look at.

        Raises:
            DataError: columns of different length.
        """
        if len(sources) != len(texts):
            raise DataError(f"{len(sources)} sources, {len(texts)} texts")
        known: dict[str, list[str]] = {}
        found: list[list[Judged]] = []
        for at in range(0, len(texts), _ROWS):
            rows: list[tuple[list[str], str]] = []
            ends = [0]
            for given, text in zip(sources[at : at + _ROWS], texts[at : at + _ROWS], strict=True):
                source = _whole(given)
                pieces = known[source] if source in known else known.setdefault(source, self._pieces(source))
                rows += [(pieces, sentence) for sentence in sentences_of(text, self.language)]
                ends.append(len(rows))
            told: NDArray[np.float64] = over_pieces(self.infers, rows) if rows else np.zeros((0, 3))
            cut = cut_of(self.infers, rows)
            for start, end in pairwise(ends):
                some = zip(rows[start:end], told[start:end], cut[start:end], strict=True)
                found.append(
                    [Judged(row[1], float(one[ENTAILMENT]), float(one[CONTRADICTION]), lost) for row, one, lost in some]
                )
            if progress:
                progress(len(ends) - 1)
            known = {source: pieces}  # the next rows often go on with it
        return found

    def _pieces(self, source: str) -> list[str]:
        sentences = sentences_of(source, self.language)
        found = dict.fromkeys(piece for size in self.sizes for piece in pieces_of(sentences, size, (size - 1) // 2))
        return list(found) or [""]


def _whole(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "\n".join(source)


def _odd(some: Sequence[Judged], source: str) -> str:
    found = [] if some else ["the text is empty"]
    found += [] if source.strip() else ["the source is empty"]
    cut = sum(one.cut for one in some)
    return "; ".join(found + ([f"cut: {cut} tokens were not read"] if cut else []))


def _numbers(some: Sequence[Judged]) -> tuple[float, float, float]:
    if not some:
        return 1.0, 1.0, 0.0
    entailed = [one.entailment for one in some]
    return float(np.mean(entailed)), min(entailed), max(one.contradiction for one in some)
