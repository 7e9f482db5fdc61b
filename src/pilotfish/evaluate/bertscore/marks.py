"""BERTScore's greedy matching, for people to look at: which tokens of two texts found one another, and which not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.evaluate.bertscore.match import matched
from pilotfish.evaluate.bertscore.weights import weights_of
from pilotfish.evaluate.marks import over_spans
from pilotfish.evaluate.references import paired
from pilotfish.measure.report.document import MarkedText

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.bertscore.score import BertScore
    from pilotfish.evaluate.states import States

__all__ = ["tokens_marked"]


def tokens_marked(metric: BertScore, candidate: str, references: str | Sequence[str]) -> list[MarkedText]:
    """Return a candidate and its best reference, each token with how near the nearest one of the other is.

    States of one layer have much in common whatever they stand for, so a cosine tells little by itself: here 0 is the
    mean over all pairs of tokens of the two texts, and 1 the same state.

    Args:
        metric: whose states and weights they are.
        candidate: a text.
        references: one or several; the one with the best F1 is shown.

    Raises:
        DataError: no reference.
    """
    ((mine, theirs),) = paired([candidate], [references])
    read = dict(zip((mine, *theirs), metric.states.of([mine, *theirs]), strict=True))
    weights = {text: weights_of(states, metric.idf)[0] for text, states in read.items()}
    matches = {one: matched(read[mine], read[one], (weights[mine], weights[one])) for one in theirs}
    best = max(theirs, key=lambda one: matches[one].f1)
    match, own, other = matches[best], read[mine], read[best]
    common = 0.0
    if not own.empty and not other.empty:
        there = own.vectors[~own.special].mean(dim=0) @ other.vectors[~other.special].mean(dim=0)
        common = min(float(there), 0.999)
    sides = (("candidate", mine, own, match.candidate), ("reference", best, other, match.reference))
    return [
        MarkedText(title, over_spans(text, _spans(states, (cosines - common) / (1 - common))))
        for title, text, states, cosines in sides
    ]


def _spans(states: States, shares: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    return [
        (int(start), int(end), float(min(1.0, max(0.0, share))))
        for (start, end), special, share in zip(states.spans, states.special, shares, strict=True)
        if not special
    ]
