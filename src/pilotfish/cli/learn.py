"""`pilotfish learn`: the router of a route, from rows that all its models answer, or from logged traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import collaboration_of, say
from pilotfish.cli._trial import some_trial_options, tried

if TYPE_CHECKING:
    from pilotfish.infer.routing import Outcomes, Router
    from pilotfish.models.classify.features import Features

__all__ = ["command"]

KINDS = ("linear", "knn", "boosted", "factor", "tuned")
FOLDS = 5
FEW = 50  # rows, below which cross-validation says nothing


@click.command("learn")
@click.argument("file")
@click.argument("rows", required=False)
@some_trial_options
@click.option("--from-log", "log", help="A gateway's decision log, a file or a postgresql:// URL, in place of ROWS.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Only so many last days of the log.")
@click.option("--group-by", help="A column of ROWS: rows with the same value stay together in cross-validation.")
@click.option("--kind", type=click.Choice(KINDS), default="linear", show_default=True, help="Of router.")
@click.option("--encoder", help="What prompts are seen through: a catalog name or a folder; else TF-IDF or surface.")
def command(file: str, rows: str | None, log: str | None, kind: str, encoder: str | None, **flags: Any) -> None:
    """Fit the router that a route of FILE names, and save it there.

    With ROWS every model of the route answers every row and is graded (as in `pilotfish evaluate`, whose answers in
    --out are taken over). With --from-log, yesterday's traffic teaches: ratings where there are any, else what the
    cascades decided. Before the router is fitted on everything, five-fold cross-validation says what it is worth.
    """
    from pilotfish.assemble._specs_route import RouteSpec
    from pilotfish.errors import ConfigError

    if (rows is None) == (log is None):
        raise ConfigError("give ROWS or --from-log: what the router is to learn from")
    if rows is not None and not (flags["prompt"] and flags["out"]):
        raise ConfigError("ROWS need --prompt, what to ask about each, and --out, the folder for the answers")
    models = collaboration_of(file)
    name = flags["model"] or models.default
    spec = models.spec(name)
    if not isinstance(spec, RouteSpec):
        raise ConfigError(f'{name} is no route (use = "route"); learn fits a route\'s router')
    make = _maker(kind, encoder)
    if rows is not None:
        outcomes, groups = _asked(file, rows, flags)
    else:
        outcomes, groups = _logged(str(log), spec.models, flags["days"]), None
    _tell(outcomes, make, groups, flags["seed"])
    router = make().fit(outcomes)
    folder = models.folder / spec.router
    router.save(folder)
    say(f"fitted on {len(outcomes):,} requests; saved in {folder}")


def _maker(kind: str, encoder: str | None) -> Callable[[], Router]:
    """Return what makes routers of a kind.

    Raises:
        ConfigError: a kind that needs an encoder, without one.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.infer import routing
    from pilotfish.models.classify.features import EncoderFeatures, TfidfFeatures
    from pilotfish.models.encoder import Encoder

    kinds: dict[str, Any] = {
        "linear": routing.LinearRouter,
        "knn": routing.KnnRouter,
        "boosted": routing.BoostedRouter,
        "factor": routing.FactorRouter,
        "tuned": routing.TunedRouter,
    }
    features: Features | None = EncoderFeatures(Encoder(encoder, dtype="auto")) if encoder is not None else None
    if features is None and kind == "tuned":
        raise ConfigError("--kind tuned needs --encoder: the encoder that it tunes")

    def make() -> Router:
        chosen = TfidfFeatures() if features is None and kind == "linear" else features
        router: Router = kinds[kind](chosen)
        return router

    return make


def _asked(file: str, rows: str, flags: dict[str, Any]) -> tuple[Outcomes, list[str] | None]:
    from pilotfish.infer.routing import Outcomes

    done = tried(file, rows, flags, whole=False)
    trials = done.trials
    return Outcomes(trials.texts, trials.models, trials.grades, trials.costs), done.groups(flags["group_by"])


def _logged(log: str, models: list[str], days: float | None) -> Outcomes:
    import tempfile
    import time

    from pilotfish.errors import DataError
    from pilotfish.infer.routing.traffic import traffic_outcomes
    from pilotfish.rows import read
    from pilotfish.serve.log import DecisionLog

    if "://" not in log and not Path(log).is_file():
        raise DataError(f"{log}: no such decision log")
    kept = DecisionLog(log)
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "traffic.jsonl"
            kept.export(rows, since=None if days is None else time.time() - 86400 * days)
            outcomes, told = traffic_outcomes(read(rows) if rows.stat().st_size else [], models)
    finally:
        kept.close()
    say(f"{log}: {len(outcomes):,} requests; {told['rated']:,} qualities rated, {told['guessed']:,} by verdicts")
    return outcomes


def _tell(outcomes: Outcomes, make: Callable[[], Router], groups: list[str] | None, seed: int) -> None:
    """Say what the router is worth on rows that it did not learn from, beside the prompt's length."""
    import numpy as np

    from pilotfish.errors import DataError
    from pilotfish.measure.deferral import judge
    from pilotfish.measure.folds import folds

    weak, strong = outcomes.quality[:, 0], outcomes.quality[:, -1]
    both = np.flatnonzero(~np.isnan(weak) & ~np.isnan(strong))
    ids = np.array(groups) if groups is not None else np.arange(len(outcomes))
    if len(both) < FEW or len(np.unique(ids)) < FOLDS:
        say("too few requests with the qualities of the first and the last model to say what the router is worth")
        return
    need = np.full(len(outcomes), np.nan)
    for learned, held in folds(ids, FOLDS, seed):
        foretold = make().fit(outcomes.take(learned)).predict([outcomes.texts[int(i)] for i in held]).quality
        need[held] = foretold[:, -1] - foretold[:, 0]
    lengths = [len(outcomes.texts[int(i)]) for i in both]
    try:
        drawn = None if groups is None else ids[both]
        table = judge({"this router": need[both]}, weak[both], strong[both], lengths, groups=drawn, seed=seed)
    except DataError as error:
        say(f"what the router is worth cannot be said: {error}")
        return
    for one in table:
        over = "" if one.over_length is None else f", over the prompt's length {one.over_length:+.3f}"
        click.echo(f"{one.name}: APGR {one.apgr:.3f}, CPT(50%) {one.cpt50.value:.2f}{over}")
