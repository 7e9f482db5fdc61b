"""What an answer cites, and whether the passages bear it out.

Sources: Gao et al. 2023 (Enabling Large Language Models to Generate Text with Citations, ALCE), section 3.3: citation
recall (a sentence is borne out by all that it cites together) and precision (each citation of it counts for
something). Whether a text bears out another is asked of a function: an NLI model, a small model that chooses, or words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.errors import ModelError
from pilotfish.measure.support import Supports

__all__ = ["Cited", "checked", "citations", "uncited"]

_GROUP = re.compile(r"\s*\[\s*(\d+(?:\s*[,;–-]\s*\d+)*)\s*\]")
_SENTENCE = re.compile(r"(?<=[.!?])((?:\s*\[[\d\s,;–-]+\])*)\s+(?=\S)")


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
