"""How good rankings are: nDCG, recall, precision, reciprocal rank, average precision, success; of one query each.

Conventions are trec_eval's. A document counts as relevant from grade 1 on; one that is not judged counts as not
relevant; a query without any relevant document scores 0. Precision at k divides by k, also where fewer were found;
recall divides by all that are relevant.

Sources: Järvelin and Kekäläinen 2002 (nDCG; discount log2(rank + 1)); with exponential gain Burges et al. 2005,
equation 6; Voorhees and Harman 2005 (TREC), chapter 3, for the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pilotfish.errors import ConfigError, DataError, did_you_mean

__all__ = [
    "Gain",
    "Grades",
    "average_precision",
    "metric_of",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
    "success",
]

Grades = Mapping[str, int]
Gain = Literal["linear", "exponential"]
RELEVANT = 1


def ndcg(ranking: Sequence[str], grades: Grades, k: int | None = 10, gain: Gain = "linear") -> float:
    """Return the discounted gain of the first k over that of the best order of all judged documents.

    Args:
        ranking: ids, best first, each once.
        grades: of judged documents; those below 0 count as 0.
        k: how many count; None for all.
        gain: "linear" is the grade, as in trec_eval's ndcg_cut; "exponential" 2^grade - 1.

    Raises:
        DataError: an id that is ranked twice.
        ConfigError: another gain.
    """
    if gain not in ("linear", "exponential"):
        raise ConfigError(f"gain is linear or exponential, not {gain!r}")
    best = _discounted(sorted((_gain(grade, gain) for grade in grades.values()), reverse=True)[:k])
    got = _discounted([_gain(grades.get(name, 0), gain) for name in _once(ranking)[:k]])
    return got / best if best else 0.0


def recall(ranking: Sequence[str], grades: Grades, k: int | None = 100) -> float:
    """Return the share of the relevant documents that are among the first k; None takes all.

    Raises:
        DataError: an id that is ranked twice.
    """
    every = sum(grade >= RELEVANT for grade in grades.values())
    return sum(_hits(ranking, grades, k)) / every if every else 0.0


def precision(ranking: Sequence[str], grades: Grades, k: int = 10) -> float:
    """Return the share of the first k places that hold a relevant document.

    Raises:
        DataError: an id that is ranked twice.
    """
    return sum(_hits(ranking, grades, k)) / k


def reciprocal_rank(ranking: Sequence[str], grades: Grades, k: int | None = 10) -> float:
    """Return 1 / rank of the first relevant document among the first k; 0 where there is none; None takes all.

    Raises:
        DataError: an id that is ranked twice.
    """
    return next((1 / rank for rank, hit in enumerate(_hits(ranking, grades, k), 1) if hit), 0.0)


def average_precision(ranking: Sequence[str], grades: Grades, k: int | None = None) -> float:
    """Return the mean, over all relevant documents, of the precision at their ranks; 0 for those not among the first k.

    Its mean over queries is MAP.

    Raises:
        DataError: an id that is ranked twice.
    """
    every = sum(grade >= RELEVANT for grade in grades.values())
    found, total = 0, 0.0
    for rank, hit in enumerate(_hits(ranking, grades, k), 1):
        if hit:
            found += 1
            total += found / rank
    return total / every if every else 0.0


def success(ranking: Sequence[str], grades: Grades, k: int = 10) -> float:
    """Return 1 where a relevant document is among the first k, else 0.

    Raises:
        DataError: an id that is ranked twice.
    """
    return float(any(_hits(ranking, grades, k)))


Metric = Callable[[Sequence[str], Grades], float]
_KINDS: dict[str, Callable[..., float]] = {
    "ndcg": ndcg,
    "ndcg-exp": lambda ranking, grades, k: ndcg(ranking, grades, k, "exponential"),
    "recall": recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "success": success,
}
_NAME = re.compile(r"([a-z-]+)(?:@(\d+))?")
_NEED_K = ("precision", "success")


def metric_of(name: str) -> Metric:
    """Return a metric by its name: ndcg@10, ndcg-exp@10, recall@100, precision@5, mrr@10, map, success@1.

    Raises:
        ConfigError: no such metric, or a number below 1, or none where one is needed.
    """
    found = _NAME.fullmatch(name.strip().lower())
    kind = _KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        known = did_you_mean(name.partition("@")[0], _KINDS)
        raise ConfigError(f"no ranking metric is called {name!r}{known}")
    k = int(found[2]) if found[2] else None
    if k == 0 or (k is None and found[1] in _NEED_K):
        raise ConfigError(f"the metric {name!r} needs a number of places, as {found[1]}@10")
    return lambda ranking, grades: kind(ranking, grades, k)


def _gain(grade: int, gain: Gain) -> float:
    grade = max(0, grade)
    return float(grade) if gain == "linear" else float(2**grade - 1)


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _hits(ranking: Sequence[str], grades: Grades, k: int | None) -> list[bool]:
    return [grades.get(name, 0) >= RELEVANT for name in _once(ranking)[:k]]


def _once(ranking: Sequence[str]) -> Sequence[str]:
    if len(set(ranking)) < len(ranking):
        twice = next(name for place, name in enumerate(ranking) if name in ranking[:place])
        raise DataError(f"the document {twice!r} is ranked twice for one query")
    return ranking
