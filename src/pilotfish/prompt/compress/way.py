"""What every way to score units is: a class that is called with a text's units and says what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.prompt.compress.units import Span

__all__ = ["Asked", "Rank", "Ranked", "Scored", "Way"]


@dataclass(frozen=True)
class Asked:
    """A text whose units are to be scored.

    Attributes:
        text: what is read.
        units: of it, in order.
        question: what the text is to answer; "" for none.
        shares: (units,) about which part of each unit's stretch will be kept, above 0 to 1.
    """

    text: str
    units: Sequence[Span]
    question: str
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """What units are worth.

    Attributes:
        values: (units,) the larger the sooner kept.
        groups: (units,) of units whose values are compared with one another only, by number; None compares all.
        read: tokens that a model read for it.
    """

    values: NDArray[np.float64]
    groups: NDArray[np.int64] | None = None
    read: int = 0


class Way(Protocol):
    """How units are scored."""

    @property
    def name(self) -> str:
        """In reports."""

    def __call__(self, asked: Asked) -> Scored:
        """Return what each unit is worth."""


@dataclass(frozen=True)
class Ranked:
    """What texts are worth beside one another, and the tokens read for it.

    Attributes:
        values: (texts,) the larger the better.
        read: tokens that a model read for it.
    """

    values: NDArray[np.float64]
    read: int = 0


# From a question, which may be empty, and texts to what each of them is worth.
Rank = Callable[[str, Sequence[str]], Ranked]
