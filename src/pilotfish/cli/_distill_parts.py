"""What `pilotfish distill` works with: its settings, the rows, the teacher, the student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pilotfish.cli._common import read_rows, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.rows import Rejects

__all__ = ["answered_of", "rows_of", "spec_of", "student_of_spec", "teacher_of", "white"]


def spec_of(models: Collaboration, file: str, rows: str | None, flags: dict[str, Any]) -> DistillSpec:
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
    _check_together(spec, file)
    missing = [word for word, value in (("ROWS", spec.rows), ("--out", spec.out)) if not value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given, here or in the [distill] table of {file}")
    return spec


def _check_together(spec: DistillSpec, file: str) -> None:
    """See that nothing is set that would not be looked at.

    Raises:
        ConfigError: something is.
    """
    from pilotfish.errors import ConfigError

    given = spec.model_fields_set
    if spec.draft is None:
        return
    unread: list[str] = [name for name in ("on_policy", "matching", "cache", "answers") if name in given]
    unread += [f"loss.{name}" for name in ("alpha", "temperature") if name in spec.loss.model_fields_set]
    if unread:
        raise ConfigError(f"{file} [distill]: {', '.join(unread)}: a draft learns its target's answers without them")


def rows_of(spec: DistillSpec, rejects: Rejects, *, answers: bool) -> list[dict[str, Any]]:
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


def white(models: Collaboration, spec: DistillSpec) -> bool:
    """Say whether the teacher's weights are here."""
    from pilotfish.assemble.specs import LocalSpec

    return spec.teacher not in models.names or isinstance(models.spec(spec.teacher), LocalSpec)


def teacher_of(models: Collaboration, spec: DistillSpec) -> tuple[str | None, str]:
    """Return the teacher's weights and dtype, a local model's of the file or by their own name; None for a black box.

    Raises:
        ConfigError: it is a black box, and what is asked for needs its distributions.
    """
    from pilotfish.assemble.build import weights_from
    from pilotfish.assemble.specs import LocalSpec
    from pilotfish.errors import ConfigError

    if white(models, spec) and "answers" in spec.model_fields_set:
        raise ConfigError(
            f"[distill.answers] is for a teacher without weights here, and those of {spec.teacher!r} are: its "
            "distributions over the rows are learnt"
        )
    if spec.teacher not in models.names:
        return weights_from(spec.teacher, models.folder), spec.dtype
    named = models.spec(spec.teacher)
    if isinstance(named, LocalSpec):
        return weights_from(named.weights, models.folder), named.dtype
    for part in ("loss", "cached", "cache", "on_policy", "matching", "draft"):
        if part in spec.model_fields_set:
            raise ConfigError(
                f"[distill] {part} needs the teacher's distributions, and {spec.teacher!r} has no weights here: "
                "its answers alone can be learnt"
            )
    if spec.prompt is None:
        raise ConfigError(f"[distill] prompt: what is {spec.teacher!r} to be asked about each row?")
    return None, spec.dtype


def answered_of(
    models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], *, quiet: bool
) -> list[dict[str, Any]]:
    """Ask the teacher about every row, and return its answers as rows; what it said stays beside the result."""
    from pilotfish.distill.blackbox import Agreeing, answers
    from pilotfish.train.processes import main_first

    asked = spec.answers
    sampling: dict[str, Any] = {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
    if asked.temperature:
        sampling["seed"] = asked.seed
    with main_first():  # of several processes one asks, and the others read what was said
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


def student_of_spec(models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], *, quiet: bool) -> str:
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
