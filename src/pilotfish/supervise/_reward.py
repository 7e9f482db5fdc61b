"""How the question reaches a reward that is asked while tokens are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Prompt

__all__ = ["Asked"]


class Asked(list[Sequence[int]]):
    """A prompt that remembers the question it was made from: token ids cannot be turned back into the user's turn."""

    def __init__(self, prompt: Prompt, question: str) -> None:
        super().__init__(prompt)
        self.question = question
