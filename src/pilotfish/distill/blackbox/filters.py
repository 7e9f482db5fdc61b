"""Which of a teacher's answers to learn from: those that agree, that pass a check, or that score best.

Sources: Wang et al. 2023 (self-consistency), section 2; Huang et al. 2023 (Large Language Models Can Self-Improve),
section 3: only the samples of the majority are learnt from; rejection sampling: Yuan et al. 2023 (RFT), section 3.3.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pilotfish._sync import wait
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import answer_by
from pilotfish.measure.grade import Grade, function_at, grader
from pilotfish.model import Reply, Request
from pilotfish.rows._row import Row
from pilotfish.rows.asking import Bill, Said

__all__ = ["Agreeing", "Best", "Filter", "Graded", "Group", "RowFilter", "Sifted", "Verified", "best"]


@dataclass
class Group:
    """A source row, what the teacher was asked about it, and the answers that are still kept."""

    row: Row
    request: Request
    said: list[Said] = field(default_factory=list)


@dataclass(frozen=True)
class Sifted:
    """What a filter found.

    Attributes:
        reasons: of every row's answers: why each is dropped, None where it is kept.
        bill: what finding them took.
        again: calls that the endpoint failed: another run makes them.
    """

    reasons: list[list[str | None]]
    bill: Bill = field(default_factory=Bill)
    again: int = 0


class Filter(ABC):
    """Drops answers, each for a reason."""

    @property
    def logprobs(self) -> bool:
        """Whether it needs the answers' log-probabilities."""
        return False

    @abstractmethod
    def sift(self, groups: Sequence[Group], folder: Path, *, progress: bool) -> Sifted:
        """Return the reasons of every row's answers.

        Args:
            groups: the rows with their answers.
            folder: where a filter that asks a model stores what that said.
            progress: show a bar.
        """


class RowFilter(Filter):
    """Judges one row's answers at a time, and asks no model."""

    @abstractmethod
    def each(self, group: Group) -> list[str | None]:
        """Return for each of a row's answers why it is dropped, None where it is kept.

        Raises:
            DataError: nothing can be said of this row: all its answers are dropped for that reason.
        """

    def sift(self, groups: Sequence[Group], folder: Path, *, progress: bool) -> Sifted:
        """See `Filter`; a row of which nothing can be said loses all its answers."""
        return Sifted([self._tried(group) for group in groups])

    def _tried(self, group: Group) -> list[str | None]:
        try:
            return self.each(group)
        except DataError as error:
            return [str(error).partition(":")[0]] * len(group.said)


@dataclass(frozen=True)
class Agreeing(RowFilter):
    """Keep the answers that say what most say, where at least a share of them does.

    Attributes:
        share: the least share of a row's answers that must agree.
        answer: what reads an answer out of a reply: see `measure.answers`. A reply without one agrees with nothing.
    """

    share: float = 0.5
    answer: str = "text"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share is between 0 and 1, not {self.share}")
        answer_by(self.answer)

    def each(self, group: Group) -> list[str | None]:
        """Count the votes; of equally many the answer that came first wins."""
        read = answer_by(self.answer)
        answers = [read(said.text) for said in group.said]
        votes = Counter(answer for answer in answers if answer)
        if not votes:
            return ["no answer to agree with"] * len(answers)
        most, count = votes.most_common(1)[0]
        if count < self.share * len(answers):
            return ["too few agree"] * len(answers)
        return [None if answer == most else "disagrees with the majority" for answer in answers]


@dataclass(frozen=True)
class Graded(RowFilter):
    """Keep the answers whose grade is at least `least`: a gold column, unit tests, or the user's own function.

    Attributes:
        how: as in `measure.grade.grader`, or a function of (answer, row).
        gold: the column of the right answer, or of the tests.
        least: the least grade.
        seconds: the most that one answer's unit tests may take.
    """

    how: str | Grade
    gold: str | None = None
    least: float = 1.0
    seconds: float = 10.0

    def __post_init__(self) -> None:
        _ = self._grade

    @cached_property
    def _grade(self) -> Grade:
        return grader(self.how, self.gold, seconds=self.seconds) if isinstance(self.how, str) else self.how

    def each(self, group: Group) -> list[str | None]:
        """Grade each answer."""
        return [None if self._grade(said.text, group.row) >= self.least else "grade too low" for said in group.said]


Check = Callable[[Request, Reply], Any]


@dataclass(frozen=True)
class Verified(RowFilter):
    """Keep the answers that a check passes, as those of a cascade: a pattern, a JSON schema, the user's own function.

    Attributes:
        check: called with the request and the reply; says True or False, or has `accepted`; may be async.
    """

    check: Check

    def each(self, group: Group) -> list[str | None]:
        """Check each answer."""
        return [None if self._passes(group.request, said) else "fails the check" for said in group.said]

    def _passes(self, request: Request, said: Said) -> bool:
        verdict = self.check(request, Reply(said.text, finish_reason=said.finish_reason))
        if inspect.isawaitable(verdict):
            verdict = wait(_awaited(verdict))
        return bool(getattr(verdict, "accepted", verdict))


async def _awaited(verdict: Any) -> Any:
    return await verdict


Score = Callable[[str, Mapping[str, Any]], float]
LOGPROB = "mean-logprob"


@dataclass(frozen=True)
class Best(RowFilter):
    """Keep the answers with the best scores (best-of-n).

    Attributes:
        score: "mean-logprob", "module:function", or a function of (answer, row); more is better.
        count: how many to keep of each row; of equal scores the one that came first.
        least: a score below this is never kept.
    """

    score: str | Score = LOGPROB
    count: int = 1
    least: float = -math.inf

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count must be 1 or more, not {self.count}")
        _ = self._score

    @property
    def logprobs(self) -> bool:
        """Whether it goes by them."""
        return self.score == LOGPROB

    @cached_property
    def _score(self) -> Score | None:
        if isinstance(self.score, str):
            return None if self.score == LOGPROB else function_at(self.score)
        return self.score

    def each(self, group: Group) -> list[str | None]:
        """Score each answer."""
        return best([self._of(said, group.row) for said in group.said], self.count, self.least)

    def _of(self, said: Said, row: Row) -> float | None:
        return said.logprob if self._score is None else float(self._score(said.text, row))


def best(scores: Sequence[float | None], count: int, least: float) -> list[str | None]:
    """Return why each of a row's answers is dropped when the best are kept; no score is a reason too."""
    known = [(i, score) for i, score in enumerate(scores) if score is not None and not math.isnan(score)]
    kept = {i for i, score in sorted(known, key=lambda pair: -pair[1])[:count] if score >= least}
    usable = {i for i, _ in known}
    return [None if i in kept else "not among the best" if i in usable else "no score" for i in range(len(scores))]
