"""The bytes of a tokenizer's tokens, with a name for its end token, so that two tokenizations can be laid together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["END", "Pieces"]

END = b"\xffend\xff"  # no UTF-8 text has these bytes, and no tokenizer a token of them


class Pieces:
    """Token ids to bytes; an end token is `END`, whatever it is called, and other special tokens are empty.

    A student must learn from its teacher when to stop, though their end tokens have different names.

    Args:
        tokenizer: a transformers tokenizer, byte-level or SentencePiece.
        ends: ids of the tokens that end an answer; the tokenizer's own end token where not given.
    """

    def __init__(self, tokenizer: Any, ends: Iterable[int] | None = None) -> None:
        # It imports torch.
        from pilotfish.decode.speculative.token_bytes import TokenBytes

        self.tokenizer = tokenizer
        own = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        self.ends = frozenset(own if ends is None else ends)
        self._bytes = TokenBytes(tokenizer)

    def __call__(self, ids: Sequence[int]) -> list[bytes]:
        """Return the bytes of each token."""
        return [self.one(token) for token in ids]

    def one(self, token: int) -> bytes:
        """Return the bytes of a token; none of a special one, or of one that does not exist (a padding row)."""
        return END if token in self.ends else self._bytes.one(token)
