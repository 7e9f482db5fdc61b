"""`pilotfish evaluate --metrics`: models answer rows once, metrics score the answers, systems are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, collaboration_of, say, say_rejects
from pilotfish.cli._engine import engine_told
from pilotfish.cli._judged import tell, write_report

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.evaluate.judged import Against, Judged
    from pilotfish.evaluate.metric import OfRows
    from pilotfish.evaluate.scored import Scored

__all__ = ["by_metrics"]


def by_metrics(file: str, rows: str, flags: dict[str, Any]) -> None:
    """Ask, score, compare and tell.

    Raises:
        ConfigError: flags that do not go together, a model or a metric that is not there.
        DataError: rows that cannot be read, answered or scored.
        Stopped: on Ctrl-C.
    """
    from pilotfish.assemble._build_metrics import metric_named
    from pilotfish.assemble._spec_engine import EngineSpec
    from pilotfish.rows import Rejects, read
    from pilotfish.rows.engine import using

    _check(rows, flags)
    models = collaboration_of(file)
    names = list(dict.fromkeys(flags["model"] or (models.default,)))
    columns = {"candidate": flags["column"], "reference": flags["reference"], "source": flags["source"]}
    given = {key: value for key, value in columns.items() if value is not None}
    metrics = [metric_named(name, models, given) for name in dict.fromkeys(flags["metrics"])]
    for name in names:
        models.check(name)
    _check_rows(rows, metrics, names, flags)
    where = engine_told(EngineSpec(), flags, "pilotfish evaluate").where
    out = Path(flags["out"])
    systems: dict[str, Scored] = {}
    # Once, by the rows as they came: what one system's answers were scored by is what the others' are.
    metrics = [metric.fitted(read(rows, rejects=Rejects(), **_reading(flags))) for metric in metrics]
    try:
        with using(where):
            for name in names:
                systems[name] = _scored(_asked(models, name, rows, out, flags), metrics, flags)
            for column in dict.fromkeys(flags["against"]):
                systems[column] = _scored(_recorded(column, rows, out, flags), metrics, flags)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the answers so far are in {out}: the same command goes on from there") from None
    found, compared = _judged(systems, [metric.name for metric in metrics], flags)
    _write(systems, out)
    if flags["as_json"]:
        click.echo(json.dumps(_figures(found, compared), ensure_ascii=False))
    else:
        tell(found, compared)
    if flags["report_file"] is not None:
        title = f"{', '.join(systems)} on {Path(rows).name}"
        write_report(Path(flags["report_file"]), found, compared, _figures(found, compared), title)


def _check(rows: str, flags: dict[str, Any]) -> None:
    from pilotfish.errors import ConfigError

    if flags["gold"] is not None or flags["grade"] != "text":
        raise ConfigError("--gold and --grade are of evaluate without --metrics; a metric's references are --reference")
    if rows == "-":
        raise ConfigError("--metrics go through the rows more than once: give a file, not standard input")


def _check_rows(rows: str, metrics: Sequence[OfRows], names: Sequence[str], flags: dict[str, Any]) -> None:
    """Look at the first row before a model loads or is paid.

    Raises:
        ConfigError: a metric that does not read the answers; a column or a system that is there already.
        DataError: a column that is asked for is not there.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.metric import is_of
    from pilotfish.rows import Rejects, need_columns, read
    from pilotfish.rows.model_stage import Template

    column = flags["column"]
    first = next(iter(read(rows, rejects=Rejects(), **_reading(flags))))
    if column in first:
        raise ConfigError(f"{rows} already has a column {column!r}: choose another with --column")
    for metric in metrics:
        if column not in metric.columns:
            read_by = ", ".join(map(repr, metric.columns))
            raise ConfigError(f"{metric.name} reads {read_by}, and the answers go into {column!r}: see --column")
        need_columns(first, *(one for one in metric.columns if one != column), source=rows)
        if taken := [one for one in first if is_of(one, metric.name)]:
            raise ConfigError(f"{rows} already has a column {taken[0]!r}: name the metric otherwise")
    templates = [Template(text) for text in (flags["prompt"], flags["system"]) if text is not None]
    asked = [one for template in templates for one in template.columns]
    groups = [] if flags["group_by"] is None else [flags["group_by"]]
    need_columns(first, *asked, *flags["against"], *groups, source=rows)
    for name in flags["against"]:
        if name in names:
            raise ConfigError(f"--against {name}: a model has that name too")


