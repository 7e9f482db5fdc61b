"""How long a text is, in what its budget is counted in: the tokens of the target, or words, or characters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import ConfigError

__all__ = ["CHARACTERS", "WORDS", "Count", "counted_by"]


@dataclass(frozen=True)
class Count:
    """Counts a text.

    Attributes:
        of: from a text to its length.
        unit: what it counts, for people.
    """

    of: Callable[[str], int]
    unit: str = "tokens"

    def __call__(self, text: str) -> int:
        """Return how long a text is."""
        return self.of(text) if text else 0


# For a target that is elsewhere and tells nobody its tokenizer.
WORDS = Count(lambda text: len(re.findall(r"\S+", text)), "words")
CHARACTERS = Count(len, "characters")


def counted_by(source: Any) -> Count:
    """Return the count of a tokenizer (of transformers, tokenizers, tiktoken), a function, "words" or "characters".

    Special tokens do not count: they are the conversation's, not the text's.

    Raises:
        ConfigError: none of these.
    """
    if isinstance(source, Count):
        return source
    if isinstance(source, str):
        known = {"words": WORDS, "characters": CHARACTERS}
        if source not in known:
            raise ConfigError(f"a budget is counted in {' or '.join(known)} or by a tokenizer, not by {source!r}")
        return known[source]
    if hasattr(source, "all_special_tokens"):  # transformers
        # Told each time: a tokenizer may have been left cutting its texts.
        return Count(
            lambda text: len(source(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)
        )
    if hasattr(source, "encode_ordinary"):  # tiktoken
        return Count(lambda text: len(source.encode_ordinary(text)))
    if hasattr(source, "encode") and hasattr(source, "token_to_id"):  # tokenizers
        return Count(lambda text: len(source.encode(text, add_special_tokens=False).ids))
    if callable(source):
        return Count(source)
    raise ConfigError(f"a budget is counted by a tokenizer, not by {type(source).__name__}")
