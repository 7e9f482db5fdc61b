"""The bytes that each token of a tokenizer stands for, so that two tokenizers' tokens can be laid side by side."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from pilotfish.decode.retoken import ids_of
from pilotfish.decode.text import BYTE, special_ids

__all__ = ["TokenBytes", "whole_characters"]


class TokenBytes:
    """Token ids to bytes. Special tokens are none.

    Byte-level vocabularies (GPT-2, Llama 3, Qwen) write a byte as a character of its own; SentencePiece's (Llama 2,
    Gemma) write a space as U+2581 and single bytes as <0xNN>.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._level = backend is None or "ByteLevel" in repr(backend.decoder)
        self._special = special_ids(tokenizer)
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self._added = {token: one.content for token, one in added.items() if not one.special}
        self._known: dict[int, bytes] = {}

    def __call__(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of tokens, one after the other."""
        return b"".join(self.one(token) for token in ids)

    def one(self, token: int) -> bytes:
        """Return the bytes of a token; none for one that does not exist (a padding row)."""
        if token not in self._known:
            self._known[token] = self._read(token)
        return self._known[token]

    def _read(self, token: int) -> bytes:
        text = self.tokenizer.convert_ids_to_tokens(token)
        if text is None:
            return b""
        # Before the special ones: some tokenizers list their byte tokens among those.
        byte = None if self._level else BYTE.fullmatch(text)
        if byte:
            return bytes([int(byte[1], 16)])
        if token in self._special:
            return b""
        if token in self._added:
            return str(self._added[token]).encode()
        if self._level:
            letters = _letters()
            return b"".join(bytes([letters[c]]) if c in letters else c.encode() for c in text)
        return str(text).replace("\u2581", " ").encode()

    def exactly(self, data: bytes) -> list[int] | None:
        """Return ids whose bytes are `data`, as the tokenizer cuts the text; None where it cannot be had.

        SentencePiece puts a space before a text; a line break in its place is cut off again.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        for lead in ("", "\n"):
            ids = ids_of(self.tokenizer, lead + text)
            if lead:
                at = next((i for i in range(len(ids) + 1) if self(ids[:i]).lstrip(b" ") == b"\n"), 0)
                ids = ids[at:]
            if self(ids) == data:
                return ids
        return None


@functools.cache
def _letters() -> dict[str, int]:
    """Return GPT-2's character for each byte: itself where it prints, else the next free one from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(rest)}


def whole_characters(data: bytes) -> bytes:
    """Return the bytes without the half character (UTF-8) they may end in."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0x80:
            continue
        size = 1 if lead < 0x80 else 2 if lead >> 5 == 6 else 3 if lead >> 4 == 14 else 4
        return data[:-back] if size > back else data
    return data
