"""`pilotfish distill`: a student that learns its teacher's distributions."""

from __future__ import annotations

from typing import Any

import click

from pilotfish.cli._common import Stopped, format_options, say, say_rejects
from pilotfish.cli._distill_parts import answered_of, rows_of, spec_of, student_of_spec, teacher_of, white

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
    With --for draft, or a [distill.draft] table, the teacher answers the prompts itself, and what it accepts of the
    student's proposals is measured before and after.

    ROWS and the flags win over the table. The same command goes on where a stopped run was; under `accelerate launch`
    several processes share each step.
    """
    import json

    from pilotfish.assemble import Collaboration
    from pilotfish.distill.distiller import Distiller
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.rows import Rejects
    from pilotfish.train.processes import is_main
    from pilotfish.train.settings import Fit

    models = Collaboration.load(file)
    spec = spec_of(models, file, rows, flags)
    rejects = Rejects()
    held = rows_of(spec, rejects, answers=white(models, spec) and spec.draft is None)
    if is_main():
        say_rejects(rejects)
    teacher, dtype = teacher_of(models, spec)
    student = student_of_spec(models, spec, held, quiet=quiet)
    shared: dict[str, Any] = {
        "divergence": spec.loss.divergence,
        "settings": spec.loss.settings,
        "fit": Fit(**spec.fit.model_dump()),
        "held_out": spec.held_out,
        "cached": spec.cached,
        "device": spec.device,
        "catalog": models.catalog,
        "progress": not quiet,
    }
    report: Any
    try:
        if teacher is None:
            held = answered_of(models, spec, held, quiet=quiet)
        if spec.draft is not None:
            from pilotfish.distill.draft import teach_draft

            assert teacher is not None
            own = {**spec.draft.model_dump(), "context": spec.length, "target_dtype": dtype}
            report = teach_draft(teacher, student, held, str(spec.out), **own, **shared)
            refused = report.distilled.refused
        else:
            report = (
                Distiller(
                    student,
                    teacher,
                    str(spec.out),
                    alpha=spec.loss.alpha if teacher is not None else 0.0,
                    temperature=spec.loss.temperature,
                    length=spec.length,
                    cache=spec.cache,
                    on_policy=None if spec.on_policy is None else Sampling(**spec.on_policy.model_dump()),
                    matching=None if spec.matching is None else Matching(**spec.matching.model_dump()),
                    teacher_dtype=dtype,
                    **shared,
                )
                .fit(held)
                .report_
            )
            refused = report.refused
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from the last checkpoint in {spec.out}") from None
    if not is_main():
        return  # of several processes one tells
    if refused:
        say(f"{refused} rows gave nothing to learn: too long a prompt, or an empty answer")
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say(str(report))
