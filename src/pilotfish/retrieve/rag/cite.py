"""What an answer cites, and whether the passages bear it out.

Sources: Gao et al. 2023 (Enabling Large Language Models to Generate Text with Citations, ALCE), section 3.3: citation
recall (a sentence is borne out by all that it cites together) and precision (each citation of it counts for
something). Whether a text bears out another is asked of a function: an NLI model, a small model that chooses, or words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pilotfish.errors import ModelError

__all__ = ["ByWords", "Cited", "Supports", "checked", "citations", "uncited"]

# From (premise, hypothesis) pairs to how far the first bears out the second, from 0 to 1.
Supports = Callable[[Sequence[tuple[str, str]]], Sequence[float]]

_GROUP = re.compile(r"\s*\[\s*(\d+(?:\s*[,;–-]\s*\d+)*)\s*\]")
_SENTENCE = re.compile(r"(?<=[.!?])((?:\s*\[[\d\s,;–-]+\])*)\s+(?=\S)")
_WORD = re.compile(r"\w+(?:[.,]\w+)*")
# Words that stand in any text and bear out nothing.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be been but by can could did do does for from had has have he her his i if in "
        "into is it its may more not of on or our she so some such than that the their them then there these "
        "they this those to was we were what when where which who will with would you your ",
    )
)


@dataclass(frozen=True)
class Cited:
    """A sentence of an answer and what it cites.

    Attributes:
        text: the sentence, without its citations.
        numbers: that it cites, each once.
        support: how far the passages that it cites bear it out together; None where nothing was checked.
    """

    text: str
    numbers: tuple[int, ...]
    support: float | None = None


def citations(answer: str) -> list[Cited]:
    """Return an answer's sentences with the numbers that they cite: "[1]", "[1, 3]", "[2-4]", "[1][2]"."""
    found = []
    for sentence in _sentences(answer):
        numbers = [number for group in _GROUP.findall(sentence) for number in _numbers(group)]
        text = _GROUP.sub("", sentence).strip()
        if text or numbers:
            found.append(Cited(text, tuple(dict.fromkeys(numbers))))
    return found


def uncited(answer: str, count: int) -> str:
    """Return an answer without the numbers that no passage has; `count` passages are numbered from 1."""

    def kept(group: re.Match[str]) -> str:
        numbers = [number for number in dict.fromkeys(_numbers(group.group(1))) if 1 <= number <= count]
        lead = group.group()[: len(group.group()) - len(group.group().lstrip())]
        return f"{lead}[{', '.join(map(str, numbers))}]" if numbers else ""

    return _GROUP.sub(kept, answer)


def checked(cited: Sequence[Cited], passages: Sequence[str], supports: Supports) -> list[Cited]:
    """Return sentences with how far what they cite bears them out; one that cites nothing that is there has 0.

    Raises:
        ModelError: not a number from 0 to 1 for each.
    """
    pairs, at = [], []
    for place, one in enumerate(cited):
        there = [passages[number - 1] for number in one.numbers if 1 <= number <= len(passages)]
        if there and one.text:
            pairs.append(("\n\n".join(there), one.text))
            at.append(place)
    told = [float(one) for one in supports(pairs)] if pairs else []
    if len(told) != len(pairs) or not all(0 <= one <= 1 for one in told):
        raise ModelError(f"{len(pairs)} citations need as many numbers from 0 to 1; there came {told!r}")
    found = [Cited(one.text, one.numbers, 0.0 if one.numbers else None) for one in cited]
    for place, support in zip(at, told, strict=True):
        found[place] = Cited(cited[place].text, cited[place].numbers, support)
    return found


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
            wanted = set(_words(hypothesis)) - _COMMON
            missing = wanted - there
            if self.numbers and any(word[0].isdigit() for word in missing):
                found.append(0.0)
            else:
                found.append(1.0 - len(missing) / len(wanted) if wanted else 1.0)
        return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _sentences(answer: str) -> list[str]:
    """Return sentences, each with the citations that stand behind its stop."""
    found = []
    for line in answer.splitlines():
        at = 0
        for stop in _SENTENCE.finditer(line):
            found.append(line[at : stop.end(1)])
            at = stop.end()
        found.append(line[at:])
    return [one for one in found if one.strip()]


_MOST = 1000  # of a range such as [1-1000000], which no answer has


def _numbers(group: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"\s*[,;]\s*", group.strip()):
        ends = [int(one[:9]) for one in re.split(r"\s*[–-]\s*", part)]
        if len(ends) == 1:
            found.append(ends[0])
        elif ends[0] <= ends[-1] < ends[0] + _MOST:
            found.extend(range(ends[0], ends[-1] + 1))
        else:
            found.extend(ends)
    return found
