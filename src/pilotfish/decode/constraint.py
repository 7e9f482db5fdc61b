"""What an answer may say next: a grammar that masks tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Constraint"]


class Constraint(Protocol):
    """Which tokens may come next, given what was accepted. One row's own; it moves with `accept`."""

    def allowed(self, ahead: Sequence[int], rows: int, vocabulary: int) -> Tensor:
        """Return which tokens may come, (rows, vocabulary) bool.

        Row i stands after what was accepted and `ahead[: len(ahead) - rows + 1 + i]`. Where those tokens are not
        allowed themselves, all are: nothing will be drawn there. End tokens are allowed where the answer may end.
        """

    def accept(self, tokens: Sequence[int]) -> None:
        """Move on by these tokens; after an end token nothing matters any more.

        Raises:
            ModelError: a token is not allowed.
        """

    def fork(self) -> Constraint:
        """Return an independent copy."""
