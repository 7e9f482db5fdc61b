"""A race of instructions: few rows for all, more rows for those that are left.

Sources: Karnin et al. 2013 (sequential halving), algorithm 1, as Shi et al. 2024 (Efficient Prompt Optimization Through
the Lens of Best Arm Identification) take it for prompts; Maron and Moore 1993 (Hoeffding races) and Birattari et al.
2002 (F-race): who is behind for sure goes at once. All are judged on the same rows, so differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.intervals import paired_score
from pilotfish.prompt.select.judges import PromptJudge

__all__ = ["Raced", "Round", "race"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """One look of a race.

    Attributes:
        rows: that all who were left had been judged on.
        means: prompt -> its mean there.
        dropped: prompt -> why it went: "behind" the best for sure, or "halved".
    """

    rows: int
    means: dict[int, float]
    dropped: dict[int, str]


@dataclass(frozen=True)
class Raced:
    """What came of a race.

    Attributes:
        order: the prompts, the best first: by how long they were in, then by their means, then by their places.
        means: (prompts,) of all rows that each was judged on.
        rows: (prompts,) how many these are.
        rounds: the looks.
        judged: judgements, of a prompt on a row.
        spent: whether `most` ended it.
    """

    order: tuple[int, ...]
    means: Floats
    rows: NDArray[np.int64]
    rounds: tuple[Round, ...] = field(default=())
    judged: int = 0
    spent: bool = False

    def to_json(self) -> list[dict[str, Any]]:
        """Return the looks as plain data."""
        return [{"rows": one.rows, "means": one.means, "dropped": one.dropped} for one in self.rounds]


async def race(
    judge: PromptJudge,
    prompts: Sequence[str],
    places: Sequence[int],
    *,
    first: int = 16,
    eta: float = 2.0,
    level: float = 0.95,
    most: int | None = None,
) -> Raced:
    """Return which prompts are best on rows.

    After each look those go whose mean is below the best's for sure, and then the worse part, so that one of `eta`
    stays; the rest is judged on `eta` times as many rows. One that is left ends it, or the rows' end.

    Args:
        judge: says what a prompt is worth on a row.
        prompts: the instructions.
        places: of the rows, in the order in which they are looked at: a random one.
        first: rows of the first look.
        eta: above 1.
        level: of all decisions together that one is behind for sure, by Bonferroni over prompts and looks.
        most: judgements altogether; None for as many as it takes.

    Raises:
        ConfigError: no prompts, no rows, or a setting out of range.
    """
    if not prompts or not len(places) or first < 2 or not eta > 1 or not 0 < level < 1:
        raise ConfigError("a race needs prompts and rows, a first look of 2 or more, eta above 1 and a level below 1")
    count, rows = len(prompts), len(places)
    grades = np.full((count, rows), np.nan)
    alive = list(range(count))
    looks = 1 + max(0, math.ceil(math.log(max(1.0, rows / first), eta)))
    alpha = (1 - level) / (looks * max(1, count - 1))
    rounds: list[Round] = []
    gone: list[int] = []
    seen = judged = 0
    size, spent = first, False
    while seen < rows and (len(alive) > 1 or not rounds):
        upto = min(rows, size)
        if most is not None and (upto - seen) * len(alive) > most - judged:
            upto, spent = seen + (most - judged) // len(alive), True
            if upto <= seen:
                break
        some = list(places[seen:upto])
        grades[np.ix_(np.array(alive), np.arange(seen, upto))] = await judge.scores([prompts[at] for at in alive], some)
        judged += len(alive) * len(some)
        seen = upto
        # A row that one of them has no answer for would compare different rows.
        whole = ~np.isnan(grades[alive, :seen]).any(axis=0)
        if not whole.any():
            spent = True
            break
        told = {at: float(grades[at, :seen][whole].mean()) for at in alive}
        ranked = sorted(alive, key=lambda at: (-told[at], at))
        best = ranked[0]
        dropped = {
            at: "behind" for at in ranked[1:] if _most(grades[at, :seen][whole] - grades[best, :seen][whole], alpha) < 0
        }
        left = [at for at in ranked if at not in dropped]
        if seen < rows and not spent:
            stay = max(1, math.ceil(len(alive) / eta))
            dropped |= dict.fromkeys(left[stay:], "halved")
            left = left[:stay]
        rounds.append(Round(int(whole.sum()), told, dropped))
        gone = [*(at for at in ranked if at in dropped), *gone]
        alive = left
        size = math.ceil(seen * eta)
        if spent:
            break
    counts = (~np.isnan(grades)).sum(axis=1)
    means = np.array([float(np.nanmean(row)) if n else np.nan for row, n in zip(grades, counts, strict=True)])
    return Raced((*alive, *gone), means, counts, tuple(rounds), judged, spent)


def _most(gaps: Floats, alpha: float) -> float:
    """Return what the mean of paired differences is at most, at one side of `alpha`: by scores of 0 and 1 exactly."""
    if np.isin(gaps, (-1.0, 0.0, 1.0)).all():
        return paired_score((gaps > 0).astype(float), (gaps < 0).astype(float), 1 - 2 * alpha).high
    if len(gaps) < 2:
        return math.inf
    return float(gaps.mean() + NormalDist().inv_cdf(1 - alpha) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
