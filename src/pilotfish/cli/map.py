"""`pilotfish map`: one question about every row of a file, resumable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, collaboration_of, format_options, say
from pilotfish.cli._engine import engine_options, engine_table

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble.specs import MapSpec
    from pilotfish.rows.report import RunReport

__all__ = ["command"]


@click.command("map")
@click.argument("file")
@click.argument("rows", required=False)
@click.option("--model", "-m", help="Which model of the file; its default otherwise.")
@click.option("--prompt", help='What to ask, with columns in braces: "Translate: {text}".')
@click.option("--out", help="The folder for the answers, and for what a stopped run needs to go on.")
@click.option("--column", help="The new column for the answer.  [default: answer]")
@click.option("--system", help="A system message; it may hold columns too.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of an answer.")
@click.option("--temperature", type=click.FloatRange(0), help="0 is greedy; the model's own default otherwise.")
@click.option("--seed", type=int, help="Of the sampling.")
@click.option("--concurrency", type=click.IntRange(1), help="Rows under way at once; what the model takes otherwise.")
@click.option("--shard-rows", type=click.IntRange(1), help="Input rows a file of the output.  [default: 10000]")
@click.option("--trace-columns", is_flag=True, help="Add a column with the tokens, seconds and cost of each answer.")
@click.option(
    "--output", help="Write the finished rows into this file too (.jsonl, .csv, .tsv, .parquet; - is stdout)."
)
@format_options
@engine_options
@click.option("--fresh", is_flag=True, help="Discard what an earlier run left in --out, and start again.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(file: str, rows: str | None, fresh: bool, quiet: bool, **flags: Any) -> None:
    """Ask a model of FILE about every row of ROWS ("-" is standard input), and put the answer into a new column.

    FILE is a collaboration file (TOML), or the name of one model as in `pilotfish ask`. A [map] table in the file may
    give ROWS and the options, with - written as _; flags win. A run that was stopped goes on where it was: the same
    command again, and no row that was answered is asked about again. Rows that cannot be answered go into
    rejects.jsonl of the folder, with the reason.
    """
    from pilotfish.rows.model_stage import Template

    models = collaboration_of(file)
    spec, out = _spec(models, file, rows, flags)
    assert spec.rows is not None and spec.prompt is not None
    templates = [Template(text) for text in (spec.prompt, spec.system) if text is not None]
    _check_rows(spec, [column for template in templates for column in template.columns])
    if spec.output is not None:
        _check_output(spec.output)
    name = spec.model or models.default
    models.check(name)
    try:
        report = _run(models, name, spec, out, fresh=fresh, quiet=quiet)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the answers so far are in {out}: the same command goes on from there") from None
    _tell(report, spec, out)


def _spec(models: Collaboration, file: str, rows: str | None, flags: dict[str, Any]) -> tuple[MapSpec, str]:
    """Return the settings, flags over the file's table, and the output folder."""
    from pilotfish.assemble.check import checked
    from pilotfish.assemble.specs import MapSpec
    from pilotfish.errors import ConfigError
    from pilotfish.rows._remote import is_url

    table = models.map.model_dump(exclude_unset=True) if models.map is not None else {}
    for key in ("rows", "out", "output"):
        if table.get(key, "-") != "-" and not is_url(table[key]):
            table[key] = str(models.folder / table[key])
    given = flags | {"rows": rows, "format": flags["format_"]}
    del given["format_"]
    table = engine_table(table, flags)
    table |= {key: value for key, value in given.items() if value is not None and value is not False}
    spec = checked(MapSpec, table, f"{file} [map]")
    missing = [
        word for word, value in (("ROWS", spec.rows), ("--prompt", spec.prompt), ("--out", spec.out)) if not value
    ]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given, here or in the [map] table of {file}")
    return spec, str(spec.out)


def _options(spec: MapSpec) -> dict[str, Any]:
    options = {"format": spec.format, "encoding": spec.encoding, "strict": spec.strict}
    return {key: value for key, value in options.items() if value}


def _check_rows(spec: MapSpec, columns: list[str]) -> None:
    """Look at the first row before a model loads: a slip in a column's name should not take a minute to show.

    Raises:
        ConfigError: the column for the answer is there already.
        DataError: a column that the prompt names is not there, or there is no row.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.rows import Rejects, need_columns, read

    if spec.rows is None or spec.rows == "-":
        return
    # Rows before the first good one are no more than counted here: the run itself puts them into its rejects.
    first = next(iter(read(spec.rows, rejects=Rejects(), **_options(spec))))
    need_columns(first, *columns, source=spec.rows)
    for column in [spec.column, f"{spec.column}_trace"] if spec.trace_columns else [spec.column]:
        if column in first:
            raise ConfigError(f"{spec.rows} already has a column {column!r}: choose another with --column")


def _check_output(output: str) -> None:
    """Refuse a file that could not be written at the end, before the answers are paid for."""
    from pilotfish.cli._target import check_target

    check_target(output)


def _run(models: Collaboration, name: str, spec: MapSpec, out: str, *, fresh: bool, quiet: bool) -> RunReport:
    from pilotfish.rows import ModelStage, run

    tables = models.answers_by(name)

    class Asked(ModelStage):
        """The stage, which a run resumes only if the models are described as they were."""

        def config(self) -> dict[str, Any]:
            return super().config() | {"model": tables}

    given = {"max_tokens": spec.max_tokens, "temperature": spec.temperature, "seed": spec.seed}
    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    stage = Asked(
        models.model(name),
        str(spec.prompt),
        output=spec.column,
        system=spec.system,
        trace=spec.trace_columns,
        concurrency=spec.concurrency,
        **settings,
    )
    return run(
        str(spec.rows),
        stage,
        out,
        shard_rows=spec.shard_rows,
        resume=not fresh,
        progress=not quiet,
        read_options=_options(spec),
        engine=spec.where,
    )


def _tell(report: RunReport, spec: MapSpec, out: str) -> None:
    """Print what came out; write the one file where asked.

    Raises:
        DataError: no row was answered.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import read_output

    if report.all_rejected:
        kind = next(iter(report.reasons.most_common(1)), ("", 0))[0]
        raise DataError(f"all {report.rejected:,} rows were rejected ({kind}): see {out}/rejects.jsonl")
    say(report.summary())
    for stage in report.stages:
        facts = ", ".join(f"{key} {value:,.6g}" for key, value in stage.totals.items())
        if facts:
            say(f"this time: {facts}")
    if spec.output is not None:
        from pilotfish.cli._target import put

        count = put(read_output(out), spec.output)
        if spec.output != "-":
            say(f"{count:,} rows in {spec.output}")
