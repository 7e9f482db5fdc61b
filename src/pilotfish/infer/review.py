"""What a trial says of a cascade or a route: quality and cost beside each model, mixing, and what a score must beat.

Sources: the frontier and AIQ: Hu et al. 2024 (RouterBench), section 3.2 (AIQ here: the mean height of the
non-decreasing convex hull of quality over cost, from the cheapest model's cost to the dearest's); APGR and CPT: Ong et
al. 2024 (RouteLLM), section 4.1; the incremental benefit: Aggarwal et al. 2023 (AutoMix), section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.deferral import DeferralCurve, Judged, incremental_benefit, judge
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from rich.console import RenderableType

    from pilotfish.infer.trial import Outcome, Trials

__all__ = ["Line", "Review", "review"]

THOUSAND = 1000
POINTS = 60  # thresholds that a frontier is drawn through


@dataclass(frozen=True)
class Line:
    """One model, or the collaboration.

    Attributes:
        name: the model's.
        quality: mean over the rows.
        cost: dollars a thousand requests, or calls of the last model where prices are not known.
        share: of the requests that it answers in the collaboration; 1 for the collaboration itself.
        p50: median seconds of its own calls; None for the collaboration.
    """

    name: str
    quality: Interval
    cost: float
    share: float
    p50: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {
            "name": self.name,
            "quality": self.quality.to_json(),
            "cost": self.cost,
            "share": self.share,
            "p50": self.p50,
        }


@dataclass(frozen=True)
class Review:
    """The whole of it.

    Attributes:
        name: the collaboration's.
        models: a line a model, the cheapest first.
        whole: the collaboration's line.
        over_best: the collaboration's quality less that of the best single model, paired.
        over_mixing: its quality less that of the best random mix of single models at its cost; None where none is as
            cheap.
        benefit: AutoMix's incremental benefit over going from the first model to the last; None where there is none.
        scores: how each score sorts requests between the first and the last model, beside random order, length, oracle.
        curve: (share of calls to the last model, quality) of the collaboration's own score; empty where it has none.
        aiq: of all thresholds' frontier, and of the single models' alone; None where there is no score.
        unit: of cost.
        n: rows.
        why: why `scores` is empty, where it is.
    """

    name: str
    models: tuple[Line, ...]
    whole: Line
    over_best: Interval
    over_mixing: float | None
    benefit: float | None
    scores: tuple[Judged, ...]
    curve: tuple[tuple[float, float], ...]
    aiq: tuple[float, float] | None
    unit: str
    n: int
    why: str = ""

    @property
    def saved(self) -> float | None:
        """The share of the dearest model's cost that is saved; None where that is nothing."""
        dearest = max(line.cost for line in self.models)
        return None if dearest <= 0 else 1 - self.whole.cost / dearest

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "name": self.name,
            "n": self.n,
            "unit": self.unit,
            "models": [line.to_json() for line in self.models],
            "whole": self.whole.to_json(),
            "saved": self.saved,
            "over_best": self.over_best.to_json(),
            "over_mixing": self.over_mixing,
            "incremental_benefit": self.benefit,
            "scores": [one.to_json() for one in self.scores],
            "curve": [list(point) for point in self.curve],
            "aiq": None if self.aiq is None else {"thresholds": self.aiq[0], "single models": self.aiq[1]},
            "why": self.why,
        }

    def shown(self) -> list[RenderableType]:
        """Return what a terminal shows (rich)."""
        from rich.table import Table

        table = Table(title=f"{self.name}, {self.n:,} rows", title_justify="left", header_style="bold")
        for head in ("model", "quality", f"{self.unit}", "answers", "p50 s"):
            table.add_column(head, justify="left" if head == "model" else "right")
        for line in (*self.models, self.whole):
            own = line is self.whole
            seconds = "" if line.p50 is None else f"{line.p50:.2f}"
            cells = (f"{line.quality:.3f}", f"{line.cost:.4g}", "" if own else f"{line.share:.0%}", seconds)
            table.add_row(line.name, *cells, style="cyan" if own else None)
        found: list[RenderableType] = [table]
        if self.scores:
            found.append(self._scores())
        return found

    def lines(self) -> list[str]:
        """Return what is to be said in words."""
        said = [f"{self.over_best:.3f} over the best single model"]
        if self.saved is not None:
            said.append(f"{self.saved:.0%} of the dearest model's cost saved")
        if self.over_mixing is not None:
            said.append(f"{self.over_mixing:+.3f} over the best random mix at this cost")
        if self.benefit is not None:
            said.append(f"incremental benefit {self.benefit:+.0%}")
        if self.aiq is not None:
            whole, alone = self.aiq
            said.append(f"AIQ {whole:.3f} over all thresholds, {alone:.3f} for single models mixed at random")
        return ["; ".join(said) + ".", *([self.why] if self.why else [])]

    def _scores(self) -> RenderableType:
        from rich.table import Table

        title = f"what goes to {self.models[-1].name} first"
        table = Table(title=title, title_justify="left", header_style="bold")
        for head in ("by", "APGR", "CPT(50%)", "CPT(80%)", "APGR over length's"):
            table.add_column(head, justify="left" if head == "by" else "right")
        for one in self.scores:
            over = "" if one.over_length is None else f"{one.over_length:.3f}"
            table.add_row(one.name, f"{one.apgr:.3f}", f"{one.cpt50.value:.2f}", f"{one.cpt80.value:.2f}", over)
        return table


