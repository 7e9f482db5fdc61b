"""`pilotfish replay`: a policy of a file over recorded answers of real models; nothing is asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import collaboration_of, format_options, read_rows, say, say_rejects
from pilotfish.cli.evaluate import show

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_cascade import CascadeSpec
    from pilotfish.assemble._specs_route import RouteSpec
    from pilotfish.infer.route import Route

__all__ = ["command"]


@click.command("replay")
@click.argument("file")
@click.argument("rows")
@click.option("--model", "-m", help="Which cascade or route of the file; its default otherwise.")
@click.option("--text", default="prompt", show_default=True, help="The column of the request.")
@click.option("--quality", multiple=True, metavar="MODEL=COLUMN", help="Of its quality.  [default: quality:MODEL]")
@click.option("--cost", multiple=True, metavar="MODEL=COLUMN", help="Of its dollars.  [default: cost:MODEL]")
@click.option("--score", multiple=True, metavar="MODEL=COLUMN", help="Of its score.  [default: score:MODEL]")
@click.option("--seconds", multiple=True, metavar="MODEL=COLUMN", help="Of its seconds.  [default: seconds:MODEL]")
@click.option("--above", type=float, help="A threshold in place of the file's own.")
@click.option("--group-by", help="A column: rows with the same value are drawn together for the intervals.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the intervals.")
@click.option("--report", "report_file", help="Write all figures into this JSON file too.")
@format_options
def command(file: str, rows: str, **flags: Any) -> None:
    """Judge a cascade or a route of FILE on ROWS, which record what each of its models made of each request.

    No model is loaded or asked; a cascade's score and a router's embedding are all that is needed. The columns have the
    names that a gateway's exported log gives them, unless the options say otherwise.
    """
    from pilotfish.assemble._specs_cascade import CascadeSpec
    from pilotfish.assemble._specs_route import RouteSpec
    from pilotfish.errors import ConfigError
    from pilotfish.infer.replay import Columns, recorded_trials
    from pilotfish.infer.review import review
    from pilotfish.rows import Rejects

    models = collaboration_of(file)
    name = flags["model"] or models.default
    spec = models.spec(name)
    named = {what: _pairs(what, flags[what]) for what in ("quality", "cost", "score", "seconds")}
    columns = Columns(flags["text"], **named)
    rejects = Rejects()
    options = {key: flags[key] for key in ("format_", "encoding", "strict")}
    given = list(read_rows(rows, rejects, **options))
    say_rejects(rejects)
    scores: dict[str, Any] = {}
    if isinstance(spec, CascadeSpec):
        trials, missing = recorded_trials(given, spec.names, columns, accepts=_thresholds(spec, models, flags["above"]))
        outcome = trials.cascaded()
    elif isinstance(spec, RouteSpec):
        trials, missing = recorded_trials(given, spec.models, columns)
        quality, chosen = _route(name, spec, models).decide_all(trials.texts)
        outcome, scores = trials.chosen(chosen), {"its router": quality[:, -1] - quality[:, 0]}
    else:
        raise ConfigError(f"{name} is neither a cascade nor a route: there is no policy to replay")
    if missing:
        say(f"{missing:,} rows lack a model's quality and are left out")
    groups = None
    if flags["group_by"]:
        whole = [row for row in given if all(_there(row, columns.of("quality", one)) for one in trials.models)]
        groups = [str(row.get(flags["group_by"])) for row in whole]
    found = review(name, trials, outcome, scores, groups=groups, seed=flags["seed"])
    show(found, flags["report_file"])


def _there(row: Any, column: str) -> bool:
    return row.get(column) not in (None, "")


def _pairs(what: str, given: tuple[str, ...]) -> dict[str, str]:
    from pilotfish.errors import ConfigError

    found = {}
    for pair in given:
        model, equals, column = pair.partition("=")
        if not (model and equals and column):
            raise ConfigError(f"--{what} {pair!r}: write MODEL=COLUMN")
        found[model] = column
    return found


def _thresholds(spec: CascadeSpec, models: Collaboration, above: float | None) -> list[float]:
    """Return the threshold of each way to accept.

    Raises:
        ConfigError: a way goes by more than a score, so that a recording cannot tell what it would do.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.infer.calibrate import Calibration

    found = []
    for way in spec.ways:
        if above is not None:
            found.append(above)
        elif way.calibration is not None:
            found.append(Calibration.load(models.folder / way.calibration).above)
        elif way.above is not None and way.by != "function":
            found.append(way.above)
        else:
            raise ConfigError(f"accept by {way.by} has no threshold to replay; give --above and --score")
    if any(math.isnan(one) for one in found):
        raise ConfigError("a threshold is a number")
    return found


def _route(name: str, spec: RouteSpec, models: Collaboration) -> Route:
    """Return the route over stand-ins: its router decides, and nobody is asked."""
    from pilotfish.assemble._build_route import build_route
    from pilotfish.model import WholeReplies

    class Absent(WholeReplies):
        name = "recorded"

    return build_route(name, spec, lambda _: Absent(), models.catalog, Path(models.folder))