def _asked(models: Collaboration, name: str, rows: str, out: Path, flags: dict[str, Any]) -> Path:
    """Return the file of the rows with a model's answers; what was answered is not asked again."""
    from pilotfish.errors import DataError
    from pilotfish.evaluate.scored import plain_name
    from pilotfish.rows import ModelStage, read_output, run, write

    tables = models.answers_by(name)

    class Asked(ModelStage):
        """The stage, which a run resumes only if the models are described as they were."""

        def config(self) -> dict[str, Any]:
            return super().config() | {"model": tables}

    settings: dict[str, Any] = {key: flags[key] for key in ("max_tokens", "temperature") if flags[key] is not None}
    stage = Asked(
        models.model(name),
        flags["prompt"],
        output=flags["column"],
        system=flags["system"],
        concurrency=flags["concurrency"],
        **settings,
    )
    folder = out / plain_name(name)
    report = run(
        rows,
        stage,
        folder / "answers",
        resume=not flags["fresh"],
        progress=not flags["quiet"],
        read_options=_reading(flags),
    )
    rejects = folder / "answers" / "rejects.jsonl"
    if report.all_rejected:
        kind = next(iter(report.reasons.most_common(1)), ("", 0))[0]
        raise DataError(f"{name}: all {report.rejected:,} rows were rejected ({kind}): see {rejects}")
    if lost := report.rejected + report.unread:
        say(f"{name}: {lost:,} rows were not answered: see {rejects}")
    write(read_output(folder / "answers"), folder / "answers.jsonl")
    return folder / "answers.jsonl"


def _recorded(column: str, rows: str, out: Path, flags: dict[str, Any]) -> Path:
    """Return the file of the rows with what a column of them has as answers."""
    from pilotfish.evaluate.scored import plain_name
    from pilotfish.rows import Rejects, read, write

    folder = out / plain_name(column)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.jsonl"
    rejects = Rejects()
    given = read(rows, rejects=rejects, **_reading(flags))
    write((row | {flags["column"]: row.get(column)} for row in given), path)
    say_rejects(rejects)
    return path


def _scored(answers: Path, metrics: Sequence[OfRows], flags: dict[str, Any]) -> Scored:
    from pilotfish.evaluate.scored import scored

    found = scored(answers, metrics, answers.parent / "metrics", fresh=flags["fresh"], progress=not flags["quiet"])
    for name, count in found.rejected.items():
        if count:
            say(f"{name}: {count:,} rows could not be scored: see {found.runs[name] / 'rejects.jsonl'}")
    return found


def _judged(
    systems: dict[str, Scored], metrics: Sequence[str], flags: dict[str, Any]
) -> tuple[list[Judged], list[Against]]:
    from pilotfish.evaluate.judged import against, judged, keys_of

    found: list[Judged] = []
    compared: list[Against] = []
    worst = (5 if flags["worst"] is None else flags["worst"]) if flags["report_file"] is not None else 0
    for metric in metrics:
        mine: dict[str, Judged] = {}
        keys: dict[str, list[bytes]] = {}
        groups: dict[bytes, str] | None = None if flags["group_by"] is None else {}
        for name, system in systems.items():
            keys[name] = list(keys_of(system.rows(metric), [flags["column"], metric]))
            some = None
            if groups is not None:
                some = [str(row.get(flags["group_by"])) for row in system.rows(metric)]
                groups.update(zip(keys[name], some, strict=True))
            mine[name] = judged(
                system.metrics[metric],
                system.scores(metric),
                system.rows(metric),
                system=name,
                groups=some,
                seed=flags["seed"],
                worst=worst,
                rejected=system.rejected[metric],
            )
        found += mine.values()
        for one, other in combinations(mine, 2):
            pair = against(mine[one], mine[other], (keys[one], keys[other]), groups=groups, seed=flags["seed"])
            compared += [pair] if pair is not None else []
    return found, compared


def _write(systems: dict[str, Scored], out: Path) -> None:
    from pilotfish.rows import write

    for name, system in systems.items():
        path = system.source.parent / "scored.jsonl"
        write(system.joined(), path)
        say(f"{name}: scores in {path}")


def _figures(found: Sequence[Judged], compared: Sequence[Against]) -> dict[str, Any]:
    systems: dict[str, dict[str, Any]] = {}
    for one in found:
        systems.setdefault(one.system, {})[one.metric.name] = one.to_json()
    return {"systems": systems, "against": [one.to_json() for one in compared]}


def _reading(flags: dict[str, Any]) -> dict[str, Any]:
    given = {"format": flags["format_"], "encoding": flags["encoding"], "strict": flags["strict"]}
    return {key: value for key, value in given.items() if value}
