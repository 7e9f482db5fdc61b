"""`pilotfish calibrate`: a threshold that keeps a promise of quality or cost, in a file that a cascade reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say
from pilotfish.cli._trial import Tried, trial_options, tried

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.infer.calibrate import Calibration, Promise

__all__ = ["command"]


@click.command("calibrate")
@click.argument("file")
@click.argument("rows")
@trial_options
@click.option("--quality", type=click.FloatRange(0, 1, min_open=True), help="Promise this share of the last model's.")
@click.option("--cost", type=click.FloatRange(0, 1, min_open=True), help="Promise at most this share of its cost.")
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="The probability that the promise does not hold.",
)
@click.option("--horizon", type=click.IntRange(1), help="Promise it of so many requests, not of the long run.")
@click.option(
    "--method",
    type=click.Choice(["finite", "normal"]),
    default="finite",
    show_default=True,
    help="finite holds for any number of rows; normal takes means for normal, and defers less.",
)
@click.option("--save", help="The calibration's file.  [default: MODEL.calibration.json beside FILE]")
@click.option("--learn", "head", help="Fit a deferral head on the first part, into this folder, and use it.")
@click.option("--encoder", help="What the head sees prompts through, beside their surface: a catalog name or a folder.")
def command(file: str, rows: str, quality: float | None, cost: float | None, **flags: Any) -> None:
    """Find the threshold of a cascade of FILE that sends least to the last model and keeps a promise, on ROWS.

    The rows fall into three parts: one proposes thresholds, one tests them, the safest first, and one tells what the
    chosen one does. The promise holds over fresh draws of rows like these with the stated risk; it says nothing of
    other traffic, which is why the file keeps the scores that drift is told by.
    """
    from pilotfish.assemble._specs_cascade import CascadeSpec
    from pilotfish.errors import ConfigError
    from pilotfish.infer.calibrate import Promise, calibrate, parted

    if (quality is None) == (cost is None):
        raise ConfigError("give --quality or --cost: one promise at a time")
    promise = Promise(
        "quality" if quality is not None else "cost",
        quality if quality is not None else cost or 0.0,
        flags["risk"],
        flags["horizon"],
        flags["method"],
    )
    if flags["encoder"] and not flags["head"]:
        raise ConfigError("--encoder is what a head sees prompts through: give --learn FOLDER too")

    def fits(name: str, spec: Any) -> None:
        if not isinstance(spec, CascadeSpec):
            raise ConfigError(f"{name} is no cascade; calibrate finds a cascade's threshold")
        if len(set(map(repr, spec.ways))) > 1:
            raise ConfigError(f"{name} accepts by several ways; give all its models one `accept` to calibrate")
        if flags["head"] and len(spec.names) > 2:
            raise ConfigError("a deferral head is for a cascade of two models")

    done = tried(file, rows, flags, fits)
    parts = parted(len(done.trials), flags["seed"])
    score, scores = done.spec.ways[0].score_of, None
    if flags["head"]:
        score, scores = _learned(done, parts[0], flags["head"], flags["encoder"])
    found = calibrate(done.trials, promise, score=score, scores=scores, parts=parts, seed=flags["seed"])
    path = Path(flags["save"]) if flags["save"] else done.folder / f"{done.name}.calibration.json"
    found.save(path)
    _tell(done, found, path)


def _learned(done: Tried, first: NDArray[Any], folder: str, encoder: str | None) -> tuple[dict[str, Any], NDArray[Any]]:
    """Fit a head on the first part; return what its score is called in the file, and its scores of all rows."""
    from pilotfish.infer.deferral_head import DeferralHead

    trials = done.trials
    features = None
    if encoder is not None:
        from pilotfish.models.classify.features import EncoderFeatures
        from pilotfish.models.encoder import Encoder

        features = EncoderFeatures(Encoder(encoder, dtype="auto"))
    part = trials.take(first)
    head = DeferralHead(features).fit(part.texts, part.signals[:, 0], part.grades[:, 0])
    head.save(folder)
    try:
        shown = str(Path(folder).resolve().relative_to(done.folder.resolve()))
    except ValueError:
        shown = str(Path(folder).resolve())
    return {"by": "learned", "head": shown}, head.predict(trials.texts, trials.signals[:, 0])[:, None]


def _tell(done: Tried, found: Calibration, path: Path) -> None:
    promise: Promise = found.promise
    say(f"promised: {promise}")
    proposed, tested, told = found.rows
    say(f"rows: {proposed:,} proposed thresholds, {tested:,} tested them, {told:,} tell what follows")
    if math.isinf(found.above):
        say(f"no threshold is shown to keep it on these rows: all goes to {found.models[-1]}")
    unit = "cost" if found.paid else "calls"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(found.models, found.shares, strict=True))
    last = found.models[-1]
    click.echo(f"quality {found.quality:.3f}, {found.kept:.3f} of {last}'s; {unit} {found.spent:.3f} of its")
    click.echo(f"answered by: {shares}")
    given = {key: value for key, value in found.score.items() if (key, value) != ("by", "score")}
    table = ", ".join(f"{key} = {_toml(value)}" for key, value in given.items())
    name = path.name if path.parent.resolve() == done.folder.resolve() else str(path)
    click.echo(f"accept = {{ {table}, calibration = {_toml(name)} }}")


def _toml(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
