"""Whether several models speak of the same tokens, and how many of their logits stand for one.

Models of a family pad their embedding to different sizes (Qwen2.5: 151936 and 152064 rows for 151665 tokens). The rows
past the shared tokens are no tokens, so they can be cut; a token that differs cannot be reasoned away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotfish.errors import ConfigError

__all__ = ["common_width", "first_difference"]


def common_width(tokenizers: Sequence[Any], widths: Sequence[int], names: Sequence[str]) -> int:
    """Return how many logits the models share: the least of their widths, once their tokens are found to be the same.

    Args:
        tokenizers: a transformers tokenizer a model.
        widths: how many logits each gives, padding rows included.
        names: what to call each in an error.

    Raises:
        ConfigError: two models' tokens differ (the first that does is named), or a model has fewer logits than tokens.
    """
    for tokenizer, name in zip(tokenizers[1:], names[1:], strict=True):
        found = first_difference(tokenizers[0], tokenizer)
        if found is not None:
            token, left, right = found
            shown = [repr(text) if text is not None else "none" for text in (left, right)]
            raise ConfigError(
                f"{names[0]} and {name} have different vocabularies: token {token} is {shown[0]} in the one and "
                f"{shown[1]} in the other; models in lockstep must share one tokenizer"
            )
    for tokenizer, width, name in zip(tokenizers, widths, names, strict=True):
        size = max(tokenizer.get_vocab().values(), default=-1) + 1
        if width < size:
            raise ConfigError(f"{name} has {width} logits for the {size} tokens of its tokenizer: they do not belong")
    return min(widths)


def first_difference(left: Any, right: Any) -> tuple[int, str | None, str | None] | None:
    """Return the first token id at which two tokenizers differ and its text in each (None: no such token), or None."""
    if left is right:
        return None
    one, other = ({token: text for text, token in tokenizer.get_vocab().items()} for tokenizer in (left, right))
    if one == other:
        return None
    token = min(token for token in one.keys() | other.keys() if one.get(token) != other.get(token))
    return token, one.get(token), other.get(token)
