"""Queries that a large model writes for passages, of which those are kept that find their passage again.

Sources: Bonifacio et al. 2022 (InPars); Dai et al. 2022 (Promptagator), section 3.2, for the round trip. What is asked
is stored, so a kill loses no paid answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Request
from pilotfish.retrieve.late.teach import Triple
from pilotfish.rows.asking import Bill, asked

if TYPE_CHECKING:
    from pilotfish.retrieve.found import Ranker

__all__ = ["PROMPT", "WrittenQueries", "written_queries"]

PROMPT = (
    "Write one question that a person would type into a search engine and that the passage below answers. Use the "
    "person's own words rather than the passage's, and name what it is about. Answer with the question alone.\n\n"
    "Passage: {passage}"
)
_LEAD = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+|(?:question|query)\s*:\s*)+", re.IGNORECASE)


@dataclass(frozen=True)
class WrittenQueries:
    """What came of asking for queries.

    Attributes:
        triples: a query, its passage, and hard negatives: what was found for it and is not its passage.
        rows: the passage of each.
        asked: how many queries were asked for.
        left_out: reason -> queries that are not among the triples.
        bill: of all answers.
    """

    triples: list[Triple]
    rows: list[int]
    asked: int
    left_out: Counter[str]
    bill: Bill


def written_queries(
    model: Model,
    passages: Sequence[str],
    folder: str | Path,
    *,
    each: int = 1,
    found_by: Ranker | None = None,
    among: int = 10,
    negatives: int = 1,
    from_rank: int = 3,
    prompt: str | Callable[[str], str] = PROMPT,
    temperature: float = 0.7,
    max_tokens: int = 64,
    concurrency: int | None = None,
    progress: bool = False,
) -> WrittenQueries:
    """Have a model write queries for passages, and keep those by which a ranker finds the passage again.

    Args:
        model: who writes.
        passages: what is asked about.
        folder: of what was asked; a run that was killed goes on there.
        each: queries for a passage.
        found_by: a way to find these passages, whose rows they are; None keeps every query and has no negatives.
        among: a query is kept where its passage is among so many first.
        negatives: hard ones of a query, from what is found for it.
        from_rank: negatives begin at this rank, from 1: what comes first often answers the query, too.
        prompt: with `{passage}` in it, or a function of the passage.
        temperature: of the sampling.
        max_tokens: of a query.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.

    Raises:
        ConfigError: a number out of range, a prompt without its place.
        UpstreamError: the endpoint fails for question after question; what was answered stays.
    """
    if min(each, among, from_rank) < 1 or negatives < 0:
        raise ConfigError(f"each, among and from_rank are 1 or more: not {each}, {among} and {from_rank}")
    if isinstance(prompt, str) and "{passage}" not in prompt:
        raise ConfigError("the prompt names no {passage}")

    def put(passage: str) -> str:
        return prompt.replace("{passage}", passage) if isinstance(prompt, str) else prompt(passage)

    requests = [Request.of(put(one), temperature=temperature, max_tokens=max_tokens) for one in passages]
    questions = [(request, sample) for request in requests for sample in range(each)]
    answers = asked(model, questions, folder, concurrency=concurrency, progress=progress)
    left_out = Counter(answers.unanswered)
    kept: list[tuple[int, str]] = []
    seen: set[tuple[int, str]] = set()
    for number, said in enumerate(answers.said):
        if said is None:
            continue
        query, row = _first_line(said.text), number // each
        fault = said.fault or ("empty answer" if not query else "written twice" if (row, query) in seen else None)
        if fault is not None:
            left_out[fault] += 1
            continue
        seen.add((row, query))
        kept.append((row, query))
    triples, rows = [], []
    for (row, query), ranked in zip(kept, _ranked(found_by, kept, among, negatives + from_rank), strict=True):
        if ranked is not None and row not in ranked[:among]:
            left_out["its passage is not found"] += 1
            continue
        further = [other for other in (ranked or [])[from_rank - 1 :] if passages[other] != passages[row]]
        triples.append(Triple(query, passages[row], tuple(dict.fromkeys(passages[i] for i in further[:negatives]))))
        rows.append(row)
    return WrittenQueries(triples, rows, len(questions), left_out, answers.bill)


def _ranked(ranker: Ranker | None, kept: Sequence[tuple[int, str]], among: int, further: int) -> list[list[int] | None]:
    """Return the rows that are found for each query, best first; None where nothing is to find them."""
    if ranker is None or not kept:
        return [None] * len(kept)
    found = ranker.rank([query for _, query in kept], max(among, further + 1))
    return [[row for row in rows if row >= 0] for rows in found.rows.tolist()]


def _first_line(text: str) -> str:
    """Return the first line that says something, without a number, a bullet or quotation marks about it."""
    for line in text.splitlines():
        bare = _LEAD.sub("", line).strip().strip('"“”').strip()
        if bare:
            return bare
    return ""
