"""Whether a source entails a candidate, by any classifier of pairs.

Of a source that is a list of passages the one with the evidence counts: see `nli.over_pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotfish.errors import DataError
from pilotfish.evaluate.marks import sentences
from pilotfish.evaluate.nli import CONTRADICTION, ENTAILMENT, NEUTRAL, Infers, cut_of, over_pieces
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.report.document import MarkedText

__all__ = ["Entailment"]


class Entailment:
    """Scores candidates by how probably their sources entail them.

    Args:
        infers: the classifier.
        name: its name in reports.
    """

    def __init__(self, infers: Infers, name: str | None = None) -> None:
        self.infers = infers
        self.name = f"nli ({name or getattr(infers, 'name', 'a classifier')})"

    def __call__(
        self,
        candidates: Sequence[str],
        sources: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return the probability of entailment, with those of neither and of contradiction.

        Raises:
            DataError: another number of sources than of candidates, or a row without any.
        """
        if len(candidates) != len(sources):
            raise DataError(f"{len(candidates)} candidates, {len(sources)} sources")
        pieces = [[one] if isinstance(one, str) else list(one) for one in sources]
        for number, some in enumerate(pieces, 1):
            if not some:
                raise DataError(f"row {number}: no source")
        told = over_pieces(self.infers, list(zip(pieces, candidates, strict=True)))
        if progress:
            progress(len(candidates))
        rows = list(zip(pieces, candidates, strict=True))
        notes = [_odd(mine, some, cut) for (some, mine), cut in zip(rows, cut_of(self.infers, rows), strict=True)]
        parts = {"neutral": told[:, NEUTRAL], "contradiction": told[:, CONTRADICTION]}
        return Scores(self.name, told[:, ENTAILMENT], parts, notes)

    def marked(self, candidate: str, source: str | Sequence[str]) -> list[MarkedText]:
        """Return both texts for people to look at: each of the candidate's sentences, shaded the more contradicted."""
        pieces = [source] if isinstance(source, str) else list(source)
        own = sentences(candidate)
        shares = (
            over_pieces(self.infers, [(pieces, one.strip()) for one in own])[:, CONTRADICTION].tolist() if own else []
        )
        marked = MarkedText("candidate", [(one, 1 - share) for one, share in zip(own, shares, strict=True)])
        return [marked, *(MarkedText("source", [(piece, None)]) for piece in pieces)]


def _odd(mine: str, pieces: Sequence[str], cut: int) -> str:
    found = [] if mine.strip() else ["the candidate is empty"]
    found += [f"cut: {cut} tokens were not read"] if cut else []
    return "; ".join(found + ([] if any(one.strip() for one in pieces) else ["the source is empty"]))
