"""A text that was read, with how much each of its tokens counts, and what is odd about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotfish.evaluate.bertscore.match import Match, matched
from pilotfish.evaluate.bertscore.weights import weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.evaluate.bertscore.weights import Idf
    from pilotfish.evaluate.states import States, TokenStates

__all__ = ["Weighed", "oddities", "parts_of"]

_PAIRS = 256  # texts of as many pairs are read together


@dataclass(frozen=True)
class Weighed:
    """A text that was read.

    Attributes:
        states: its tokens.
        weights: (tokens,) how much each counts, summing to 1.
        alike: whether idf told nothing of it, so that all count alike.
    """

    states: States
    weights: NDArray[np.float64]
    alike: bool

    @classmethod
    def of(cls, states: States, idf: Idf | None) -> Weighed:
        """Weigh the tokens of a text."""
        return cls(states, *weights_of(states, idf))

    def matched(self, reference: Weighed) -> Match:
        """Match its tokens with a reference's."""
        return matched(self.states, reference.states, (self.weights, reference.weights))


def parts_of(
    rows: Sequence[tuple[str, tuple[str, ...]]],
    states: TokenStates,
    idf: Idf | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[int, str, tuple[str, ...], dict[str, Weighed]]]:
    """Yield each row's number, candidate and references, and the texts that were read with it; 256 rows at a time."""
    for at in range(0, len(rows), _PAIRS):
        some = rows[at : at + _PAIRS]
        texts = list(dict.fromkeys(text for mine, theirs in some for text in (mine, *theirs)))
        held = {text: Weighed.of(read, idf) for text, read in zip(texts, states.of(texts), strict=True)}
        for number, (mine, theirs) in enumerate(some, at):
            yield number, mine, theirs, held
        if progress:
            progress(len(some))


def oddities(mine: Weighed, theirs: Sequence[Weighed]) -> str:
    """Return what is odd about a text and its references; "" where nothing is."""
    every = [one.states for one in (mine, *theirs)]
    found = ["the candidate is empty"] if mine.states.empty else []
    found += ["a reference is empty"] if any(one.empty for one in every[1:]) else []
    cut = sum(one.left_out for one in every)
    found += [f"cut: {cut} tokens were not read"] if cut else []
    pieces = max(one.windows for one in every)
    found += [f"long: read in {pieces} pieces"] if pieces > 1 else []
    found += ["idf tells no token apart: all count alike"] if any(one.alike for one in (mine, *theirs)) else []
    return "; ".join(found)
