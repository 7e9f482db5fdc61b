"""`pilotfish judge`: models of a file judge answers by a rubric, alone or as a panel, and are held against people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, collaboration_of, format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_judge import JudgeSpec
    from pilotfish.rows import Row

__all__ = ["command"]


@click.command("judge")
@click.argument("file")
@click.argument("rows")
@click.option("--model", "-m", "models", multiple=True, help="A judge: a model of FILE; several are a panel.")
@click.option("--rubric", help="What is judged, in words; criteria by name are in the file's [judge] table.")
@click.option("--low", type=int, help="The lowest number of the scale.  [default: 1]")
@click.option("--high", type=int, help="The highest.  [default: 5]")
@click.option("--task", help="The column of what was asked.  [default: prompt]")
@click.option("--answer", help="The column of the answers.  [default: answer]")
@click.option("--against", help="The column of other answers: which is better, asked in both orders.")
@click.option("--reference", help="The column of right answers, which the judges are shown.")
@click.option("--by", type=click.Choice(["auto", "answer", "probability"]), help="How judges are asked.")
@click.option("--label-model", help="Weighs a panel's votes: mean, majority, dawid-skene ...")
@click.option("--gold", help="The column of people's scores, or verdicts (a, b, tie); empty where there are none.")
@click.option(
    "--calibrate", type=click.Choice(["isotonic", "linear", "per-class", "off"]), help="Scores to people's scores."
)
@click.option("--learn-ties", is_flag=True, help="A reward model learns on --gold how near two answers are a tie.")
@click.option("--group-by", help="A column: rows with the same value are drawn together, and lie in one fold.")
@click.option("--seed", type=click.IntRange(0), help="Of folds and intervals.  [default: 0]")
@click.option("--out", help="The folder for what judges said, verdicts and figures.  [default: the table's]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
@format_options
def command(file: str, rows: str, **flags: Any) -> None:
    """Let models of FILE judge the answers of ROWS, by the [judge] table or the flags.

    Single answers get a score on the rubric's scale; with --against, two answers are compared in both orders, and it is
    told what the order does. A model whose weights are here is read by its probabilities; another one answers by a
    schema. A reward model (use = "reward", taught by `pilotfish supervise reward`) judges without being asked. A reply
    without a verdict is none, and counted.

    The folder holds rows.jsonl, report.json and, with --gold, a calibration of each judge's scores. Nothing is asked
    twice: the same command goes on with a stopped run.
    """
    from pilotfish.cli._judge.run import judged
    from pilotfish.errors import DataError
    from pilotfish.rows import Rejects

    models = collaboration_of(file)
    spec, out = _settings(models, file, flags)
    rejects = Rejects()
    read: list[Row] = list(
        read_rows(rows, rejects, **{name: flags[name] for name in ("strict", "encoding", "format_")})
    )
    say_rejects(rejects)
    if not read:
        raise DataError(f"{rows}: no usable row")
    try:
        told = judged(
            spec, models, read, out, progress=not flags["quiet"], tell=_nobody if flags["as_json"] else click.echo
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, what was answered is in {out}") from None
    if flags["as_json"]:
        click.echo(json.dumps(told, ensure_ascii=False))
    say(f"verdicts in {out}")


def _nobody(_: str) -> None:
    """Tell nobody: the figures are printed as JSON."""


def _settings(models: Collaboration, file: str, flags: dict[str, Any]) -> tuple[JudgeSpec, Path]:
    """Return the table with the flags over it, and the folder.

    Raises:
        ConfigError: settings that do not go together, no folder, or no such model.
    """
    from pilotfish.assemble._specs_judge import JudgeSpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError

    held = {} if models.judge is None else models.judge.model_dump(exclude_unset=True)
    names = ("low", "high", "task", "answer", "against", "reference", "by", "label_model", "gold", "calibrate")
    given = {name: flags[name] for name in (*names, "group_by", "seed") if flags[name] is not None}
    if flags["models"]:
        given["models"] = list(dict.fromkeys(flags["models"]))
    if flags["rubric"] is not None:
        given["criteria"] = {"score": flags["rubric"]}
    if flags["learn_ties"]:
        given["learn_ties"] = True
    spec: JudgeSpec = checked(JudgeSpec, held | given, f"{file}: [judge]")
    if flags["out"] is not None:
        return spec, Path(flags["out"])
    if spec.out is None:
        raise ConfigError(f"--out must be given, here or in the [judge] table of {file}")
    return spec, models.folder / spec.out
