"""Votes on rows, and votes of the same sources on other rows, whose truth is known, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish.measure.votes import Votes

__all__ = ["joined"]


def joined(votes: Votes, other: Votes, labels: Sequence[str | None]) -> tuple[Votes, list[Any]]:
    """Return the votes on both, the other rows behind, and each row's known label, None where there is none.

    Args:
        votes: on rows.
        other: on other rows, of the same sources, in the same order, with the same classes.
        labels: of the other rows.
    """
    assert (votes.sources, votes.classes) == (other.sources, other.classes)
    both = Votes(
        np.concatenate([votes.row, other.row + votes.rows]),
        np.concatenate([votes.source, other.source]),
        np.concatenate([votes.label, other.label]),
        np.concatenate([votes.share, other.share]),
        votes.classes,
        votes.sources,
        range(votes.rows + other.rows),
    )
    return both, [None] * votes.rows + list(labels)
