"""Tokens of a text, as the model that will read it counts them."""

from __future__ import annotations

from collections.abc import Callable

from pilotfish.model import Model

__all__ = ["counter", "tokens_guessed"]


def tokens_guessed(text: str) -> int:
    """Return about how many tokens a text has, for a model that does not tell: a third of its bytes, which errs high.

    English has about four bytes a token; where a budget is a limit, too few words are better than too many.
    """
    return (len(text.encode("utf-8", "replace")) + 2) // 3


def counter(model: Model) -> Callable[[str], int]:
    """Return what counts tokens: the model's own tokenizer where it has one here."""
    count = getattr(model, "count", None)
    return count if callable(count) else tokens_guessed
