"""A judge that was taught: a reward model on a small encoder, with a zone in which two answers are as good.

Sources: Bradley and Terry 1952 (the probability of a preference is the logistic function of the gap of rewards); Rao
and Kupper 1967 (a tie is a gap too small to be told); Deutsch et al. 2023 (Ties Matter): the zone is the one with the
highest accuracy where ties count as a verdict.

It is asked nothing and sees no order, so what sways judges that read a prompt does not sway it. Teaching it is
`pilotfish.train.reward` (`pilotfish supervise reward`); the zone is learnt here, on pairs that taught nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError
from pilotfish.evaluate.judge._asking import checked_rows
from pilotfish.evaluate.judge.agree import Agreement, agreement
from pilotfish.evaluate.judge.pairwise import longer_of
from pilotfish.evaluate.judge.results import Compared, Judged
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import Interval
from pilotfish.train.reward import RewardModel

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["TrainedJudge", "tie_zone"]

FILE, FORMAT = "judge.json", 1
Floats = NDArray[np.float64]


class TrainedJudge:
    """Scores answers by a reward model, and tells which of two is better, or that neither is.

    Args:
        reward: taught.
        tie: gaps up to this are ties.
        name: in reports; the encoder's by default.

    Attributes:
        tie: as given, or as learnt by `fit`.
        agreement_: with people on pairs, cross-fitted; None before `fit`.
        crossed_: (pairs,) of the last `fit`: the verdicts, each by a zone that its group had no part in.
    """

    def __init__(self, reward: RewardModel, tie: float = 0.0, name: str | None = None) -> None:
        self.reward, self.tie = reward, tie
        self.name = name or f"reward model on {reward.encoder_.name}"
        self.agreement_: Agreement | None = None
        self.crossed_: NDArray[np.int64] = np.zeros(0, np.int64)

    def scores(self, tasks: Sequence[str], answers: Sequence[str]) -> Scores:
        """Return each answer's reward, on a scale of the model's own; equal rows are read once.

        Raises:
            DataError: columns that do not fit.
        """
        checked_rows(tasks=tasks, answers=answers)
        return Scores(self.name, self._rewards(tasks, answers))

    def judge(self, tasks: Sequence[str], answers: Sequence[str]) -> Judged:
        """Return the rewards as other judges' results are: every row has one, and there is no scale.

        Raises:
            DataError: columns that do not fit.
        """
        scores = self.scores(tasks, answers)
        return Judged(len(scores), np.arange(len(scores), dtype=np.int64), scores, {}, ())

    def __call__(self, tasks: Sequence[str], a: Sequence[str], b: Sequence[str]) -> Compared:
        """Compare answers to tasks; the preference is the logistic function of the gap.

        Raises:
            DataError: columns that do not fit.
        """
        gaps = self.gaps(tasks, a, b)
        preferences = 1 / (1 + np.exp(-np.clip(gaps, -500, 500)))
        every = np.arange(len(gaps), dtype=np.int64)
        return Compared(len(gaps), every, self.name, _verdicts(gaps, self.tie), preferences, longer_of(a, b))

    def gaps(self, tasks: Sequence[str], a: Sequence[str], b: Sequence[str]) -> Floats:
        """Return by how much the reward of the first answer is above the second's: (rows,)."""
        rows = checked_rows(tasks=tasks, a=a, b=b)
        both = self._rewards([*tasks, *tasks], [*a, *b])
        return np.asarray(both[:rows] - both[rows:])

    def fit(
        self,
        tasks: Sequence[str],
        a: Sequence[str],
        b: Sequence[str],
        people: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        count: int = 5,
        seed: int = 0,
    ) -> Self:
        """Learn the zone of ties, on pairs that the reward model did not learn from.

        The agreement that is kept is cross-fitted: the verdict on each pair is by a zone that its group did not set.

        Args:
            tasks: one a pair.
            a: the first answers.
            b: the second ones.
            people: (pairs,) 1 where people prefer the first, -1 the second, 0 neither.
            groups: (pairs,) that stay together; by default those of one task.
            count: of folds; fewer where there are fewer groups.
            seed: of folds and intervals.

        Raises:
            DataError: columns that do not fit, verdicts that are none, or fewer than two groups.
        """
        gaps = self.gaps(tasks, a, b)
        truth = np.asarray(people)
        if truth.shape != gaps.shape or not np.isin(truth, (-1, 0, 1)).all():
            raise DataError(f"people's verdicts are 1, 0 or -1, one of each of {len(gaps)} pairs")
        group = np.asarray(list(tasks) if groups is None else groups)
        crossed = np.zeros(len(gaps), np.int64)
        for taught, held in folds(group, max(2, min(count, len(np.unique(group)))), seed):
            crossed[held] = _verdicts(gaps[held], tie_zone(gaps[taught], truth[taught]))
        self.tie, self.crossed_ = tie_zone(gaps, truth), crossed
        self.agreement_ = agreement(crossed.tolist(), truth.astype(int).tolist(), groups=group, seed=seed)
        return self

    def save(self, folder: str | Path) -> None:
        """Write the reward model with the zone beside it."""
        folder = Path(folder)
        (folder / FILE).unlink(missing_ok=True)
        self.reward.save(folder)
        self.save_zone(folder)

    def save_zone(self, folder: str | Path) -> None:
        """Write the zone alone, beside a reward model that is there already."""
        told = None if self.agreement_ is None else self.agreement_.to_json()
        facts = {"format": FORMAT, "name": self.name, "tie": self.tie, "agreement": told}
        (Path(folder) / FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None, *, name: str | None = None) -> Self:
        """Read a judge, or a reward model without a zone, whose ties are equal rewards; `name` goes before its own.

        Raises:
            ModelError: the folder holds no reward model, or a damaged one.
        """
        folder = Path(folder)
        reward = RewardModel.load(folder, catalog)
        if not (folder / FILE).exists():
            return cls(reward, name=name)
        with reading(folder, "trained judge"):
            facts = facts_in(folder / FILE, "trained judge", FORMAT)
            made = cls(reward, float(facts["tie"]), name or facts["name"])
            if facts["agreement"] is not None:
                made.agreement_ = Agreement(**{name: _ends(one) for name, one in facts["agreement"].items()})
        return made

    def _rewards(self, tasks: Sequence[str], answers: Sequence[str]) -> Floats:
        pairs = list(zip(tasks, answers, strict=True))
        place = {pair: at for at, pair in enumerate(dict.fromkeys(pairs))}
        found = self.reward.scores(list(place))
        return np.asarray(found[[place[pair] for pair in pairs]], np.float64)


