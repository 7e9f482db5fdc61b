"""`pilotfish advise --task`: tables, extraction, retrieval and generation, by the advisor of `compete.advisor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.cli._advise_log import rows_of_log
from pilotfish.cli._advise_shown import show
from pilotfish.cli._common import Stopped, say_rejects

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_advise import AdviseAnswersSpec, AdviseTableSpec, EveryAdviseSpec
    from pilotfish.assemble.workbench import Workbench
    from pilotfish.compete.advisor.advised import Advised
    from pilotfish.compete.settings import Settings
    from pilotfish.compete.watch import Watch
    from pilotfish.model import Model
    from pilotfish.rows import Row

__all__ = ["run"]

_PATHS = ("rows", "test", "documents")


def run(rows: str, out: Path, flags: Mapping[str, Any], *, strict: bool, quiet: bool) -> None:
    """Advise on a task that is no text classification.

    Raises:
        PilotfishError: something is missing, wrong, or does not answer.
        Stopped: on Ctrl-C; what was answered is kept.
    """
    from rich.console import Console

    from pilotfish.assemble._specs_advise import AdviseTableSpec
    from pilotfish.rows._lock import locked

    console = Console(stderr=True, quiet=quiet)
    spec, models = planned(rows, flags)
    settings = _settings(spec)
    from pilotfish.compete.watch import Watch

    with locked(out):
        reader = _Reader(spec, out, strict)
        try:
            if isinstance(spec, AdviseTableSpec):
                advice, given = _table(spec, models, settings, out, reader, Watch(console))
            else:
                advice, given = _answers(spec, models, settings, out, reader, Watch(console))  # type: ignore[arg-type]
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped, no advice was written; what was answered is kept in {out}: the same command goes on"
            ) from None
        from pilotfish.compete.advisor.folder import write_advised

        write_advised(advice, out, given)
    from pilotfish.compete.advisor.page import page

    show(advice, lambda: page(advice), out, console)


def planned(rows: str, flags: Mapping[str, Any]) -> tuple[EveryAdviseSpec, Collaboration]:
    """Return what is to be done, and the models: flags over the file's [advise] table.

    Raises:
        ConfigError: something is missing, unknown or not possible.
        ModelError: a model's weights are not known.
    """
    from pilotfish.assemble import Collaboration, model_of
    from pilotfish.assemble._specs_advise import advise_spec
    from pilotfish.errors import ConfigError, did_you_mean

    given = {key: value for key, value in flags.items() if value not in (None, (), {}, [])}
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    if rows.endswith(".toml"):
        there = Collaboration.load(rows)
        if there.advise is None:
            raise ConfigError(f"{rows}: no [advise] table; it names the task, the rows and the models")
        where, folder = f"{rows}: [advise]", there.folder
        table = there.advise.model_dump(exclude_unset=True)
        for key in _PATHS:
            if table.get(key, "-") != "-":
                table[key] = str(folder / table[key])
        tables, catalog = {name: there.table(name) for name in there.names}, there.catalog_tables
    else:
        where, folder, table, tables, catalog = "the command line", Path(), {"rows": rows}, {}, {}
    for role in ("small", "large", "judge"):
        if role in given and given[role] not in tables:
            here = Path(given[role])
            tables[role] = model_of(str(here.absolute()) if here.exists() else given[role])[1]
            given[role] = role
    spec = advise_spec(table | given, where)
    models = Collaboration({"models": tables, "catalog": catalog}, where=where, folder=folder)
    for role in _roles(spec):
        name = getattr(spec, role)
        if name not in models.names:
            raise ConfigError(
                f"{where} {role} = {name!r}: no such model{did_you_mean(name, models.names)}; give --{role}"
            )
        models.check(name)
    return spec, models


def _roles(spec: EveryAdviseSpec) -> dict[str, str]:
    """Return role -> name of every model that the task names."""
    return {role: name for role in ("small", "large", "judge") if (name := getattr(spec, role, None)) is not None}


class _Reader:
    """Reads rows; those that cannot be read go into rejects.jsonl."""

    def __init__(self, spec: EveryAdviseSpec, out: Path, strict: bool) -> None:
        self.spec, self.path, self.strict = spec, out / "rejects.jsonl", strict

    def rows(self) -> tuple[list[Row], list[Row] | None]:
        """Return the rows, and those of the test where they are given apart."""
        from pilotfish.rows import Rejects, read

        if getattr(self.spec, "is_log", False):
            return rows_of_log(self.spec.rows, self.path.parent), None
        self.path.unlink(missing_ok=True)
        how = {"strict": self.strict, "format": self.spec.format, "encoding": self.spec.encoding}
        with Rejects(self.path) as rejects:
            found = [
                None if source is None else list(read(source, rejects=rejects, **how))  # type: ignore[arg-type]
                for source in (self.spec.rows, self.spec.test)
            ]
            say_rejects(rejects)
        return found[0] or [], found[1]


def _settings(spec: EveryAdviseSpec) -> Settings:
    from pilotfish.cli._advise_plan import bytes_of
    from pilotfish.compete.settings import Settings

    names = ("margin", "test_rows", "calibrate_rows", "max_seconds", "max_cost", "seed", "shots", "seeds")
    chosen = {name: getattr(spec, name) for name in names if hasattr(spec, name)}
    memory = bytes_of(spec.max_memory) if spec.max_memory is not None else None
    return Settings(max_memory=memory, licences=tuple(spec.licences), **chosen)


def _table(
    spec: AdviseTableSpec, models: Collaboration, settings: Settings, out: Path, reader: _Reader, watch: Watch
) -> tuple[Advised, Mapping[str, Mapping[str, Any]]]:
    from pilotfish.assemble.workbench import Workbench
    from pilotfish.compete.advisor.tables import advise_table
    from pilotfish.compete.tables.kinds import KINDS
    from pilotfish.compete.tables.task import table_task

    rows, test = reader.rows()
    task = table_task(
        rows,
        spec.target,
        columns=spec.columns,
        kind=spec.kind,
        test=spec.test_share,
        held_out=test,
        group=spec.group,
        seed=spec.seed,
    )
    watch.say(f"{len(task.train):,} training rows, {len(task.test):,} held out, {len(task.table.columns)} columns")
    bench = Workbench(models, _roles(spec), out)
    large = bench.model("large") if spec.large is not None else None
    if large is not None:
        _named(large, models, str(spec.large))
    advice = advise_table(
        task,
        large,
        settings,
        out,
        kinds=tuple(spec.models or KINDS),
        question=spec.question,
        names=spec.names,
        max_p95=spec.max_p95,
        watch=watch,
    )
    # In the file the advice calls the labeller "large"; the model behind it has another name.
    given = {("models.large-model" if name == "models.large" else name): table for name, table in bench.given().items()}
    return advice, given


def _answers(
    spec: AdviseAnswersSpec, models: Collaboration, settings: Settings, out: Path, reader: _Reader, watch: Watch
) -> tuple[Advised, Mapping[str, Mapping[str, Any]]]:
    from pilotfish.assemble.workbench import Workbench
    from pilotfish.compete.advisor.answers import advise_answers
    from pilotfish.compete.advisor.marks import marks_by
    from pilotfish.compete.advisor.task import answer_task

    rows, test = reader.rows()
    task = answer_task(
        rows,
        spec.task,
        prompt=spec.asked,
        text=spec.text,
        gold=spec.right,
        fields=spec.fields,
        system=spec.system,
        test=test,
        max_tokens=spec.max_tokens,
        seed=spec.seed,
    )
    watch.say(
        f"{len(task.train):,} rows to learn from, {len(task.calibrate):,} to choose by, {len(task.test):,} held out"
    )
    bench = Workbench(
        models,
        _roles(spec),
        out,
        documents=spec.documents,
        text=spec.document_text,
        id_=spec.document_id,
        encoder=spec.encoder,
    )
    judge = bench.model("judge") if spec.judge is not None else None
    marks, measure = marks_by(spec.marks, task, judge=judge, folder=out / "work" / "judge")
    facts, names = _facts(spec, bench, models, task)
    from pilotfish.compete.advisor.prepare import prepare

    prepare(task, out)
    advice = advise_answers(task, bench, marks, facts, names, settings, measure=measure, watch=watch)
    return advice, bench.given()


def _facts(spec: AdviseAnswersSpec, bench: Workbench, models: Collaboration, task: Any) -> tuple[Any, dict[str, str]]:
    from pilotfish.compete.advisor.prepare import facts_of

    names = {role: _shown(models, name) for role, name in _roles(spec).items()}
    if names.get("large") == names["small"]:
        names["large"] += " (large)"
    local = frozenset(role for role in ("small", "large") if role in names and bench.is_local(role))
    return facts_of(task, bench, local, large="large" in names, documents=spec.documents is not None), names


def _shown(models: Collaboration, name: str) -> str:
    """Return what a report calls a model: the weights' or the endpoint's own name, where it has one."""
    table = models.table(name)
    if table["use"] in ("local", "encoder"):
        return Path(str(table["weights"])).name.removesuffix(".gguf").removeprefix("hf:")
    return str(table["model"]) if table["use"] == "openai" else name


def _named(model: Model, models: Collaboration, name: str) -> None:
    from pilotfish.models.local import LocalModel
    from pilotfish.models.remote import RemoteModel

    if isinstance(model, LocalModel | RemoteModel):
        model.name = _shown(models, name)
