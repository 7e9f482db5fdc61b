"""Names in the form in which they are compared: without case, accents, punctuation and dots between initials."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["initials", "normalised"]

# Plus and sharp tell C, C++ and C# apart; an underscore stands for a space in many bases.
_WORD = re.compile(r"[^\W_]+[+#]*")
# "U.S." and "J.K. Rowling": a letter by itself, a dot, and then another such letter or the end of the word.
_DOTS = re.compile(r"\b([^\W\d_])\.(?=[^\W\d_]\b|\W|$)")
_POSSESSIVE = re.compile(r"['’]s\b")


def normalised(name: str) -> str:
    """Return a name as it is compared; of signs alone what they are, and "" of nothing.

    Applied to what it gave it changes nothing.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    text = "".join(one for one in text if not unicodedata.combining(one))
    words = _WORD.findall(_DOTS.sub(r"\1", _POSSESSIVE.sub("", text)))
    return " ".join(words) or " ".join(text.split())


def initials(name: str) -> str:
    """Return the first letters of a normalised name's words."""
    return "".join(word[0] for word in name.split())
