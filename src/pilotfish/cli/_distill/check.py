"""The settings of `pilotfish distill`: flags over the file's table, and nothing among them that is not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec

__all__ = ["WHITE", "spec_of"]

# What needs the teacher's distributions, and so is not looked at where its answers alone are learnt.
WHITE = ("loss", "cached", "cache", "shard", "on_policy", "matching", "draft")
TABLES = ("answers", "rationales", "preferences", "labels", "vectors")
# What else each table does not look at.
UNREAD: dict[str, tuple[str, ...]] = {
    "answers": (),
    "rationales": ("text", "answer"),
    "preferences": ("text", "answer"),
    "labels": ("answer", "length"),
    "vectors": ("answer", "length", "dtype"),
}


def spec_of(models: Collaboration, file: str, rows: str | None, flags: dict[str, Any]) -> DistillSpec:
    """Return the settings, flags over the file's table, paths from the file's.

    Raises:
        ConfigError: no such table, a key is wrong or missing, or something would not be looked at.
    """
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
    _check_together(spec, models, f"{file} [distill]")
    missing = [word for word, value in (("ROWS", spec.rows), ("--out", spec.out)) if not value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given, here or in the [distill] table of {file}")
    return spec


def _check_together(spec: DistillSpec, models: Collaboration, where: str) -> None:
    """See that what is needed is there, and that nothing is set that would not be looked at.

    Raises:
        ConfigError: it is not, or something is.
    """
    from pilotfish.errors import ConfigError

    given = spec.model_fields_set
    tables = [name for name in TABLES if name in given]
    if spec.draft is not None:
        unread = [name for name in ("on_policy", "matching", "cache", "shard", *tables) if name in given]
        unread += [f"loss.{name}" for name in ("alpha", "temperature") if name in spec.loss.model_fields_set]
        if unread:
            raise ConfigError(f"{where}: {', '.join(unread)}: a draft learns its target's answers without them")
    if len(tables) > 1:
        raise ConfigError(f"{where}: {' and '.join(tables)}: a run learns one thing; give one of these tables")
    table = tables[0] if tables else None
    _check_who(spec, where)
    if spec.prompt is not None and "text" in given:
        raise ConfigError(f"{where}: `text` is not looked at where a `prompt` says what is taken of a row")
    if table is None or table == "answers":  # whether the teacher's weights are here decides about these
        return
    unread = [name for name in (*WHITE, *UNREAD[table]) if name in given]
    if unread:
        raise ConfigError(f"{where}: {', '.join(unread)}: {table} are learnt without")
    if "dtype" in given and (spec.teacher is None or spec.teacher in models.names):
        raise ConfigError(f"{where}: `dtype` is for weights that `teacher` names, not for a model of the file")
    if table in ("rationales", "preferences") and spec.prompt is None:
        raise ConfigError(f"{where}: {table} need a `prompt`: what is asked about each row")
    if spec.labels is not None:
        _check_labels(spec, models, where)


TUNED, WITHOUT = ("encoder", "contrastive"), ("tree", "bag")  # kinds that train `student`, and that have none


def _check_who(spec: DistillSpec, where: str) -> None:
    """See that somebody learns and somebody teaches."""
    from pilotfish.assemble._specs_distill import StudentSpec
    from pilotfish.errors import ConfigError

    judged = spec.preferences is not None and spec.preferences.judge is not None
    if spec.teacher is None and not judged:
        raise ConfigError(f"{where}: the key 'teacher' is missing")
    if spec.teacher is not None and judged:
        raise ConfigError(f"{where}: `teacher` is not looked at where preferences have a `judge`; give one of them")
    if spec.student is None and (spec.labels is None or spec.labels.kind in TUNED):
        raise ConfigError(f"{where}: the key 'student' is missing")
    if isinstance(spec.student, StudentSpec) and (spec.labels is not None or spec.vectors is not None):
        raise ConfigError(f"{where}: `student` is an encoder or weights by their name here, and is not cut out of any")


def _check_labels(spec: DistillSpec, models: Collaboration, where: str) -> None:
    """See that a small student is given nothing that only weights have."""
    from pilotfish.errors import ConfigError

    assert spec.labels is not None
    kind = spec.labels.kind
    if kind in TUNED:
        return
    unread = [f"fit.{name}" for name in sorted(spec.fit.model_fields_set - {"seed"})]
    if kind in WITHOUT and spec.student is not None:
        unread.append("student")
    if "device" in spec.model_fields_set and spec.teacher in models.names and (kind in WITHOUT or spec.student is None):
        unread.append("device")
    if unread:
        raise ConfigError(f"{where}: {', '.join(unread)}: a {kind} student of labels is fitted without")
