"""What `evaluate`, `calibrate` and `learn` share: every model of a collaboration answers every row, and is graded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotfish.cli._common import Stopped, collaboration_of, format_options, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.infer.trial import Steps, Trials
    from pilotfish.model import Model
    from pilotfish.rows import Row

__all__ = ["Tried", "several_trial_options", "some_trial_options", "trial_options", "tried"]

F = TypeVar("F", bound=Callable[..., Any])


def trial_options(command: F) -> F:
    """Add the options of a trial."""
    return _options(command, True)


def some_trial_options(command: F) -> F:
    """Add the options of a trial, for a command that can do without one."""
    return _options(command, False)


def several_trial_options(command: F) -> F:
    """Add the options of a trial, with --model as often as wanted."""
    return _options(command, True, several=True)


def _options(command: F, needed: bool, several: bool = False) -> F:
    which = "Which model of the file; its default otherwise."
    options = [
        click.option("--model", "-m", multiple=several, help=which + " Repeatable with --metrics." * several),
        click.option("--prompt", required=needed, help='What to ask, with columns in braces: "{question}".'),
        click.option("--system", help="A system message; it may hold columns too."),
        click.option("--gold", help="The column of the right answer, or of the tests."),
        click.option(
            "--grade",
            default="text",
            show_default=True,
            help="How a reply is graded: text, last-line, last-number, contains, unit-tests, a pattern with a group, "
            "or module:function of (reply, row).",
        ),
        click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of an answer."),
        click.option("--temperature", type=click.FloatRange(0), help="0 is greedy; the model's default otherwise."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of the parts and intervals."),
        click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Rows under way."),
        click.option(
            "--out", required=needed, help="The folder for answers and grades; a stopped run goes on from it."
        ),
        format_options,
        click.option("--fresh", is_flag=True, help="Discard what an earlier run left in --out, and start again."),
        click.option("--quiet", is_flag=True, help="No progress."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Tried:
    """What a trial needs and found.

    Attributes:
        name: the model's in the file.
        model: it; None where it was not to be built.
        steps: the models that it chooses between.
        trials: what they made of the rows.
        rows: the rows, with their trials.
        spec: the model's table.
        folder: what relative paths of the file start from.
    """

    name: str
    model: Model | None
    steps: Steps
    trials: Trials
    rows: list[Row]
    spec: Any
    folder: Path

    def groups(self, column: str | None) -> list[str] | None:
        """Return each row's group; None without a column.

        Raises:
            DataError: a row does not have it.
        """
        from pilotfish.errors import DataError

        if column is None:
            return None
        for i, row in enumerate(self.rows, 1):
            if column not in row:
                raise DataError(f"row {i} has no column {column!r} to group by")
        return [str(row[column]) for row in self.rows]


def tried(
    file: str,
    rows: str,
    flags: dict[str, Any],
    fits: Callable[[str, Any], None] = lambda name, spec: None,
    *,
    whole: bool = True,
) -> Tried:
    """Run the trial that the flags of `trial_options` describe, or go on with it.

    Args:
        file: the collaboration file.
        rows: the source of the rows.
        flags: of `trial_options`.
        fits: called with a model's name and table, refuses it before any is asked.
        whole: False where the collaboration itself cannot be built yet, only the models that it names.

    Raises:
        ConfigError: a wrong flag, or a file that does not fit.
        DataError: rows that cannot be read, or none that could be graded.
        Stopped: on Ctrl-C.
    """
    from pilotfish.errors import DataError
    from pilotfish.infer.trial import Steps, Trial, Trials, steps_of
    from pilotfish.measure.grade import grader
    from pilotfish.rows import read_output, run

    models = collaboration_of(file)
    name = flags["model"] or models.default
    grade = grader(flags["grade"], flags["gold"])
    models.check(name)
    fits(name, models.spec(name))
    spec: Any = models.spec(name)
    model = models.model(name) if whole else None
    steps = steps_of(model) if model is not None else Steps({part: models.model(part) for part in spec.models})
    how = {"grade": flags["grade"], "model": _asked_by(models, name)}

    class Asked(Trial):
        """The stage, which a run resumes only if models and grades are described as they were."""

        def config(self) -> dict[str, Any]:
            return super().config() | how

        async def aclose(self) -> None:
            await models.aclose()

    settings = {key: flags[key] for key in ("max_tokens", "temperature") if flags[key] is not None}
    stage = Asked(
        steps,
        flags["prompt"],
        grade,
        system=flags["system"],
        gold=flags["gold"],
        concurrency=flags["concurrency"],
        **settings,
    )
    out = Path(flags["out"])
    reading = {"format": flags["format_"], "encoding": flags.get("encoding"), "strict": flags.get("strict")}
    try:
        report = run(
            rows,
            stage,
            out,
            resume=not flags["fresh"],
            progress=not flags["quiet"],
            read_options={key: value for key, value in reading.items() if value},
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the answers so far are in {out}: the same command goes on from there") from None
    if report.all_rejected:
        kind = next(iter(report.reasons.most_common(1)), ("", 0))[0]
        raise DataError(f"all {report.rejected:,} rows were rejected ({kind}): see {out / 'rejects.jsonl'}")
    if report.rejected:
        say(f"{report.rejected:,} rows were rejected: see {out / 'rejects.jsonl'}")
    found = list(read_output(out))
    return Tried(name, model, steps, Trials.of(found, steps.accepts), found, spec, models.folder)


def _asked_by(models: Collaboration, name: str) -> dict[str, Any]:
    """Return the tables that decide what is asked; thresholds and routers, which choose afterwards, left out."""
    from pilotfish.assemble._specs_cascade import CascadeSpec
    from pilotfish.assemble._specs_route import RouteSpec

    spec = models.spec(name)
    if not isinstance(spec, CascadeSpec | RouteSpec):
        return models.answers_by(name)
    parts = spec.names if isinstance(spec, CascadeSpec) else spec.models
    found: dict[str, Any] = {part: models.answers_by(part) for part in parts}
    if isinstance(spec, CascadeSpec):
        found["accept"] = [way.score_of | ({"above": way.above} if way.by == "function" else {}) for way in spec.ways]
    return found
