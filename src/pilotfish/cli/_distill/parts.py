"""What `pilotfish distill` works with: the rows, the teacher, the student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.cli._common import read_rows, say, say_rejects
from pilotfish.cli._distill.check import WHITE

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.model import Model

__all__ = ["asked_in", "model_named", "rows_of", "rows_with", "student_of_spec", "teacher_of", "white"]


def rows_of(spec: DistillSpec, *, answers: bool) -> list[dict[str, Any]]:
    """Return the rows as the distiller takes them, with their answers or without; bad ones are rejected.

    Raises:
        DataError: a column is not there, or no row is whole.
    """
    found: list[dict[str, Any]] = []
    for row, text in rows_with(spec, *([spec.answer] if answers and spec.prompt is not None else [])):
        weight = {"weight": row["weight"]} if row.get("weight") is not None else {}
        if spec.prompt is None:
            found.append({"text" if answers else "prompt": text, **weight})
        elif answers:
            found.append({"prompt": text, "answer": row[spec.answer], **weight})
        else:
            found.append({"prompt": text, **weight})
    return found


def rows_with(spec: DistillSpec, *texts: str, others: tuple[str, ...] = ()) -> list[tuple[dict[str, Any], str]]:
    """Return every row with its prompt, or its text where there is no template; bad ones are rejected, which is told.

    Args:
        spec: the settings.
        texts: columns that must hold a text in every row.
        others: columns that must be there, whatever they hold.

    Raises:
        DataError: a column is not there, or no row is whole.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import Rejects, need_columns
    from pilotfish.rows._json import shown
    from pilotfish.rows.model_stage import Template
    from pilotfish.train.processes import is_main

    template = Template(spec.prompt) if spec.prompt is not None else None
    wanted = [*([spec.text] if template is None else template.columns), *texts]
    found: list[tuple[dict[str, Any], str]] = []
    assert spec.rows is not None
    rejects = Rejects()
    options: dict[str, Any] = {"format_": spec.format, "encoding": spec.encoding, "strict": spec.strict}
    for place, row in enumerate(read_rows(spec.rows, rejects, **options), 1):
        if place == 1:
            need_columns(row, *wanted, *others, source=spec.rows)
        try:
            text = _text(row, spec.text) if template is None else template.fill(row)
            for column in texts:
                _text(row, column)
            found.append((row, text))
        except DataError as error:
            rejects.add(spec.rows, None, f"{error}: row {place}", shown(row))
    if is_main():
        say_rejects(rejects)
    if not found:
        raise DataError(f"{spec.rows}: no row has what is needed: {', '.join(wanted)}")
    return found


def _text(row: dict[str, Any], column: str) -> str:
    from pilotfish.errors import DataError

    if not isinstance(row.get(column), str):
        raise DataError(f"no text in {column!r}")
    return str(row[column])


def white(models: Collaboration, spec: DistillSpec) -> bool:
    """Say whether the teacher's weights are here, and its distributions are what is learnt."""
    from pilotfish.assemble.specs import LocalSpec

    if spec.rationales is not None:
        return False
    assert spec.teacher is not None
    return spec.teacher not in models.names or isinstance(models.spec(spec.teacher), LocalSpec)


def teacher_of(models: Collaboration, spec: DistillSpec) -> tuple[str | None, str]:
    """Return the teacher's weights and dtype, a local model's of the file or by their own name; None for a black box.

    Raises:
        ConfigError: it is a black box, and what is asked for needs its distributions.
    """
    from pilotfish.assemble._weights import weights_from
    from pilotfish.assemble.specs import LocalSpec
    from pilotfish.errors import ConfigError

    assert spec.teacher is not None
    if white(models, spec):
        if "answers" in spec.model_fields_set:
            raise ConfigError(
                f"[distill.answers] is for a teacher without weights here, and those of {spec.teacher!r} are: its "
                "distributions over the rows are learnt"
            )
        if spec.teacher not in models.names:
            return weights_from(spec.teacher, models.folder), spec.dtype
        named = models.spec(spec.teacher)
        assert isinstance(named, LocalSpec)
        return weights_from(named.weights, models.folder), named.dtype
    if spec.rationales is None:
        for part in WHITE:
            if part in spec.model_fields_set:
                raise ConfigError(
                    f"[distill] {part} needs the teacher's distributions, and {spec.teacher!r} has no weights here: "
                    "its answers alone can be learnt"
                )
        if spec.prompt is None:
            raise ConfigError(f"[distill] prompt: what is {spec.teacher!r} to be asked about each row?")
    return None, spec.dtype


def model_named(models: Collaboration, spec: DistillSpec, name: str) -> Model:
    """Return a model of the file by its name, or the one of weights."""
    from pilotfish.assemble._weights import weights_from
    from pilotfish.models.local import LocalModel

    if name in models.names:
        return models.model(name)
    weights = weights_from(name, models.folder)
    return LocalModel(weights, dtype=spec.dtype, device=spec.device, catalog=models.catalog)


def asked_in(models: Collaboration, folder: str, *names: str) -> str:
    """Return the folder of what models of the file say, having seen that no others said what lies there already.

    Raises:
        ConfigError: others did: the tables behind the names have changed since.
    """
    import json
    from pathlib import Path

    from pilotfish.errors import ConfigError
    from pilotfish.rows._atomic import atomic

    said_by = {name: models.answers_by(name) if name in models.names else name for name in names}
    told = json.loads(json.dumps(said_by, default=str))
    path = Path(folder) / "said-by.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            file.write(json.dumps(told, indent=1, ensure_ascii=False).encode())
    elif (before := json.loads(path.read_text(encoding="utf-8"))) != told:
        changed = sorted(name for name in told if before.get(name) != told[name]) or sorted(before)
        raise ConfigError(
            f"{folder} holds what {', '.join(changed)} said with other settings; give another `out`, or remove it"
        )
    return folder


def student_of_spec(models: Collaboration, spec: DistillSpec, texts: list[str], *, quiet: bool) -> str:
    """Return the student's weights; one that is to be cut out of others is made first.

    `texts` are like those that will be learnt: how much each part of the weights matters is measured on them.
    """
    from pilotfish.assemble._weights import weights_from
    from pilotfish.distill.init import Width, student_of

    assert spec.student is not None
    if isinstance(spec.student, str):
        return weights_from(spec.student, models.folder)
    asked = spec.student
    sizes = {name: getattr(asked, name) for name in ("hidden", "intermediate", "heads")}
    width = Width(**sizes) if any(value is not None for value in sizes.values()) else None
    out = models.folder / asked.out
    made = student_of(
        weights_from(asked.of, models.folder),
        out,
        layers=asked.layers,
        width=width,
        calibration=texts[:64] if width else [],
        seed=asked.seed,
        catalog=models.catalog,
    )
    if not quiet:
        say(str(made))
    return str(out)
