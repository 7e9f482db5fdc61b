"""Which candidate to deploy, why, which limit keeps each better one out, and what would change the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.compete.constrained.candidate import Candidate
from pilotfish.compete.constrained.limits import TITLES, Limits, shown
from pilotfish.compete.constrained.task import MEASURES, Sort, above
from pilotfish.measure.intervals import Interval

__all__ = ["Verdict", "decide", "told"]


@dataclass(frozen=True)
class Verdict:
    """The advice.

    Attributes:
        chosen: what to deploy; None where nothing keeps every limit.
        nearest: where nothing does, what misses by least.
        reason: a sentence or two.
        flip: what would change the answer.
        differences: name -> chosen minus it, paired, of every other candidate that fits.
    """

    chosen: Candidate | None
    nearest: Candidate | None
    reason: str
    flip: str
    differences: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {
            "chosen": None if self.chosen is None else self.chosen.name,
            "nearest": None if self.nearest is None else self.nearest.name,
            "reason": self.reason,
            "flip": self.flip,
            "differences": {name: one.to_json() for name, one in self.differences.items()},
        }


def decide(candidates: Sequence[Candidate], limits: Limits, sort: Sort, margin: float = 0.0) -> Verdict:
    """Choose the best measured quality among the candidates that keep every limit.

    With a `margin`, the one with the least peak memory among those that the rows show to be at most that much worse
    than the best (the low end of the paired 95% interval lies above minus the margin). Equal quality goes to the least
    memory.

    Args:
        candidates: at least one.
        limits: the limits.
        sort: of the task.
        margin: the loss of quality that does not matter, in the measure's own units.
    """
    fitting = sorted((one for one in candidates if one.fits), key=_first)
    if not fitting:
        nearest = min(candidates, key=lambda one: (one.broken[0].ratio, _first(one)))
        worst = nearest.broken[0]
        reason = (
            f"Nothing measured keeps every limit. {nearest.name} comes nearest: {'; '.join(map(str, nearest.broken))}."
        )
        flip = (
            f"with {TITLES[worst.name]} of {shown(worst.name, worst.value)} allowed, {nearest.name} would do"
            + (" but for its other limits" if len(nearest.broken) > 1 else "")
            + f" ({told(sort, nearest.quality)})."
        )
        return Verdict(None, nearest, reason, flip, {})
    best = chosen = fitting[0]
    if margin > 0:
        near = [one for one in fitting if one is best or _above(sort, one, best).low > -margin]
        chosen = min(near, key=lambda one: one.measured.memory)
    gaps = {one.name: _above(sort, chosen, one) for one in fitting if one is not chosen}
    return Verdict(
        chosen, None, _reason(chosen, best, fitting, gaps, sort, limits), _flip(chosen, candidates, sort, limits), gaps
    )


def told(sort: Sort, quality: Interval) -> str:
    """Return a quality in words."""
    if sort == "text":
        return f"{-quality.value:.3f} bits a byte, {-quality.high:.3f} to {-quality.low:.3f}"
    if sort == "similarity":
        return f"{MEASURES[sort]} {quality.value:.3f}, {quality.low:.3f} to {quality.high:.3f}"
    return f"{MEASURES[sort]} {quality.value:.1%}, {quality.low:.1%} to {quality.high:.1%}"


def change(sort: Sort, gap: Interval) -> str:
    """Return a difference of quality in words, the better way round: above 0 is better."""
    if sort in ("classes", "choices"):
        value, low, high, unit = gap.value * 100, gap.low * 100, gap.high * 100, " points"
    else:
        value, low, high, unit = gap.value, gap.low, gap.high, " bits a byte" if sort == "text" else ""
    digits = 1 if sort in ("classes", "choices") else 3
    return f"{value:+.{digits}f}{unit} [{low:+.{digits}f}, {high:+.{digits}f}]".replace("-", "−")


def _first(one: Candidate) -> tuple[float, int]:
    return -round(one.quality.value, 9), one.measured.memory


def _above(sort: Sort, one: Candidate, other: Candidate) -> Interval:
    return above(sort, one.measured.table, other.measured.table)


def _reason(
    chosen: Candidate,
    best: Candidate,
    fitting: Sequence[Candidate],
    gaps: dict[str, Interval],
    sort: Sort,
    limits: Limits,
) -> str:
    kept = ", ".join(f"{TITLES[name]} {shown(name, _taken(name, chosen))}" for name in limits.given) or "no limit set"
    text = f"{chosen.name} has {'the best quality' if chosen is best else 'nearly the best quality'} of what "
    text += f"keeps every limit ({told(sort, chosen.quality)}), with {kept}"
    if chosen is not best:
        text += f"; {best.name} is {change(sort, _above(sort, best, chosen))} better, which the margin allows"
    if chosen.lost is not None:
        text += f". Against the same weights in float32 it is {change(sort, chosen.lost)}"
    lighter = [
        one
        for one in fitting
        if one is not chosen
        and gaps[one.name].low <= 0
        and one.measured.memory < 0.8 * chosen.measured.memory
        and one.measured.p95 <= chosen.measured.p95
    ]
    if lighter:
        one = min(lighter, key=lambda other: other.measured.memory)
        text += (
            f". The rows do not tell it from {one.name}, which is no slower and takes "
            f"{shown('memory', one.measured.memory)} of memory, not {shown('memory', chosen.measured.memory)}"
        )
    return text + "."


def _taken(name: str, one: Candidate) -> float:
    from pilotfish.compete.constrained.limits import taken

    return taken(name, one.measured)


def _flip(chosen: Candidate, candidates: Sequence[Candidate], sort: Sort, limits: Limits) -> str:
    """Name the nearest limit that keeps a better candidate out, and the limit that the choice is nearest to."""
    parts = []
    better = [one for one in candidates if not one.fits and one.quality.value > chosen.quality.value]
    if better:
        one = min(better, key=lambda other: other.broken[0].ratio)
        needs = " and ".join(
            f"{TITLES[b.name]} of {shown(b.name, b.value)} rather than {shown(b.name, b.limit)}" for b in one.broken
        )
        gap = _above(sort, one, chosen)
        sure = "" if gap.low > 0 else ", which the rows do not tell from none"
        parts.append(f"with {needs} {one.name} would be chosen ({change(sort, gap)}{sure})")
    elif limits.given:
        parts.append("no better candidate is kept out by a limit")
    tight = [(_use(name, limit, chosen), name) for name, limit in limits.given.items()]
    if tight:
        use, name = max(tight)
        runner = [one for one in candidates if one.fits and one is not chosen]
        then = f"then {min(runner, key=_first).name} is next" if runner else "then nothing is left"
        parts.append(f"the choice uses {use:.0%} of the {TITLES[name]} allowed; were that lower by more, {then}")
    return "; ".join(parts) + "." if parts else "a limit: none was set, so quality alone decides."


def _use(name: str, limit: float, one: Candidate) -> float:
    value = _taken(name, one)
    return limit / value if name == "rows_per_day" else value / limit
