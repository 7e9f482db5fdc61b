"""Preference pairs: the student answers several times, the teacher says which answer is better.

Sources: Rafailov et al. 2023 (DPO), section 4, what the pairs are for; Zheng et al. 2023 (Judging LLM-as-a-Judge),
sections 3.1 and 3.4: pairwise comparison in both orders, a win only where both agree, or single answer grading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.distill.blackbox.answers import gather, requests_of, weight_of, written
from pilotfish.distill.blackbox.filters import Group
from pilotfish.distill.blackbox.report import Gathered, Taught
from pilotfish.errors import ConfigError
from pilotfish.measure.judging import PAIR, filled_in, task_of, verdict_in
from pilotfish.model import Message, Model, Request
from pilotfish.models.calls import heard
from pilotfish.models.judges import Grades, Told
from pilotfish.rows._row import Row
from pilotfish.rows.asking import Said

__all__ = ["JudgePairs", "preferences"]

Pair = tuple[Request, str, str]


@dataclass(frozen=True)
class JudgePairs:
    """A model that says which of two answers is better, asked in both orders.

    Attributes:
        model: the judge.
        prompt: the question, with `{task}`, `{a}` and `{b}`.
        settings: further fields of the request.
    """

    model: Model
    prompt: str = PAIR
    settings: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 256})

    def __post_init__(self) -> None:
        for place in ("{task}", "{a}", "{b}"):
            if place not in self.prompt:
                raise ConfigError(f"the judge's prompt needs the place {place}")

    def request(self, request: Request, a: str, b: str) -> Request:
        """Return what the judge is asked about two answers to a request."""
        return Request((Message("user", filled_in(self.prompt, task=task_of(request), a=a, b=b)),), **self.settings)

    def verdicts(self, pairs: Sequence[Pair], folder: Path, dropped: Counter[str], *, progress: bool) -> Told:
        """Return 1 where the first answer of a pair is better, -1 where the second is, 0 where that is not known."""
        questions = [(self.request(request, *order), 0) for request, a, b in pairs for order in ((a, b), (b, a))]
        told = heard(self.model, questions, folder / "judged.sqlite", progress=progress)
        found: list[float | None] = []
        for first, second in zip(told.said[::2], told.said[1::2], strict=True):
            there = None if first is None else verdict_in(first.text)
            back = None if second is None else verdict_in(second.text)
            wins = there is not None and back is not None and there == -back and there != 0
            if there is None or back is None:
                dropped["no verdict"] += 1
            elif there == back == 0:
                dropped["tie"] += 1
            elif not wins:
                dropped["the orders disagree"] += 1
            found.append(float(there) if wins and there is not None else 0.0)
        return Told(found, told.bill, told.again)


def preferences(
    rows: Sequence[Row] | str | Path,
    student: Model,
    judge: JudgePairs | Grades,
    out: str | Path,
    *,
    prompt: str | None = None,
    system: str | None = None,
    samples: int = 4,
    pairs: int | None = None,
    margin: float = 0.0,
    pick: int = 0,
    concurrency: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Taught:
    """Let the student answer every row several times and the teacher judge; return the pairs.

    A pair is {messages, chosen, rejected, weight, source}. A tie, a pair whose verdict turns with the order, and one
    without a verdict is dropped and counted (in pairs). All calls are stored as in `answers`: the same call again goes
    on where a killed one stopped.

    Args:
        rows: as in `answers`.
        student: who answers; any model.
        judge: who judges: pairs, two calls each; or grades, one call an answer, or a reward's, which asks nobody.
        out: the folder for what both said.
        prompt: as in `answers`.
        system: as in `answers`.
        samples: answers a row, 2 or more.
        pairs: the most pairs to judge of a row, drawn at random; None for all.
        margin: of grades: a pair whose grades differ by no more is a tie.
        pick: the seed by which pairs are drawn.
        concurrency: calls under way at once; None is as many as a model takes.
        progress: show bars.
        settings: fields of the request to the student.

    Raises:
        ConfigError: a setting is wrong, or `out` holds another run's answers.
        DataError: no row gives a question.
        UpstreamError: the endpoint fails for row after row; what was answered stays.
    """
    if samples < 2 or (pairs is not None and pairs < 1) or margin < 0:
        raise ConfigError(
            f"samples must be 2 or more, pairs 1 or more, margin 0 or more, not {samples}, {pairs} and {margin}"
        )
    report, out = Gathered(), Path(out)
    groups = requests_of(rows, out, report, prompt=prompt, system=system, **settings)
    gather(groups, student, out / "asked", report, samples=samples, concurrency=concurrency, progress=progress)
    drawn: list[tuple[Group, Said, Said]] = []
    random = np.random.default_rng(pick)
    for group in groups:
        different = list({said.text: said for said in group.said}.values())
        report.dropped["the same answer again"] += len(group.said) - len(different)
        if len(different) < 2:
            report.dropped["no other answer to compare with"] += len(different)
            continue
        every = list(combinations(different, 2))
        chosen = range(len(every)) if pairs is None else sorted(random.permutation(len(every))[:pairs].tolist())
        drawn += [(group, *every[i]) for i in chosen]
    report.dropped = +report.dropped
    compared = [(group.request, a.text, b.text) for group, a, b in drawn]
    if isinstance(judge, JudgePairs):
        verdicts = judge.verdicts(compared, out, report.dropped, progress=progress)
    else:
        verdicts = _by_grades(judge, compared, out, margin, report.dropped, progress)
    report.bill += verdicts.bill
    report.again += verdicts.again
    made: list[Row] = []
    for (group, a, b), win in zip(drawn, verdicts.grades, strict=True):
        if win:
            better, worse = (a, b) if win > 0 else (b, a)
            messages = [message.to_json() for message in group.request.messages]
            weight = weight_of(group.row)
            made.append(
                {
                    "messages": messages,
                    "chosen": better.text,
                    "rejected": worse.text,
                    "weight": weight,
                    "source": group.row,
                }
            )
    report.kept = len(made)
    report.kept_rows = len({id(row["source"]) for row in made})
    return written(out, made, report)


def _by_grades(
    judge: Grades, pairs: Sequence[Pair], out: Path, margin: float, dropped: Counter[str], progress: bool
) -> Told:
    """Return verdicts as `JudgePairs.verdicts` does; each answer is graded once, however many pairs it is in."""
    told = judge.grades([(request, text) for request, *both in pairs for text in both], out, progress=progress)
    found: list[float | None] = []
    for a, b in zip(told.grades[::2], told.grades[1::2], strict=True):
        if a is None or b is None:
            dropped["no verdict"] += 1
            found.append(0.0)
        elif abs(a - b) <= margin:
            dropped["tie"] += 1
            found.append(0.0)
        else:
            found.append(a - b)
    return Told(found, told.bill, told.again)