def tie_zone(gaps: ArrayLike, people: ArrayLike) -> float:
    """Return the zone with the highest share of right verdicts; of equally good ones the narrowest.

    A pair is right where people say a tie and the gap is within the zone, or the gap is beyond it on their side.

    Args:
        gaps: (pairs,) rewards of the first answers less those of the second ones.
        people: (pairs,) 1, 0 or -1.
    """
    values, truth = np.asarray(gaps, np.float64), np.asarray(people)
    size = abs(values)
    order = np.argsort(size, kind="stable")
    edges = size[order]
    tied = np.cumsum(truth[order] == 0)
    beyond = np.cumsum((np.sign(values[order]) == truth[order]) & (truth[order] != 0))
    # The zone up to each gap: those within are ties, those beyond are by their side; of equal gaps the last counts.
    last = np.append(np.flatnonzero(np.diff(edges)), len(edges) - 1) if len(edges) else np.zeros(0, np.int64)
    none = int((np.sign(values) == truth).sum())
    right = [(none, 0.0)]
    right += [(int(tied[at] + beyond[-1] - beyond[at]), float(edges[at])) for at in last]
    best = max(count for count, _ in right)
    return min(zone for count, zone in right if count == best)


def _verdicts(gaps: Floats, tie: float) -> NDArray[np.int64]:
    return np.where(abs(gaps) <= tie, 0, np.sign(gaps)).astype(np.int64)


def _ends(told: Any) -> Any:
    return Interval(**told) if isinstance(told, dict) else told
