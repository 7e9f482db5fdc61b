"""How far a judge agrees with people, beyond what chance would give.

Sources: Zheng et al. 2023, section 4.1 (agreement: the share of equal verdicts); Cohen 1960 and 1968 (kappa).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import DataError
from pilotfish.evaluate.judge.results import share
from pilotfish.measure.agreement import kappa_interval
from pilotfish.measure.intervals import Interval, wilson

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Verdicts against people's.

    Attributes:
        rows: that both judged.
        same: the share of equal verdicts.
        kappa: Cohen's.
        weighted: of verdicts and scores that are numbers: kappa by squared differences, which of scores is the
            concordance correlation; None of others.
        decided: of verdicts on pairs, how often the judge is right where neither says a tie; None without any.
    """

    rows: int
    same: Interval
    kappa: Interval
    weighted: Interval | None = None
    decided: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        ends = {name: getattr(self, name) for name in ("same", "kappa", "weighted", "decided")}
        return {"rows": self.rows, **{name: None if one is None else one.to_json() for name, one in ends.items()}}

    def __str__(self) -> str:
        said = f"of {self.rows:,} rows {self.same} as people; kappa {self.kappa}"
        if self.weighted is not None:
            said += f", weighted {self.weighted}"
        return said if self.decided is None else f"{said}; without ties {self.decided}"


def agreement(
    judge: Sequence[Any],
    people: Sequence[Any],
    *,
    pairs: bool = True,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Agreement:
    """Return how far a judge agrees with people.

    Args:
        judge: one verdict a row.
        people: theirs of the same rows.
        pairs: verdicts are 1, 0 and -1, on two answers; False for scores and classes.
        groups: (rows,) rows of one group are drawn together.
        seed: of the intervals.

    Raises:
        DataError: no rows, or columns of several lengths.
    """
    if len(judge) != len(people) or not len(judge):
        raise DataError(f"agreement is of verdicts on the same rows; there are {len(judge)} and {len(people)}")
    hits = np.array([one == other for one, other in zip(judge, people, strict=True)], np.float64)
    same = wilson(float(hits.sum()), len(hits)) if groups is None else share(hits, groups=groups, seed=seed)
    numbers = all(isinstance(one, int | float) for one in (*judge, *people))
    how: dict[str, Any] = {"groups": groups, "seed": seed}
    decided = None
    if pairs:
        clear = [at for at in range(len(hits)) if judge[at] and people[at]]
        decided = wilson(float(hits[clear].sum()), len(clear)) if clear else None
    weighted = kappa_interval(judge, people, "quadratic", **how) if numbers else None
    return Agreement(len(hits), same, kappa_interval(judge, people, **how), weighted, decided)
