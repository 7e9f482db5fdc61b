"""Mentions of a text that nobody marked: runs of its words that are a name of the knowledge base, the longest first.

Source: dictionary look-up as in Cucerzan 2007. A single word counts where it has a capital letter or a digit, so that
names such as "It" or "The Who" do not make every pronoun a mention.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from pilotfish.compete.entities.mention import Mention
from pilotfish.compete.entities.names import normalised

__all__ = ["spotted"]

_WORD = re.compile(r"[^\W_]+(?:[.'’&-][^\W_]+)*[+#.]*")
WORDS = 8  # of a name, at most


def spotted(text: str, names: AbstractSet[str]) -> list[Mention]:
    """Return the mentions of a text, in its order; no two overlap.

    Args:
        text: any.
        names: normalised (`AliasIndex.known`).
    """
    words = [(one.start(), one.end()) for one in _WORD.finditer(text)]
    found: list[Mention] = []
    at = 0
    while at < len(words):
        for stop in range(min(len(words), at + WORDS), at, -1):
            start, end = words[at][0], words[stop - 1][1]
            surface = text[start:end]
            plain = stop - at == 1 and surface.isalpha() and surface == surface.lower()
            if plain or normalised(surface) not in names:
                continue
            # A full stop that ends the sentence is no part of the name, unless initials end with it.
            if surface.endswith(".") and normalised(surface[:-1]) in names and "." not in surface[:-1]:
                end -= 1
            found.append(Mention(text, start, end))
            at = stop
            break
        else:
            at += 1
    return found
