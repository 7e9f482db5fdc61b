"""`pilotfish distill`: a student that learns its teacher's distributions, answers, labels, vectors or judgments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec

__all__ = ["command"]


@click.command("distill")
@click.argument("file")
@click.argument("rows", required=False)
@click.option("--for", "purpose", type=click.Choice(["draft"]), help="The student is to draft for its teacher.")
@click.option("--out", help="The folder for the student; what a stopped run needs is kept there.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="The highest learning rate.")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, help="Of the split, the order and the adapters.")
@format_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(file: str, rows: str | None, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Teach a student as the [distill] table of FILE says, and measure it on rows it did not see.

    The result is a folder of weights with a model card: name it as `weights` of a local model in any collaboration.
    Of a teacher whose weights are not here, or that is a collaboration, the answers are learnt; each is asked for once.
    [distill.rationales] learns labels and why, [distill.preferences] what a judge prefers, [distill.labels] makes a
    classifier of the teacher's labels, [distill.vectors] an encoder of its vectors. With --for draft, or a
    [distill.draft] table, the teacher answers the prompts itself, and what it accepts of the student's proposals is
    measured before and after.

    ROWS and the flags win over the table. The same command goes on where a stopped run was; under `accelerate
    launch` or `torchrun` several processes share each step.
    """
    import json

    from pilotfish.assemble import Collaboration
    from pilotfish.cli._distill.check import spec_of
    from pilotfish.train.processes import is_main, join

    models = Collaboration.load(file)
    spec = spec_of(models, file, rows, flags)
    join(spec.device)
    try:
        report, refused = _taught(models, spec, quiet=quiet)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on where this run was, from what lies at {spec.out}") from None
    if not is_main():
        return  # of several processes one tells
    if refused:
        say(f"{refused} rows gave nothing to learn: too long a prompt, or an empty answer")
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say(str(report))


def _taught(models: Collaboration, spec: DistillSpec, *, quiet: bool) -> tuple[Any, int]:
    """Return the report of a run, and how many rows gave nothing to learn."""
    if spec.labels is not None:
        from pilotfish.cli._distill.labels import labelled

        return labelled(models, spec, quiet=quiet), 0
    if spec.vectors is not None:
        from pilotfish.cli._distill.vectors import nearer

        return nearer(models, spec, quiet=quiet), 0
    if spec.preferences is not None:
        from pilotfish.cli._distill.answers import preferred

        report = preferred(models, spec, quiet=quiet)
        return report, report.refused
    from pilotfish.cli._distill.lm import taught

    return taught(models, spec, quiet=quiet)
