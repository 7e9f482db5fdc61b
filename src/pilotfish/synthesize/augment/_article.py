"""Whether an English word takes "a" or "an"."""

from __future__ import annotations

import re

__all__ = ["takes_an"]

_SILENT_H = re.compile(r"(?:hour|honest|honou?r|heir)", re.IGNORECASE)
_AS_YOU = re.compile(r"(?:uni(?!n|m[^o])|use|usu|uter|uto|ukr|ura|eu|ewe|one\b|once\b|ufo\b)", re.IGNORECASE)
_LETTERS = re.compile(r"[A-Z]{2,}s?\b|[A-Z]\b")


def takes_an(word: str) -> bool:
    """Say so by how the word sounds: an hour, a union, an MP, an 8, a 10; numbers by their first ones."""
    word = word.lstrip("\"'([{")
    if word[:1].isdigit():
        number = word.partition(",")[0] if re.match(r"\d+(?:,\d{3})+", word) else re.split(r"\D", word)[0]
        return number.startswith("8") or number in ("11", "18")
    spelled = _LETTERS.match(word)
    # Initials are spelled out letter by letter, but for those that are read as words: with a vowel at its second place.
    if spelled and not (len(spelled.group()) > 3 and word[1] in "AEIOU"):
        return word[0] in "AEFHILMNORSX"
    if _SILENT_H.match(word):
        return True
    return word[:1].lower() in "aeiou" and not _AS_YOU.match(word) if word else False