def review(
    name: str,
    trials: Trials,
    outcome: Outcome,
    scores: Mapping[str, ArrayLike] | None = None,
    *,
    groups: Sequence[Any] | None = None,
    seed: int = 0,
) -> Review:
    """Judge a collaboration.

    Args:
        name: the collaboration's.
        trials: what every model made of the rows.
        outcome: what the collaboration made of them.
        scores: name -> (rows,) how much a request needs the last model, from something that did not learn from the row;
            the trial's own score is judged anyway.
        groups: (rows,) ids of rows that are drawn together.
        seed: of the intervals.
    """
    options: dict[str, Any] = {"seed": seed, "groups": None if groups is None else np.asarray(groups)}
    costs, spent = trials.prices, trials.spent(outcome)
    models = tuple(
        Line(
            model,
            bootstrap(trials.grades[:, i], **options),
            float(costs[:, i].mean()) * THOUSAND,
            float((outcome.answered == i).mean()),
            float(np.median(trials.seconds[:, i])),
        )
        for i, model in enumerate(trials.models)
    )
    whole = Line(name, bootstrap(outcome.quality, **options), float(spent.mean()) * THOUSAND, 1.0)
    best = int(trials.grades.mean(axis=0).argmax())
    frontier = Frontier([*(_point(line) for line in models), _point(whole)])
    judged, curve, why = _judged(trials, dict(scores or {}), options)
    return Review(
        name,
        models,
        whole,
        paired_bootstrap(outcome.quality, trials.grades[:, best], **options),
        frontier.above_mixing(name),
        _benefit(models, whole),
        judged,
        curve,
        _aiq(trials, models) if trials.scores.shape[1] else None,
        "$ a 1,000" if trials.paid else "calls a 1,000",
        len(trials),
        why,
    )


def _point(line: Line) -> Point:
    return Point(line.name, line.cost, line.quality)


def _benefit(models: tuple[Line, ...], whole: Line) -> float | None:
    try:
        return incremental_benefit(*((line.cost, line.quality.value) for line in (models[0], models[-1], whole)))
    except DataError:
        return None


def _judged(
    trials: Trials, scores: dict[str, ArrayLike], options: dict[str, Any]
) -> tuple[tuple[Judged, ...], tuple[tuple[float, float], ...], str]:
    if trials.scores.shape[1]:
        scores = {"its score": -trials.scores[:, 0], **scores}
    if len(trials.models) < 2 or not scores:
        return (), (), ""
    weak, strong = trials.grades[:, 0], trials.grades[:, -1]
    first = next(iter(scores.values()))
    curve = DeferralCurve.of(first, weak, strong)
    at = np.linspace(0, 1, 101)
    points = tuple((float(share), curve.quality_at(float(share))) for share in at)
    try:
        return tuple(judge(scores, weak, strong, [len(text) for text in trials.texts], **options)), points, ""
    except DataError as error:
        return (), points, f"No score is judged: {error}."


def _aiq(trials: Trials, models: tuple[Line, ...]) -> tuple[float, float]:
    """Return the mean height of the hull of all thresholds' points, and of the single models' alone."""
    values = np.unique(trials.scores[np.isfinite(trials.scores)])
    if len(values) > POINTS:
        values = np.unique(np.quantile(values, np.linspace(0, 1, POINTS)))
    points = [_point(line) for line in models]
    low, high = min(line.cost for line in models), max(line.cost for line in models)
    alone = Frontier(points).area(low, high)
    for i, above in enumerate([*values, np.inf]):
        outcome = trials.cascaded(float(above))
        cost = float(trials.spent(outcome).mean()) * THOUSAND
        points.append(Point(f"threshold {i}", cost, Interval.exact(float(outcome.quality.mean()))))
    return Frontier(points).area(low, high), alone
