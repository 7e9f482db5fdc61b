"""`pilotfish repair`: plug-ins over stored answers, and what teaches one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import RunsFile, Stopped, format_options, say
from pilotfish.cli._repair.train import train_command

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.repair import Repaired
    from pilotfish.rows import RunReport

__all__ = ["command"]


@click.group("repair", cls=RunsFile)
def command() -> None:
    """Mend stored answers by the plug-ins of a model, or teach a plug-in.

    `pilotfish repair FILE ROWS` is short for `pilotfish repair run FILE ROWS`.
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.argument("rows")
@click.option(
    "--model", "-m", help='A model of FILE with use = "repaired", whose plug-ins mend.  [default: the file\'s]'
)
@click.option("--out", required=True, help="The folder for rows, rejects and the report.")
@click.option("--answer", default="answer", show_default=True, help="The column of the answers.")
@click.option("--question", help="The column of what was asked.")
@click.option("--context", help="The column of the evidence: a text, or a list of texts.")
@click.option("--into", default="repaired", show_default=True, help="The column for the mended answers.")
@click.option("--fresh", is_flag=True, help="Begin anew, and forget what is in the folder.")
@click.option("--quiet", is_flag=True, help="No progress.")
@format_options
def run(file: str, rows: str, **flags: Any) -> None:
    """Put the answers of ROWS through the plug-ins of a model of FILE; the model itself is asked nothing.

    The folder holds the rows with the mended answers, what was changed in each, the rejects with their reasons, and a
    report. The same command goes on where a stopped run was.
    """
    from pilotfish.assemble import Collaboration

    models = Collaboration.load(file)
    name = flags["model"] or models.default
    try:
        report = _run(models, name, rows, flags)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; what is mended is in {flags['out']}: the same command goes on from there") from None
    _tell(report, flags["out"])


def _run(models: Collaboration, name: str, rows: str, flags: dict[str, Any]) -> RunReport:
    from pilotfish.assemble._specs_repair import RepairedSpec
    from pilotfish.errors import ConfigError
    from pilotfish.repair.stage import Repairing
    from pilotfish.rows import run as run_rows

    if not isinstance(models.spec(name), RepairedSpec):
        raise ConfigError(f'{models.where}: [models.{name}] has no plug-ins: name one of use = "repaired" with --model')
    model: Repaired = models.part(name)
    stage = Repairing(
        model.plugins, language=model.language, most=model.most,
        **{key: flags[key] for key in ("answer", "question", "context", "into")},
    )  # fmt: skip
    options = {"format": flags["format_"], "encoding": flags["encoding"], "strict": flags["strict"]}
    return run_rows(
        rows,
        stage,
        flags["out"],
        resume=not flags["fresh"],
        progress=not flags["quiet"],
        read_options={key: value for key, value in options.items() if value},
    )


def _tell(report: RunReport, out: str) -> None:
    from pilotfish.errors import DataError

    if report.all_rejected:
        kind = next(iter(report.reasons.most_common(1)), ("", 0))[0]
        raise DataError(f"all {report.rejected:,} rows were rejected ({kind}): see {out}/rejects.jsonl")
    say(report.summary())
    for stage in report.stages:
        facts = ", ".join(f"{key} {value:,.6g}" for key, value in stage.totals.items())
        if facts:
            say(f"this time: {facts}")


command.add_command(train_command)
