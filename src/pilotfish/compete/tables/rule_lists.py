"""Rule lists learnt: conditions are mined, lists looked for by beam search, how long one is said by rows kept back.

Sources: mined antecedents and a toll for each rule: Angelino et al. 2018 (CORELS), section 2; rows kept back that
decide where to stop: Cohen 1995 (RIPPER), section 3.1; the toll is what it costs to name a rule among all (Rissanen
1978, minimum description length). Looking for the best list of all is exponential; a beam of lists is kept instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.models.rules import Condition, Rule, RuleList
from pilotfish.rows.split import split

__all__ = ["USUAL", "learnt"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
USUAL = {"rules": 8, "width": 2, "least": 0.01}
_CUTS, _LEVELS = 8, 12  # of a column
_SINGLES, _JOINED, _MOST = 60, 250, 500  # conditions that are joined, those joined further, candidates in all
_BEAM, _ROWS, _KEPT = 5, 12_000, 1 / 3


@dataclass(frozen=True)
class _List:
    """A list under way: its candidates, what is left to later rules, what the former ones cost, and the whole cost."""

    picks: tuple[int, ...]
    left: Bools
    paid: float
    score: float


def learnt(
    x: Floats, y: Floats, categorical: Sequence[int], *, number: bool, settings: Mapping[str, Any], seed: int = 0
) -> RuleList:
    """Learn a rule list.

    Two thirds of the rows find the rules, at most 12,000; the others say how many there should be. Then all rows give
    each rule's answer, and the others alone how far it holds.

    Args:
        x: (rows, columns), NaN where a value is missing.
        y: (rows,) codes of classes, of which those that occur get a probability, in rising order; or numbers.
        categorical: places of the columns of categories.
        number: whether y are numbers.
        settings: "rules" at most, conditions a rule ("width"), the "least" share of rows that a rule answers.
        seed: of the rows that are kept back.
    """
    classes = np.unique(y)
    stats = _number_stats(y) if number else (y[:, None] == classes).astype(np.float64)
    parts = split(
        len(y), {"train": 1 - _KEPT, "kept": _KEPT}, seed, stratify=None if number else [int(one) for one in y]
    )
    grow, kept = parts["train"], parts["kept"]
    if len(grow) > _ROWS:
        grow = np.sort(np.random.default_rng(seed).permutation(grow)[:_ROWS])
    least = max(5, int(settings["least"] * len(grow)))
    cost = _Cost(number, float(np.var(y)) or 1.0)
    rules = _mined(x[grow], stats[grow], categorical, cost, least, int(settings["width"]))
    lists = _searched(x[grow], stats[grow], rules, cost, least, int(settings["rules"]))
    best = min(lists, key=lambda one: _loss(one, x, stats, grow, kept, cost))
    return _made(best, x, y, classes, kept, number)


@dataclass(frozen=True)
class _Cost:
    """How ill a group of rows is told by one answer, in nats, by its sums: (groups, sums) to (groups,)."""

    number: bool
    spread: float

    def __call__(self, sums: Floats) -> Floats:
        if self.number:
            count = np.maximum(sums[:, 0], 1e-9)
            return np.asarray(np.maximum(sums[:, 2] - sums[:, 1] ** 2 / count, 0) / (2 * self.spread))
        shares = (sums + 0.5) / (sums + 0.5).sum(axis=1, keepdims=True)
        return np.asarray(-(sums * np.log(shares)).sum(axis=1))

    def of(self, sums: Floats, told: Floats) -> float:
        """Return the cost of a group by the answer that other rows, whose sums are told, give."""
        if self.number:
            mean = told[1] / max(told[0], 1e-9)
            return float((sums[2] - 2 * mean * sums[1] + mean**2 * sums[0]) / (2 * self.spread))
        return float(-(sums * np.log((told + 0.5) / (told + 0.5).sum())).sum())

    def rows(self, sums: Floats) -> Floats:
        """Return how many rows each group has."""
        return np.asarray(sums[:, 0] if self.number else sums.sum(axis=1))


def _number_stats(y: Floats) -> Floats:
    centred = y - y.mean()
    return np.stack([np.ones_like(y), centred, centred**2], axis=1)


def _mined(
    x: Floats, stats: Floats, categorical: Sequence[int], cost: _Cost, least: int, width: int
) -> list[tuple[Condition, ...]]:
    """Return what rules may ask for: every condition alone, and of those that are joined the ones that tell most."""
    singles: list[tuple[Condition, ...]] = [(one,) for one in _conditions(x, set(categorical), least)]
    met = {one: _met(x, one) for one in singles}
    singles = [one for one in singles if least <= met[one].sum() <= len(x) - least]
    ranked = _ranked(singles, met, stats, cost)
    found, base = list(singles), ranked[:_SINGLES]
    pairs = [(*a, *b) for a, b in combinations(base, 2) if _differ(a, b)]
    for _ in range(width - 1):
        for one in pairs:
            met[one] = met[one[:-1]] & met[one[-1:]]
        pairs = _ranked([one for one in pairs if met[one].sum() >= least], met, stats, cost)[:_JOINED]
        found += pairs
        wider = [(*one, *more) for one in pairs[:_SINGLES] for more in base[: _SINGLES // 2] if _differ(one, more)]
        pairs = list({frozenset(one): one for one in wider}.values())
    return found if len(found) <= _MOST else _ranked(found, met, stats, cost)[:_MOST]


def _differ(one: tuple[Condition, ...], other: tuple[Condition, ...]) -> bool:
    return not {(a.column, a.test) for a in one} & {(b.column, b.test) for b in other}


def _met(x: Floats, conditions: tuple[Condition, ...]) -> Bools:
    return np.asarray(np.logical_and.reduce([one.holds(x) for one in conditions]))


def _conditions(x: Floats, categorical: set[int], least: int) -> list[Condition]:
    found: list[Condition] = []
    for column in range(x.shape[1]):
        values = x[:, column]
        known = values[~np.isnan(values)]
        if len(values) - len(known) >= least:
            found.append(Condition(column, "missing"))
        codes, counts = np.unique(known, return_counts=True)
        if column in categorical:
            common = codes[np.argsort(-counts, kind="stable")][:_LEVELS]
            found += [Condition(column, "is", float(code)) for code in common]
        elif len(codes) > 1:
            middles = (codes[1:] + codes[:-1]) / 2
            if len(middles) > _CUTS:
                wanted = np.quantile(known, np.arange(1, _CUTS + 1) / (_CUTS + 1))
                middles = np.unique(middles[np.minimum(np.searchsorted(middles, wanted), len(middles) - 1)])
            for cut in middles.tolist():
                found += [Condition(column, "at most", cut), Condition(column, "above", cut)]
    return found


def _ranked(
    rules: list[tuple[Condition, ...]], met: Mapping[tuple[Condition, ...], Bools], stats: Floats, cost: _Cost
) -> list[tuple[Condition, ...]]:
    """Return rules, the one first that splits all rows best."""
    if not rules:
        return rules
    inside = np.stack([met[one] for one in rules]).astype(np.float32) @ stats.astype(np.float32)
    sums = np.asarray(inside, np.float64)
    scores = cost(sums) + cost(stats.sum(axis=0) - sums)
    return [rules[i] for i in np.argsort(scores, kind="stable")]


@dataclass(frozen=True)
class _Found:
    rules: tuple[tuple[Condition, ...], ...]


def _searched(
    x: Floats, stats: Floats, rules: list[tuple[Condition, ...]], cost: _Cost, least: int, most: int
) -> list[_Found]:
    """Return the best list of each length that a beam finds, that of no rule first."""
    found = [_Found(())]
    if not rules:
        return found
    met = np.stack([_met(x, one) for one in rules])
    matrix, toll = met.astype(np.float32), float(np.log(len(rules)))
    beam = [_List((), np.ones(len(x), bool), 0.0, float(cost(stats.sum(axis=0)[None])[0]))]
    for _ in range(most):
        options: list[tuple[float, int, int, float]] = []
        for place, one in enumerate(beam):
            inside = np.asarray(matrix @ (stats * one.left[:, None]).astype(np.float32), np.float64)
            rest = (stats * one.left[:, None]).sum(axis=0) - inside
            own = cost(inside)
            scores = one.paid + own + cost(rest) + toll * (len(one.picks) + 1)
            scores[(cost.rows(inside) < least) | (cost.rows(rest) < least)] = np.inf
            for pick in np.argsort(scores, kind="stable")[: 2 * _BEAM].tolist():
                if np.isfinite(scores[pick]):
                    options.append((float(scores[pick]), place, pick, one.paid + float(own[pick])))
        wider: list[_List] = []
        seen: set[bytes] = set()
        for score, place, pick, paid in sorted(options):
            left = beam[place].left & ~met[pick]
            mark = np.packbits(left).tobytes() + frozenset((*beam[place].picks, pick)).__repr__().encode()
            if mark not in seen:
                seen.add(mark)
                wider.append(_List((*beam[place].picks, pick), left, paid, score))
            if len(wider) == _BEAM:
                break
        if not wider:
            break
        beam = wider
        found.append(_Found(tuple(rules[pick] for pick in beam[0].picks)))
    return found


def _groups(one: _Found, x: Floats) -> NDArray[np.int64]:
    blank = RuleList(tuple(Rule(rule, (0.0,), 0) for rule in (*one.rules, ())), x.shape[1], True)
    return blank.which(x)


def _loss(
    one: _Found, x: Floats, stats: Floats, grow: NDArray[np.int64], kept: NDArray[np.int64], cost: _Cost
) -> float:
    """Return the cost of the rows that were kept back, by the answers that the others give."""
    learnt_by, looked_at = _groups(one, x[grow]), _groups(one, x[kept])
    return sum(
        cost.of(stats[kept][looked_at == rule].sum(axis=0), stats[grow][learnt_by == rule].sum(axis=0))
        for rule in range(len(one.rules) + 1)
    )


def _made(one: _Found, x: Floats, y: Floats, classes: Floats, kept: NDArray[np.int64], number: bool) -> RuleList:
    groups = _groups(one, x)
    aside = np.zeros(len(y), bool)
    aside[kept] = True
    shares = np.array([(y == code).mean() for code in classes])
    found = []
    for place, conditions in enumerate((*one.rules, ())):
        own = groups == place
        told = y[own & aside]
        if number:
            answer = [float(y[own].mean()) if own.any() else float(y.mean())]
            held = float(told.mean()) if len(told) else None
        else:
            # One row more, shared out as all rows are: no class is impossible.
            counts = np.array([(y[own] == code).sum() for code in classes]) + shares
            answer = (counts / counts.sum()).tolist()
            held = float((told == classes[int(np.argmax(counts))]).mean()) if len(told) else None
        found.append(Rule(conditions, tuple(answer), int(own.sum()), len(told), held))
    return RuleList(tuple(found), x.shape[1], number)
