"""Token by token to text: half characters wait, and no stop string is ever shown, not even in part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["BYTE", "HALF", "Detokenizer", "Stops", "first_stop", "held_back", "special_ids"]

HALF = "\ufffd"  # what half a character decodes to
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # how SentencePiece names a token that is one byte


class Detokenizer:
    """A tokenizer's decoding, one token at a time; the pieces together are its decoding of all tokens at once.

    Special tokens are left out. Each step decodes the last few tokens with those before them, since the text of a
    token may depend on its predecessor (the space before a word). What ends in half a character waits for the other
    half; so do the byte tokens of SentencePiece vocabularies, whose run becomes text as a whole.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = special_ids(tokenizer)
        self._ids: list[int] = []
        self._start = self._read = 0  # ids[start:read] are known already, ids[read:] wait
        self._known = ""  # the text of ids[start:read]
        self._odd = False  # whether text that was given has changed since, so that only the whole can be trusted
        self._given = 0

    def push(self, token: int) -> str:
        """Return the text that has become certain."""
        if token in self._special:
            return ""
        self._ids.append(token)
        name = self._tokenizer.convert_ids_to_tokens(token)
        if self._odd or (isinstance(name, str) and BYTE.fullmatch(name)):
            return ""
        text = self._decode(self._ids[self._start :])
        if text.endswith(HALF):
            return ""
        if not text.startswith(self._known):
            self._odd = True
            return ""
        piece = text[len(self._known) :]
        self._start, self._read = self._read, len(self._ids)
        self._known = self._decode(self._ids[self._start :])
        self._given += len(piece)
        return piece

    def finish(self) -> str:
        """Return what waited: half characters as U+FFFD."""
        if self._odd:
            return self._decode(self._ids)[self._given :]
        piece = self._decode(self._ids[self._start :])[len(self._known) :]
        self._start, self._known = len(self._ids), ""
        return piece

    def _decode(self, ids: list[int]) -> str:
        # No cleaning of spaces: it would change text that was shown already.
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)) if ids else ""


def special_ids(tokenizer: Any) -> set[int]:
    """Return the tokens that `skip_special_tokens` skips; kept on the tokenizer, which may have thousands."""
    known: set[int] | None = getattr(tokenizer, "_pilotfish_special", None)
    if known is None:
        added = getattr(tokenizer, "added_tokens_decoder", {})
        known = {i for i, token in added.items() if token.special} | set(tokenizer.all_special_ids)
        tokenizer._pilotfish_special = known
    return known


class Stops:
    """Finds stop strings in text that comes in pieces. Looks at each character a constant number of times."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Return what may be shown; after a stop (`found`) nothing more may."""
        if self.found:
            return ""
        if not self._stops:
            return text
        self._held += text
        at = first_stop(self._held, self._stops)
        if at >= 0:
            self.found = True
            return self._held[:at]
        safe = len(self._held) - held_back(self._held, self._stops)
        shown, self._held = self._held[:safe], self._held[safe:]
        return shown

    def finish(self) -> str:
        """Return what was held back: no stop came of it."""
        held, self._held = self._held, ""
        return "" if self.found else held


def held_back(text: str, stops: Sequence[str]) -> int:
    """Return how many last characters may be the beginning of a stop string, and so are not shown yet."""
    longest = 0
    for stop in stops:
        for n in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:n]):
                longest = n
                break
    return longest


def first_stop(text: str, stops: Sequence[str]) -> int:
    """Return where the earliest stop string begins, or -1."""
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=-1)
