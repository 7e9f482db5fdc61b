"""Texts as their sentences, by a library that knows how several hundred languages end theirs."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish._extras import need
from pilotfish.errors import ConfigError

__all__ = ["pieces_of", "sentences_of", "spans_of"]


def sentences_of(text: str, language: str = "en") -> list[str]:
    """Return a text's sentences, without the space around them; of a text without any the text itself, if any.

    Raises:
        MissingExtra: sentencex is not installed.
    """
    return [text[start:end] for start, end in spans_of(text, language)]


def spans_of(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Return where a text's sentences begin and end, in characters, the space around them left out.

    Raises:
        MissingExtra: sentencex is not installed.
    """
    library = need("sentencex", "retrieve")
    found = []
    at = 0
    # A line that ends is a sentence's end too: lists and headings have no full stops.
    for line in text.splitlines():
        for part in library.segment(language, line) if line.strip() else ():
            sentence = part.strip()
            if sentence:
                start = text.index(sentence, at)
                at = start + len(sentence)
                found.append((start, at))
    return found


def pieces_of(sentences: Sequence[str], size: int, overlap: int = 0) -> list[str]:
    """Return runs of as many sentences, each beginning `size - overlap` behind the one before.

    Raises:
        ConfigError: a size below 1, or an overlap that is no less.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ConfigError(f"pieces have 1 sentence or more and overlap by fewer, not {size} and {overlap}")
    step = size - overlap
    starts = range(0, max(1, len(sentences) - overlap), step)
    return [" ".join(sentences[start : start + size]) for start in starts] if sentences else []
