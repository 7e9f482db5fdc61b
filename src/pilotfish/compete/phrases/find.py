"""The phrases of texts: words and runs of words that stand together more often than chance would have it.

Sources: Bouma 2009 (normalised pointwise mutual information), here for runs of any length; Mikolov et al. 2013
(Distributed Representations of Words and Phrases), section 4, for taking such runs as units.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pilotfish.compete.phrases.pair import normal
from pilotfish.compete.phrases.spans import Span
from pilotfish.errors import ConfigError

__all__ = ["FUNCTION_WORDS", "Found", "phrases_in"]

# Words that no phrase begins or ends with, and that are none by themselves.
_FUNCTION_WORDS = """
a about above after again against all also although am among an and any are as at be because been before being
below between both but by can cannot could did do does doing down during each few for from further had has have having
he her here hers herself him himself his how however i if in into is it its itself just may me might more most must my
myself near no nor not now of off on once only or other our ours out over own per same shall she should since so some
such than that the their theirs them then there these they this those though through to too toward towards under until
up upon us very via was we were what when where whether which while who whom whose why will with within without would
yet you your yours"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")


@dataclass
class Found:
    """A phrase and where it stands.

    Attributes:
        text: as it is most often written.
        count: how often it stands there.
        tied: how much its words belong together, normalised mutual information; 1 for a single word.
        places: where, the first few.
    """

    text: str
    count: int = 0
    tied: float = 1.0
    places: list[Span] = field(default_factory=list)


def phrases_in(
    texts: Sequence[str],
    *,
    longest: int = 3,
    least: int = 3,
    tied: float = 0.3,
    function_words: Iterable[str] = FUNCTION_WORDS,
    places: int = 20,
) -> list[Found]:
    """Return the phrases of texts, the most frequent first.

    A phrase begins and ends with a word that is no function word, and no sign but a space stands between its words.

    Args:
        texts: any; the same text again counts again.
        longest: words of a phrase.
        least: how often it stands there.
        tied: the least normalised mutual information of several words, -1 to 1: above 0 is more than chance.
        function_words: that a phrase neither begins nor ends with; of another language than English, its own.
        places: of a phrase that are kept.

    Raises:
        ConfigError: a number out of range.
    """
    if longest < 1 or least < 1 or not -1 <= tied <= 1:
        raise ConfigError(f"longest and least are 1 or more and tied -1 to 1, not {longest}, {least} and {tied}")
    away = {normal(word) for word in function_words}
    words: Counter[str] = Counter()
    forms: dict[tuple[str, ...], Counter[str]] = {}
    spans: dict[tuple[str, ...], list[Span]] = {}
    for text in texts:
        places_of = [(one.start(), one.end()) for one in _WORD.finditer(text)]
        keys = [text[a:b].casefold() for a, b in places_of]
        words.update(keys)
        for first in range(len(keys)):
            if keys[first] in away:
                continue
            for last in range(first, min(first + longest, len(keys))):
                if last > first and text[places_of[last - 1][1] : places_of[last][0]] != " ":
                    break
                if keys[last] in away or (last == first and not any(map(str.isalpha, keys[first]))):
                    continue
                key = tuple(keys[first : last + 1])
                start, end = places_of[first][0], places_of[last][1]
                forms.setdefault(key, Counter())[text[start:end]] += 1
                held = spans.setdefault(key, [])
                if len(held) < places:
                    held.append(Span(text, start, end))
    total = sum(words.values())
    found = []
    for key, written in forms.items():
        count = sum(written.values())
        if count < least:
            continue
        worth = _tied(count, [words[word] for word in key], total)
        if worth >= tied:
            form = max(written, key=lambda one: (written[one], one))
            found.append(Found(form, count, worth, spans[key]))
    return sorted(found, key=lambda one: (-one.count, one.text))


def _tied(count: int, parts: Sequence[int], total: int) -> float:
    """Return log p(run) - sum of log p(word), over (words - 1) times -log p(run): 1 where they stand only together."""
    if len(parts) == 1:
        return 1.0
    own = math.log(count / total)
    if own == 0:
        return 1.0
    return (own - sum(math.log(part / total) for part in parts)) / (-own * (len(parts) - 1))
