"""Phrases that are written otherwise: another spelling, other forms of the words, another order of them."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from pilotfish._extras import need
from pilotfish.compete.phrases.find import FUNCTION_WORDS
from pilotfish.compete.phrases.pair import Pair, distinct, normal

__all__ = ["spelt", "typed_wrong", "variants"]

_INNER = re.compile(r"[\s\-‐‑–'’.]+")
_MOST = 4  # phrases of a group that are paired with one another
_LEAST = 4  # letters of a word that is typed wrong


def spelt(phrase: str) -> str:
    """Return what is the same for e-mail, E mail and email, and for U.S.A. and USA."""
    return _INNER.sub("", normal(phrase))


def variants(
    phrases: Sequence[str], *, language: str = "english", function_words: Iterable[str] = FUNCTION_WORDS
) -> list[Pair]:
    """Return pairs of phrases that are variants of each other, of the kinds "spelling", "morphology" and "order".

    Args:
        phrases: the more frequent ones first: of a large group only some are paired.
        language: of Snowball's stemmer.
        function_words: that do not count where the order does not: history of art, art history.

    Raises:
        MissingExtra: PyStemmer is not installed.
    """
    stem: Callable[[str], str] = need("Stemmer", "retrieve").Stemmer(language).stemWord
    away = {normal(word) for word in function_words}

    def stems(phrase: str) -> tuple[str, ...]:
        return tuple(stem(word) for word in normal(phrase).split())

    def unordered(phrase: str) -> tuple[str, ...]:
        return tuple(sorted(stem(word) for word in normal(phrase).split() if word not in away))

    found: list[Pair] = []
    for kind, key in (("spelling", spelt), ("morphology", stems), ("order", unordered)):
        groups: dict[object, list[str]] = defaultdict(list)
        for phrase in phrases:
            own = key(phrase)
            # Of one word there is no order.
            if own and not (kind == "order" and len(own) < 2):
                groups[own].append(phrase)
        for members in groups.values():
            some = members[:_MOST]
            found += [Pair(a, b, kind) for at, a in enumerate(some) for b in some[at + 1 :]]
    # A pair that differs in its spelling alone has the same stems, too: the first kind is kept.
    return distinct(found)


def typed_wrong(phrases: Sequence[str], seed: int = 0) -> list[Pair]:
    """Return each phrase, where it has a long enough word, with one typing error, of the kind "typo".

    The errors are those of characters in Chen et al. 2024 (PEARL), section 3: two letters swapped, one left out, one
    doubled, one changed for another of the word; never the first of a word.

    Args:
        phrases: what is typed.
        seed: of the errors.
    """
    found = []
    for phrase in phrases:
        rng = random.Random(f"{seed} {phrase}")
        long = [one for one in re.finditer(r"[^\W\d_]+", phrase) if one.end() - one.start() >= _LEAST]
        if not long:
            continue
        word = rng.choice(long)
        at = rng.randrange(word.start() + 1, word.end() - 1)
        letters = list(phrase)
        error = rng.choice(("swap", "leave out", "double", "change"))
        if error == "swap":
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        elif error == "leave out":
            letters[at] = ""
        elif error == "double":
            letters[at] *= 2
        else:
            letters[at] = rng.choice(word.group())
        found.append(Pair(phrase, "".join(letters), "typo"))
    return distinct(found)
