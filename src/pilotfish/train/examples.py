"""Token ids to learn from, and which of them are in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pilotfish.errors import DataError
from pilotfish.model import Request
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import encode

__all__ = ["Example", "Learnable", "answered", "pieces"]


class Learnable(Protocol):
    """What a plan and a loop ask of what is learnt: an example, or a pair of them."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Its tokens, by which passes are filled."""

    @property
    def count(self) -> int:
        """How much of it is in the loss; 0 is left out."""

    def emptied(self) -> Any:
        """Return the same with nothing in the loss."""


@dataclass(frozen=True)
class Example:
    """One row of tokens.

    The tokens in the loss are always the last ones: an answer after its prompt, or all but the first of a text.

    Attributes:
        ids: the tokens.
        start: the first token in the loss, 1 or more: what comes before is only read.
        weight: what each of its tokens counts in the loss.
        row: which row of the data it comes from.
    """

    ids: tuple[int, ...]
    start: int
    weight: float = 1.0
    row: int = 0

    @property
    def count(self) -> int:
        """How many tokens are in the loss."""
        return len(self.ids) - self.start

    def emptied(self) -> Example:
        """Return the same with nothing in the loss."""
        return replace(self, start=len(self.ids))


def pieces(tokenizer: Any, texts: Sequence[str], length: int) -> list[Example]:
    """Return texts as pieces of at most `length` tokens; each text ends with the end token.

    Pieces overlap by one token, so that every token but a text's first is predicted once.
    """
    end = tokenizer.eos_token_id
    found = []
    for row, text in enumerate(texts):
        ids = encode(tokenizer, text)
        if end is not None and ids[-1:] != [end]:
            ids.append(end)
        for start in range(0, max(1, len(ids) - 1), length - 1):
            piece = tuple(ids[start : start + length])
            if len(piece) > 1:
                found.append(Example(piece, 1, row=row))
    return found


def answered(
    tokenizer: Any,
    request: Request,
    answer: str,
    length: int,
    *,
    ended: bool = True,
    name: str = "",
    row: int = 0,
    weight: float = 1.0,
) -> Example:
    """Return a request in the model's own template, and the answer, which alone is in the loss, with its end token.

    What is too long loses the end of its answer, never its prompt: without it the answer is to no question. An answer
    that is cut here, or was before (`ended` is False), has no end token, or the model would learn to stop there.

    Raises:
        DataError: the prompt alone leaves no room for an answer, or the answer is empty.
    """
    prompt = encode(tokenizer, render_chat(tokenizer, request, name))
    said = [int(one) for one in tokenizer(answer, add_special_tokens=False, verbose=False)["input_ids"]]
    if not said:
        raise DataError("the answer is empty")
    if len(prompt) + 1 > length:
        raise DataError(f"the prompt has {len(prompt)} tokens, and {length} is all there is room for")
    if ended and tokenizer.eos_token_id is not None:
        said.append(tokenizer.eos_token_id)
    return Example(tuple([*prompt, *said][:length]), len(prompt), weight, row)
