"""How texts become tokens for late interaction: markers, lengths, expansion, and what is skipped."""

from __future__ import annotations

import string
from dataclasses import dataclass

from pilotfish.errors import ConfigError

__all__ = ["LateSettings"]


@dataclass(frozen=True)
class LateSettings:
    """How texts become tokens.

    The defaults are those of PyLate, for a model that learns with them.

    Attributes:
        query_prefix: a token that marks a query, put behind its first one ([CLS]); "" for none.
        document_prefix: the same for documents.
        query_length: tokens of a query, the marker included: what is longer is cut.
        document_length: the same for documents.
        do_query_expansion: fill queries up to their length with [MASK], each of which is matched, too (Khattab and
            Zaharia 2020, section 3.2).
        attend_to_expansion_tokens: whether the other tokens see these.
        skiplist_words: tokens of documents that are read and not matched. What the tokenizer does not know skips
            nothing; in PyLate it skips all unknown tokens.
        prompt: put before each text, as sentence-transformers' default prompt.

    Raises:
        ConfigError: a length that leaves no room for a token of the text.
    """

    query_prefix: str = "[Q] "
    document_prefix: str = "[D] "
    query_length: int = 32
    document_length: int = 180
    do_query_expansion: bool = True
    attend_to_expansion_tokens: bool = False
    skiplist_words: tuple[str, ...] = tuple(string.punctuation)
    prompt: str = ""

    def __post_init__(self) -> None:
        for name in ("query_length", "document_length"):
            if getattr(self, name) < 4:
                raise ConfigError(f"{name} is 4 or more, not {getattr(self, name)}")

    @classmethod
    def untrained(cls, query_length: int = 64, document_length: int = 180) -> LateSettings:
        """Return what suits an encoder that never learnt it: no markers, no expansion, which mean nothing to it."""
        return cls("", "", query_length, document_length, do_query_expansion=False)
