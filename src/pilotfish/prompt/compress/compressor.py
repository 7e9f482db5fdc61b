"""A text, or a prompt of several parts, within a budget: protected, chosen roughly, scored finely, fitted exactly.

Source of the budget's controller: Jiang et al. 2023 (LLMLingua), section 3.1, algorithm 1: demonstrations are chosen
whole first, up to more than the budget, and what is left is decided by tokens. What is not used up there falls to the
other parts, here by itself: one threshold serves all parts in proportion to their rates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress.count import Count
from pilotfish.prompt.compress.fit import Units, fitted
from pilotfish.prompt.compress.protect import Protect
from pilotfish.prompt.compress.result import Compressed
from pilotfish.prompt.compress.shares import priorities, shares_of
from pilotfish.prompt.compress.units import Span, lengths_of, sentence_numbers, units_of
from pilotfish.prompt.compress.way import Asked, Rank, Scored, Way
from pilotfish.rows.sentences import spans_of

__all__ = ["PAUSE", "Areas", "Compressor", "Prompt", "paragraphs_of", "share_of"]

Areas = Literal["sentences", "paragraphs"]

PAUSE = "\n\n"  # between the parts of a prompt
_NEAR = 1e-9  # less than between any two units
_FAR = 1e6  # between what is kept before all else, what was chosen roughly, and the rest


@dataclass(frozen=True)
class Prompt:
    """A prompt in parts, which are joined by blank lines in this order.

    Attributes:
        documents: demonstrations or passages.
        instruction: what stands before them.
        question: what stands behind them.
    """

    documents: tuple[str, ...]
    instruction: str = ""
    question: str = ""


@dataclass(frozen=True)
class Compressor:
    """Keeps of a text what is worth most, and as much as fits.

    Attributes:
        way: says what each unit is worth.
        count: of the target; see `counted_by`.
        protect: what is kept whole or not at all.
        rank: a rough choice first, of a text's `areas`, or of the documents of a prompt; None makes none.
        areas: "sentences" or "paragraphs" of a text.
        factor: times its budget a text is cut down to by that choice, the granularity k of the paper. What is not
            chosen is kept only where all that was chosen is.
        spread: how much more the better areas or documents keep than the worse (δ of LongLLMLingua, .3 there).
        reorder: whether a prompt's documents are put in order, the best first.
        instruction_rate: the share of a prompt's instruction that is kept; None keeps it word by word.
        question_rate: of its question, likewise.
        language: of sentences, as ISO 639-1.

    Raises:
        ConfigError: a setting out of range, or a setting of documents' ranks without `rank`.
    """

    way: Way
    count: Count
    protect: Protect = field(default_factory=Protect)
    rank: Rank | None = None
    areas: Areas = "sentences"
    factor: float = 2.0
    spread: float = 0.0
    reorder: bool = False
    instruction_rate: float | None = None
    question_rate: float | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if self.factor < 1 or not 0 <= self.spread <= 1:
            raise ConfigError(f"factor is 1 or more and spread a share, not {self.factor} and {self.spread}")
        for rate in (self.instruction_rate, self.question_rate):
            if rate is not None and not 0 < rate <= 1:
                raise ConfigError(f"a rate is above 0 and at most 1, not {rate}")
        if self.areas not in get_args(Areas):
            raise ConfigError(f"areas are {' or '.join(get_args(Areas))}, not {self.areas!r}")
        if self.rank is None and (self.spread or self.reorder):
            raise ConfigError("spread and reorder go by the documents' ranks: give rank")

    def text(
        self,
        text: str,
        *,
        budget: int | None = None,
        rate: float | None = None,
        question: str = "",
        keep: Sequence[Span] = (),
    ) -> Compressed:
        """Return a text within a budget.

        Args:
            text: any; one that fits stays as it is.
            budget: in what `count` counts.
            rate: instead: the share of the text's length, rounded up.
            question: what the text is to answer. It need be no part of it.
            keep: stretches of the text that are kept word by word.

        Raises:
            ConfigError: neither a budget nor a rate, both, or one out of range.
            DataError: what is kept word by word alone is longer than the budget.
        """
        before, most = self._budget(text, budget, rate)
        if before <= most:
            return _whole(text, before, most, self.count)
        areas: list[Span] = []
        if self.rank is not None:
            areas = spans_of(text, self.language) if self.areas == "sentences" else paragraphs_of(text)
        return self._fitted(_Plan(text, areas, question, before, most, rated=dict.fromkeys(keep)))

    def prompt(
        self, prompt: Prompt, *, budget: int | None = None, rate: float | None = None, question: str = ""
    ) -> Compressed:
        """Return a prompt within a budget; its `original` is the prompt as one text, its documents in their order.

        Args:
            prompt: its parts.
            budget: of all parts together.
            rate: instead: the share of all parts together.
            question: what the documents are to answer, where that is no part of the prompt.

        Raises:
            ConfigError: as for `text`.
            DataError: the parts that are kept word by word are longer than the budget.
        """
        documents, values, read = list(prompt.documents), None, 0
        question = prompt.question or question
        if self.rank is not None and len(documents) > 1:
            told = self.rank(question, documents)
            order = np.lexsort((np.arange(len(documents)), -told.values))
            if self.reorder:
                documents = [documents[i] for i in order]
                values = told.values[order]
            else:
                values = told.values
            read = told.read
        text, places = _joined([prompt.instruction, *documents, prompt.question])
        before, most = self._budget(text, budget, rate)
        if before <= most:
            return _whole(text, before, most, self.count)
        ends = ((places[0], self.instruction_rate), (places[-1], self.question_rate))
        rated = {span: part for span, part in ends if span[0] < span[1]}
        return self._fitted(_Plan(text, places[1:-1], question, before, most, values, rated, read))

    def _budget(self, text: str, budget: int | None, rate: float | None) -> tuple[int, int]:
        if (budget is None) == (rate is None):
            raise ConfigError("give a budget or a rate")
        if budget is not None and budget < 1:
            raise ConfigError(f"a budget is 1 or more, not {budget}")
        if rate is not None and not 0 < rate <= 1:
            raise ConfigError(f"a rate is above 0 and at most 1, not {rate}")
        before = self.count(text)
        return before, budget if budget is not None else share_of(before, rate)

    def _fitted(self, plan: _Plan) -> Compressed:
        text = plan.text
        spans, protected = _units(text, self.protect(text), plan.most, self.count)
        if not spans:  # nothing but white space
            return Compressed(text, (), plan.before, 0, plan.most, self.count.unit, (), plan.read)
        weights = lengths_of(spans)
        starts = np.array([start for start, _ in spans])
        locked, rated = np.zeros(len(spans), bool), np.full(len(spans), np.nan)
        for (start, end), part in plan.rated.items():
            inside = (starts >= start) & (starts < end)
            locked |= inside & (part is None)
            if part is not None:
                rated[inside] = part
        fixed = float(weights[locked].sum() + np.nansum(weights * rated))
        # The budget as weights of units; about right, for the exact count is made in the end.
        room = max(1.0, plan.most * float(weights.sum()) / plan.before - fixed)
        chosen, shares, read = self._chosen(plan, starts, weights, ~locked & np.isnan(rated), room)
        shares = np.where(np.isnan(rated), shares, rated)
        chosen |= ~np.isnan(rated)
        scored = self._scored(text, spans, chosen & ~locked, shares, plan)
        priority = np.full(len(spans), -2 * _FAR) + scored.values
        priority[chosen] += 2 * _FAR
        if self.protect.kept == "always":
            priority[protected & chosen] += _FAR
        elif self.protect.kept == "with-sentence":
            sentences = sentence_numbers(text, spans)
            best = np.full(int(sentences.max()) + 1, -np.inf)
            np.maximum.at(best, sentences, priority)
            priority[protected] = best[sentences[protected]] + _NEAR
        kept = fitted(Units(text, spans, priority, protected, locked), plan.most, self.count)
        return Compressed(
            text,
            kept.spans,
            plan.before,
            kept.size,
            plan.most,
            self.count.unit,
            kept.lost,
            plan.read + read + scored.read,
            kept.counted,
        )

    def _chosen(
        self,
        plan: _Plan,
        starts: NDArray[np.int64],
        weights: NDArray[np.float64],
        free: NDArray[np.bool_],
        room: float,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], int]:
        """Return the units that a rough choice leaves, about which share of each is to be kept, and tokens read."""
        every = np.clip(np.full(len(starts), room / max(float(weights[free].sum()), 1.0)), 1e-3, 1.0)
        values, read = plan.values, 0
        if values is None and self.rank is not None and len(plan.areas) > 1:
            told = self.rank(plan.question, [plan.text[start:end] for start, end in plan.areas])
            values, read = told.values, told.read
        if values is None:
            return free.copy(), every, read
        bounds = np.array([start for start, _ in plan.areas])
        owner = np.clip(np.searchsorted(bounds, starts, side="right") - 1, 0, None)
        sizes = np.bincount(owner[free], weights=weights[free], minlength=len(bounds))
        order = np.lexsort((np.arange(len(values)), -values))
        # The one that crosses is chosen too, so that there is always more than the budget.
        before = np.concatenate([[0.0], np.cumsum(sizes[order])[:-1]])
        picked = np.zeros(len(values), bool)
        picked[order[before < self.factor * room]] = True
        ranks = np.empty(len(values), np.int64)
        ranks[order] = np.arange(len(values))
        left = max(float(sizes[picked].sum()), 1.0)
        shares = shares_of(np.minimum(ranks, picked.sum() - 1), min(1.0, room / left), self.spread)
        return free & picked[owner], shares[owner], read

    def _scored(
        self, text: str, spans: Sequence[Span], read: NDArray[np.bool_], shares: NDArray[np.float64], plan: _Plan
    ) -> Scored:
        """Return the order of all units; only what may be kept is read, as one text."""
        pieces, moved = _stretches(text, spans, read)
        at = np.flatnonzero(read)
        told = self.way(Asked(pieces, moved, plan.question, shares[at]))
        weights = lengths_of(moved)
        groups = told.groups
        if any(plan.rated.values()) or self.spread:
            # Parts of different shares are compared within each alone.
            own = np.unique(shares[at], return_inverse=True)[1]
            groups = own if groups is None else groups * (int(own.max(initial=0)) + 1) + own
        found = np.zeros(len(spans))
        found[at] = np.maximum(priorities(told.values, weights, shares[at], groups), -_FAR / 2)
        return Scored(found, None, told.read)


@dataclass(frozen=True)
class _Plan:
    """What is to be fitted.

    Attributes:
        text: whole.
        areas: of it, in order: what a rough choice chooses among.
        question: what it is about.
        before: its length.
        most: its budget.
        values: of the areas, where they have been ranked.
        rated: stretches that are no such areas, and their share; None keeps them word by word.
        read: tokens read to rank them.
    """

    text: str
    areas: Sequence[Span]
    question: str
    before: int
    most: int
    values: NDArray[np.float64] | None = None
    rated: dict[Span, float | None] = field(default_factory=dict)
    read: int = 0


def share_of(length: int, rate: float | None) -> int:
    """Return a share of a length, rounded up, at least 1."""
    return max(1, math.ceil(length * (rate or 0.0) - 1e-9))


def paragraphs_of(text: str) -> list[Span]:
    """Return where paragraphs begin and end: at blank lines, or at lines' ends in a text without any."""
    for end in (r"(?:[^\S\n]*\n){2,}", r"\n"):
        starts = [0, *(found.end() for found in re.finditer(end, text))]
        ends = [*(found.start() for found in re.finditer(end, text)), len(text)]
        found = [(a, b) for a, b in zip(starts, ends, strict=True) if text[a:b].strip()]
        if len(found) > 1:
            return found
    return [(0, len(text))] if text.strip() else []


