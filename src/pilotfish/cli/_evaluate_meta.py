"""`pilotfish evaluate meta` tells how far metrics agree with people; `pilotfish evaluate teach` makes one that does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.evaluate.meta import Meta
    from pilotfish.rows._row import Row

__all__ = ["meta_command", "teach_command"]


@click.command("meta")
@click.argument("rows")
@click.option(
    "--people", multiple=True, required=True, help="A column of people's scores, or of yes and no; repeatable."
)
@click.option("--metric", "metrics", multiple=True, help="A column of a metric's scores; repeatable.")
@click.option("--lower", multiple=True, help="A column of a metric that is better the lower it is; repeatable.")
@click.option("--item", help="A column: what was written about. Rows of one are drawn, and compared, together.")
@click.option("--system", help="A column: who wrote it. Their means are compared too.")
@click.option("--resamples", type=click.IntRange(100), default=1000, show_default=True, help="Draws of the intervals.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@format_options
def meta_command(rows: str, people: tuple[str, ...], **flags: Any) -> None:
    """Tell how far metrics judge ROWS as people do, each figure with its interval.

    ROWS hold people's scores beside the metrics', as `pilotfish score --out` and `pilotfish evaluate` write them. By
    segment all rows are compared, by item those of one item with each other, by system the means of systems. Pairwise
    is the share of pairs that the metric orders as people do, of those that people tell apart; of yes and no it is the
    area under the ROC curve. Below the first metric of each level stands by how much it agrees better than the next.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.meta import meta

    if not flags["metrics"] and not flags["lower"]:
        raise ConfigError("name a column of a metric's scores: --metric, or --lower where less is better")
    held = _read(rows, flags)
    columns = {name: _numbers(held, name) for name in flags["metrics"]}
    columns |= {f"-{name}": -_numbers(held, name) for name in flags["lower"]}
    groups = {name: _ids(held, flags[name]) for name in ("item", "system")}
    told: dict[str, Any] = {}
    for name in people:
        found = meta(
            _numbers(held, name),
            columns,
            items=groups["item"],
            systems=groups["system"],
            resamples=flags["resamples"],
            seed=flags["seed"],
        )
        told[name] = found.to_json()
        if not flags["as_json"]:
            _tell(name, found)
    if flags["as_json"]:
        click.echo(json.dumps(told, ensure_ascii=False))


def _tell(people: str, found: Meta) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pilotfish.evaluate.meta import STATISTICS

    for level in found.levels:
        some = [one for one in found if one.level == level]
        table = Table(title=Text(f"{people}, by {level} ({some[0].units:,})"), title_justify="left", box=None)
        table.add_column("metric")
        for statistic in STATISTICS:
            table.add_column(statistic, justify="right")
        for one in some:
            table.add_row(Text(one.metric), *(Text(f"{getattr(one, name):.3f}") for name in STATISTICS))
        Console(stderr=False, width=140).print(table)
        if len(some) > 1:
            gap = found.above(some[0].metric, some[1].metric, "spearman", level)
            click.echo(f"{some[0].metric} above {some[1].metric}: {gap:+.3f} Spearman")
    for note in found.notes:
        say(f"{people}: {note}")


@click.command("teach")
@click.argument("rows")
@click.option("--people", required=True, help="The column of people's scores.")
@click.option("--text", "texts", multiple=True, help="A column of texts, the judged one last; repeatable.")
@click.option("--number", "numbers", multiple=True, help="A column of another metric's scores; repeatable.")
@click.option("--encoder", default="all-minilm-l6-v2", show_default=True, help="Of the texts.")
@click.option("--tune", is_flag=True, help="Tune the encoder too: for thousands of rows.")
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True, help="With --tune.")
@click.option("--positive", is_flag=True, help="With numbers alone: none of them ever counts against a row.")
@click.option("--group-by", help="A column: rows with the same value are learnt from or measured on together.")
@click.option("--name", help="Of the metric, in reports.  [default: the folder's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the split.")
@click.option("--out", required=True, help="The folder for the evaluator.")
@format_options
def teach_command(rows: str, people: str, out: str, **flags: Any) -> None:
    """Teach a small evaluator people's scores of ROWS: a regressor over texts, other metrics' numbers, or both.

    A fifth of the rows (of the groups) is kept back, and says how far it agrees with people. The folder is a metric of
    any file: [metrics.NAME] with use = "estimator" and path.
    """
    from pilotfish.evaluate.estimator import Estimator
    from pilotfish.models.encoder import Encoder
    from pilotfish.train.settings import Fit

    held = _read(rows, flags)
    how = (
        Fit(epochs=flags["epochs"], batch_tokens=1024, rate=5e-5, decay=0.01, dtype="float32")
        if flags["tune"]
        else None
    )
    made = Estimator(
        flags["texts"],
        encoder=Encoder(flags["encoder"]) if flags["texts"] else None,
        numbers=flags["numbers"],
        how=how,
        positive=flags["positive"],
        name=flags["name"] or Path(out).name,
        folder=Path(out) / "checkpoints" if how is not None else None,
    )
    groups = _ids(held, flags["group_by"])
    made.fit(held, _numbers(held, people), groups, seed=flags["seed"])
    made.save(out)
    click.echo(str(made.report_))
    say(f"the evaluator is in {out}")


def _read(rows: str, flags: dict[str, Any]) -> list[Row]:
    """Return the rows of a file.

    Raises:
        DataError: there is none.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import Rejects

    rejects = Rejects()
    held = list(read_rows(rows, rejects, **{name: flags[name] for name in ("strict", "encoding", "format_")}))
    say_rejects(rejects)
    if not held:
        raise DataError(f"{rows}: no usable row")
    return held


def _numbers(rows: list[Row], column: str) -> NDArray[np.float64]:
    """Return a column's numbers; yes and no, as words or as truth values, are 1 and 0.

    Raises:
        DataError: a row lacks one, or it is no number.
    """
    import numpy as np

    from pilotfish.errors import DataError
    from pilotfish.rows._row import need_columns

    words = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
    found = np.zeros(len(rows))
    for number, row in enumerate(rows, 1):
        need_columns(row, column, source=f"row {number}")
        value = row[column]
        try:
            found[number - 1] = words.get(value.strip().casefold(), value) if isinstance(value, str) else value
        except (TypeError, ValueError):
            raise DataError(
                f"row {number}: column {column!r} must be a number or yes or no, not {value!r:.40}"
            ) from None
    return found


def _ids(rows: list[Row], column: str | None) -> list[str] | None:
    from pilotfish.rows._row import need_columns

    if column is None:
        return None
    for number, row in enumerate(rows, 1):
        need_columns(row, column, source=f"row {number}")
    return [str(row[column]) for row in rows]
