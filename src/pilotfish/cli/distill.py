"""`pilotfish distill`: a student that learns its teacher's distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.rows import Rejects

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
    spec = _spec(models, file, rows, flags)
    rejects = Rejects()
    held = _rows(spec, rejects, answers=_white(models, spec) and spec.draft is None)
    say_rejects(rejects)
    teacher, dtype = _teacher(models, spec)
    student = _student(models, spec, held, quiet=quiet)
    if teacher is None:
        held = _answered(models, spec, held, quiet=quiet)
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


def _spec(models: Collaboration, file: str, rows: str | None, flags: dict[str, Any]) -> DistillSpec:
    """Return the settings, flags over the file's table, paths from the file's."""
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError

    if models.distill is None:
        raise ConfigError(f"{file}: no [distill] table: it says who learns what from whom")
    table = models.distill.model_dump(exclude_unset=True)
    for key in ("rows", "out", "cache"):
        if key in table:
            table[key] = str(models.folder / table[key])
    for key in ("steps", "rate", "seed"):
        if flags[key] is not None:
            table["fit"] = {**table.get("fit", {}), key: flags[key]}
    if flags["purpose"] == "draft":
        table.setdefault("draft", {})
    given = {"rows": rows, "out": flags["out"], "device": flags["device"], "format": flags["format_"]}
    given |= {"encoding": flags["encoding"], "strict": flags["strict"] or None}
    spec = checked(DistillSpec, table | {key: value for key, value in given.items() if value is not None}, file)
    missing = [word for word, value in (("ROWS", spec.rows), ("--out", spec.out)) if not value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given, here or in the [distill] table of {file}")
    return spec


def _rows(spec: DistillSpec, rejects: Rejects, *, answers: bool) -> list[dict[str, Any]]:
    """Return the rows as the distiller takes them, with their answers or without; bad ones are rejected.

    Raises:
        DataError: a column is not there, or no row is whole.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns
    from pilotfish.rows._json import shown
    from pilotfish.rows.model_stage import Template

    template = Template(spec.prompt) if spec.prompt is not None else None
    wanted = [spec.text] if template is None else [*template.columns, *([spec.answer] if answers else [])]
    found: list[dict[str, Any]] = []
    assert spec.rows is not None
    options: dict[str, Any] = {"format_": spec.format, "encoding": spec.encoding, "strict": spec.strict}
    for place, row in enumerate(read_rows(spec.rows, rejects, **options), 1):
        if place == 1:
            need_columns(row, *wanted, source=spec.rows)
        try:
            weight = {"weight": row["weight"]} if row.get("weight") is not None else {}
            if template is None:
                found.append({"text" if answers else "prompt": _text(row, spec.text), **weight})
            elif answers:
                found.append({"prompt": template.fill(row), "answer": _text(row, spec.answer), **weight})
            else:
                found.append({"prompt": template.fill(row), **weight})
        except DataError as error:
            rejects.add(spec.rows, None, f"{error}: row {place}", shown(row))
    if not found:
        raise DataError(f"{spec.rows}: no row has what is needed: {', '.join(wanted)}")
    return found


def _joined(row: Mapping[str, Any]) -> str:
    return "\n".join(str(row[name]) for name in ("text", "prompt", "answer") if name in row)


def _text(row: Mapping[str, Any], column: str) -> str:
    from pilotfish.errors import DataError

    if not isinstance(row.get(column), str):
        raise DataError(f"no text in {column!r}")
    return str(row[column])


def _white(models: Collaboration, spec: DistillSpec) -> bool:
    """Say whether the teacher's weights are here."""
    from pilotfish.assemble.specs import LocalSpec

    return spec.teacher not in models.names or isinstance(models.spec(spec.teacher), LocalSpec)


def _teacher(models: Collaboration, spec: DistillSpec) -> tuple[str | None, str]:
    """Return the teacher's weights and dtype, a local model's of the file or by their own name; None for a black box.

    Raises:
        ConfigError: it is a black box, and what is asked for needs its distributions.
    """
    from pilotfish.assemble.build import weights_from
    from pilotfish.assemble.specs import LocalSpec
    from pilotfish.errors import ConfigError

    if spec.teacher not in models.names:
        return weights_from(spec.teacher, models.folder), spec.dtype
    named = models.spec(spec.teacher)
    if isinstance(named, LocalSpec):
        return weights_from(named.weights, models.folder), named.dtype
    for part in ("loss", "cached", "on_policy", "matching", "draft"):
        if part in spec.model_fields_set:
            raise ConfigError(
                f"[distill] {part} needs the teacher's distributions, and {spec.teacher!r} has no weights here: "
                "its answers alone can be learnt"
            )
    if spec.prompt is None:
        raise ConfigError(f"[distill] prompt: what is {spec.teacher!r} to be asked about each row?")
    return None, spec.dtype


def _answered(
    models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], *, quiet: bool
) -> list[dict[str, Any]]:
    """Ask the teacher about every row, and return its answers as rows; what it said stays beside the result."""
    from pilotfish.distill.blackbox import Agreeing, answers

    asked = spec.answers
    sampling: dict[str, Any] = {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
    if asked.temperature:
        sampling["seed"] = asked.seed
    taught = answers(
        rows,
        models.model(spec.teacher),
        f"{spec.out}-answers",
        samples=asked.samples,
        keep=[] if asked.agree is None else [Agreeing(asked.agree, asked.read)],
        concurrency=asked.concurrency,
        progress=not quiet,
        **sampling,
    )
    say(str(taught.report))
    return [dict(row) for row in taught.rows]


def _student(models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], *, quiet: bool) -> str:
    """Return the student's weights; one that is to be cut out of others is made first."""
    from pilotfish.assemble.build import weights_from
    from pilotfish.distill.init import Width, student_of

    if isinstance(spec.student, str):
        return weights_from(spec.student, models.folder)
    asked = spec.student
    sizes = {name: getattr(asked, name) for name in ("hidden", "intermediate", "heads")}
    width = Width(**sizes) if any(value is not None for value in sizes.values()) else None
    out = models.folder / asked.out
    # Importance is measured on texts like those that will be learnt.
    texts = (
        ["\n".join(str(row[name]) for name in ("text", "prompt", "answer") if name in row) for row in rows[:64]]
        if width
        else []
    )
    made = student_of(
        weights_from(asked.of, models.folder),
        out,
        layers=asked.layers,
        width=width,
        calibration=texts,
        seed=asked.seed,
        catalog=models.catalog,
    )
    if not quiet:
        say(str(made))
    return str(out)