def _whole(text: str, before: int, most: int, count: Count) -> Compressed:
    return Compressed(text, ((0, len(text)),) if text else (), before, before, most, count.unit)


def _joined(parts: Sequence[str]) -> tuple[str, list[Span]]:
    """Return parts joined by blank lines, and where each of them lies; an empty one lies nowhere."""
    text, places = "", []
    for part in parts:
        if part and text:
            text += PAUSE
        places.append((len(text), len(text) + len(part)))
        text += part
    return text, places


def _units(text: str, protected: Sequence[Span], most: int, count: Count) -> tuple[list[Span], NDArray[np.bool_]]:
    """Return the units, those of a protected stretch as one, and which of them are protected.

    What alone is longer than the budget cannot be kept whole, so it is not protected.
    """
    spans: list[Span] = []
    whole: list[bool] = []
    held = [span for span in protected if span[1] - span[0] <= most or count(text[span[0] : span[1]]) <= most]
    last = -1
    at = 0
    for start, end in units_of(text):
        while at < len(held) and held[at][1] <= start:
            at += 1
        inside = at < len(held) and held[at][0] < end
        if inside and last == at:
            spans[-1] = (spans[-1][0], end)
            continue
        spans.append((start, end))
        whole.append(inside)
        last = at if inside else -1
    return spans, np.array(whole, bool)


def _stretches(text: str, spans: Sequence[Span], read: NDArray[np.bool_]) -> tuple[str, list[Span]]:
    """Return the stretches of a text that units of it cover, as one text, and where its units lie there."""
    pieces: list[str] = []
    moved: list[Span] = []
    length, before = 0, -2
    for at in np.flatnonzero(read).tolist():
        start, end = spans[at]
        apart = "\n" if pieces else ""
        between = text[spans[before][1] : start] if at == before + 1 else apart
        pieces += [between, text[start:end]]
        length += len(between)
        moved.append((length, length + end - start))
        length += end - start
        before = at
    return "".join(pieces), moved
