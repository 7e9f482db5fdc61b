"""What of the passages that were found a model is shown: numbered, each text once, within a budget of tokens.

Source for the orders: Liu et al. 2024 (Lost in the Middle), section 4: what stands first or last is read best.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from pilotfish.errors import ConfigError
from pilotfish.model import Trace
from pilotfish.retrieve.found import Hit, Passage

__all__ = ["Context", "Order", "Shorten", "packed"]

# From a question, passages and a budget to as many texts, some of which may be "", and what that took.
Shorten = Callable[[str, Sequence[str], int], tuple[Sequence[str], Trace]]

Order = Literal["best-first", "best-last", "ends"]
_NUMBERED = re.compile(r"^(\s*)\[(?=\s*\d)", re.MULTILINE)
_LEAST = 16  # tokens of a passage that is cut: fewer tell nothing


@dataclass(frozen=True)
class Context:
    """The passages that a model is shown.

    Attributes:
        hits: in the order that they are shown in; the first has the number 1. One may be a cut or joined passage.
        text: as they are shown.
        tokens: of the text.
        whole: the same passages as they were before they were made shorter.
        left_out: hits that did not fit.
        cut: whether the last one that fitted is not whole.
        trace: what making passages shorter took.
    """

    hits: tuple[Hit, ...]
    text: str
    tokens: int
    whole: tuple[Hit, ...] = ()
    left_out: int = 0
    cut: bool = False
    trace: Trace = field(default_factory=Trace)


def packed(
    hits: Sequence[Hit],
    budget: int,
    count: Callable[[str], int],
    *,
    order: Order = "best-first",
    joined: bool = True,
    shorten: Shorten | None = None,
    question: str = "",
) -> Context:
    """Return as many of the best hits as fit; the one that does not fit any more is cut where enough of it would.

    Args:
        hits: best first.
        budget: tokens.
        count: of a text.
        order: the best first, last, or the best ones at both ends.
        joined: whether pieces of one document that overlap or touch are shown as one, at the place of the best.
        shorten: makes passages shorter where they are more than the budget; None leaves the last ones out.
        question: what they are to answer.

    Raises:
        ConfigError: no budget, or another order.
    """
    if budget < 1:
        raise ConfigError(f"a context has at least one token, not {budget}")
    if order not in get_args(Order):
        raise ConfigError(f"the order is one of {', '.join(get_args(Order))}, not {order!r}")
    given = _joined(hits) if joined else list(hits)
    before: dict[str, Hit] = {}
    found, trace = len(given), Trace()
    if shorten is not None:
        before = {hit.passage.id: hit for hit in given}
        given, trace = _shortened(given, budget, count, shorten, question)
    kept: list[Hit] = []
    spent, cut = 0, False
    for hit in given:
        # Numbers are as long as the largest one, so that the order does not change what fits.
        size = count(_shown(len(given), hit.passage))
        if spent + size > budget:
            part = _cut(hit, budget - spent, len(given), count)
            if part is not None:
                kept.append(part)
                spent += count(_shown(len(given), part.passage))
                cut = True
            break
        kept.append(hit)
        spent += size
    ordered = _ordered(kept, order)
    text = "\n\n".join(_shown(number, hit.passage) for number, hit in enumerate(ordered, 1))
    whole = tuple(before.get(hit.passage.id, hit) for hit in ordered)
    return Context(tuple(ordered), text, count(text) if text else 0, whole, found - len(kept), cut, trace)


def _shortened(
    hits: list[Hit], budget: int, count: Callable[[str], int], shorten: Shorten, question: str
) -> tuple[list[Hit], Trace]:
    """Return hits that fit together, those of which nothing is left out; as they are where they fit already."""
    if not hits or sum(count(_shown(len(hits), hit.passage)) for hit in hits) <= budget:
        return hits, Trace()
    # What their numbers and titles take is no passage's.
    around = sum(count(_shown(len(hits), replace(hit.passage, text=""))) + 1 for hit in hits)
    texts, trace = shorten(question, [hit.passage.text for hit in hits], max(1, budget - around))
    given = zip(hits, texts, strict=True)
    return [replace(hit, passage=replace(hit.passage, text=text)) for hit, text in given if text.strip()], trace


def _shown(number: int, passage: Passage) -> str:
    """Return a passage with its number; a number at the start of a line of its own is no further passage."""
    return f"[{number}] " + _NUMBERED.sub(r"\1(", passage.searched).strip()


def _joined(hits: Sequence[Hit]) -> list[Hit]:
    """Return each passage once, and what touches as one, at the place and with the score of the best of it."""
    found: list[Hit] = []
    seen: set[str] = set()
    for hit in hits:
        if hit.passage.id in seen:
            continue
        seen.add(hit.passage.id)
        found.append(hit)
        at = len(found) - 1
        # What two have become may touch a third.
        while others := [i for i, one in enumerate(found) if i != at and _touch(one.passage, found[at].passage)]:
            first, second = sorted((others[0], at))
            found[first] = replace(found[first], passage=_merged(found[first].passage, found[second].passage))
            found.pop(second)
            at = first
    return found


def _touch(one: Passage, other: Passage) -> bool:
    if not one.document or one.document != other.document or one.end <= one.start or other.end <= other.start:
        return False
    low, high = (one, other) if one.start <= other.start else (other, one)
    if high.start > low.end:
        return False
    # Only where both are the document's own characters can they be put together again.
    if any(len(piece.text) != piece.end - piece.start for piece in (low, high)):
        return False
    shared = min(low.end, high.end) - high.start
    return low.text[high.start - low.start :][:shared] == high.text[:shared]


def _merged(one: Passage, other: Passage) -> Passage:
    low, high = (one, other) if one.start <= other.start else (other, one)
    text = low.text + high.text[max(0, low.end - high.start) :]
    return replace(one, text=text, start=low.start, end=max(low.end, high.end))


def _cut(hit: Hit, room: int, number: int, count: Callable[[str], int]) -> Hit | None:
    """Return the hit with as many of its words as fit; None where those would be too few to tell anything."""
    if room < _LEAST:
        return None
    passage = hit.passage
    ends = [found.end() for found in re.finditer(r"\S+", passage.text)]

    def part(words: int) -> Passage:
        text = passage.text[: ends[words - 1]]
        return replace(passage, text=text + " …", end=passage.start + len(text))

    low, high = 0, len(ends)  # the most words that fit, by halves
    while low < high:
        middle = (low + high + 1) // 2
        if count(_shown(number, part(middle))) <= room:
            low = middle
        else:
            high = middle - 1
    return replace(hit, passage=part(low)) if low and count(part(low).text) >= _LEAST // 2 else None


def _ordered(hits: Sequence[Hit], order: Order) -> list[Hit]:
    if order == "best-first":
        return list(hits)
    if order == "best-last":
        return list(reversed(hits))
    # 1, 3, 5 … 6, 4, 2
    return [*hits[::2], *reversed(hits[1::2])]
