"""Spans that noise leaves alone: a wrong digit is another number, and a lost "not" another meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["PROTECTED", "pattern_of"]

PROTECTED = {
    "numbers": r"\S*\d\S*",
    "urls": r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|org|net|io|edu|gov|de|uk|eu)\b\S*",
    "emails": r"\S+@\S+\.\S+",
    "mentions": r"[@#]\w+",
    "code": r"`[^`]*`",
    "slots": r"\{[^{}\s]*\}|<[^<>\s]+>",
    "negations": r"(?i:\b(?:not|no|never|none|nothing|nobody|nowhere|neither|nor|without|cannot|\w+n['’]t)\b)",
}


def pattern_of(protect: Sequence[str]) -> re.Pattern[str] | None:
    """Return one pattern for all; None where nothing is protected.

    Args:
        protect: names of `PROTECTED`, or "/.../" with a pattern of the user's own in it.

    Raises:
        ConfigError: no such name, or no valid pattern.
    """
    parts = []
    for one in protect:
        own = len(one) > 2 and one.startswith("/") and one.endswith("/")
        if not own and one not in PROTECTED:
            raise ConfigError(
                f"nothing to protect is called {one!r}{did_you_mean(one, PROTECTED)}; own patterns are /.../"
            )
        part = one[1:-1] if own else PROTECTED[one]
        try:
            re.compile(part)
        except re.error as error:
            raise ConfigError(f"protect: {one!r} is no pattern: {error}") from None
        parts.append(f"(?:{part})")
    return re.compile("|".join(parts)) if parts else None
