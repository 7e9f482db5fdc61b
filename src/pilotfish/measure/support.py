"""How far a text bears out a sentence: asked of any function; here by words alone.

An NLI model (`pilotfish.evaluate.nli`) is such a function too, by its probability of entailment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["COMMON", "ByWords", "Supports"]

# From (premise, hypothesis) pairs to how far the first bears out the second, from 0 to 1.
Supports = Callable[[Sequence[tuple[str, str]]], Sequence[float]]

_WORD = re.compile(r"\w+(?:[.,]\w+)*")
# Words that stand in any text and bear out nothing.
COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be been but by can could did do does for from had has have he her his i if in "
        "into is it its may more not of on or our she so some such than that the their them then there these "
        "they this those to was we were what when where which who will with would you your ",
    )
)


@dataclass(frozen=True)
class ByWords:
    """Bears out by words: the share of a sentence's words that tell something and stand in the passages.

    It knows no synonyms and no negation: it finds what was made up, not what was turned round. An NLI model does both.

    Attributes:
        numbers: a number of the sentence that stands in no passage makes the share 0.
    """

    numbers: bool = True

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the share for each (passages, sentence); a sentence without such words is borne out."""
        found = []
        for premise, hypothesis in pairs:
            there = set(_words(premise))
            wanted = set(_words(hypothesis)) - COMMON
            missing = wanted - there
            if self.numbers and any(word[0].isdigit() for word in missing):
                found.append(0.0)
            else:
                found.append(1.0 - len(missing) / len(wanted) if wanted else 1.0)
        return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
