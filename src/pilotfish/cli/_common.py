"""What several commands share: the FILE argument, options of files of rows, and how a stop is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.rows import Rejects, Row, Rows

__all__ = [
    "RunsFile",
    "Stopped",
    "collaboration_of",
    "format_options",
    "read_rows",
    "rows_with_text",
    "say",
    "say_rejects",
]

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = "jsonl, json, csv, tsv, parquet, arrow, text, labelled-lines, datasets"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with one line on what stays and how to go on."""


class RunsFile(click.Group):
    """A group of commands, whose FILE without a command is for `run`."""

    run = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in that is meant."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [self.run, *args]
        return super().parse_args(ctx, args)


def say(text: str) -> None:
    """Print one line on standard error."""
    click.echo(" ".join(text.split()), err=True)


def say_rejects(rejects: Rejects) -> None:
    """Tell how many rows were rejected and where they are, where there are any."""
    if len(rejects):
        say(rejects.summary())


def format_options(command: F) -> F:
    """Add the options that tell how a file of rows is read."""
    for option in (
        click.option("--strict", is_flag=True, help="Stop at the first bad row rather than rejecting it."),
        click.option("--encoding", help="Of text files, such as latin-1; UTF-8 otherwise."),
        click.option("--format", "format_", help=f"Of the input: {FORMATS}; told by its name otherwise."),
    ):
        command = option(command)
    return command


def read_rows(src: str, rejects: Rejects, *, columns: str | None = None, **options: Any) -> Iterator[Row]:
    """Read the rows of a source; `options` are those of `format_options`."""
    from pilotfish.rows import read

    names = [name.strip() for name in columns.split(",") if name.strip()] if columns is not None else None
    options["format"] = options.pop("format_")
    return read(src, rejects=rejects, columns=names, **options)


def rows_with_text(src: str, rejects: Rejects, text: str, label: str | None = None, **options: Any) -> Rows:
    """Return the rows that have a text; the others are rejected. A `label` that a row lacks is None in it.

    Raises:
        DataError: the column is not there, or no row has a text in it.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns
    from pilotfish.rows._json import shown

    rows: Rows = []
    for place, row in enumerate(read_rows(src, rejects, **options), 1):
        if place == 1:
            need_columns(row, text, *([label] if label else []), source=src)
        if isinstance(row.get(text), str):
            rows.append(row if label is None else {label: None} | row)
        else:
            rejects.add(src, None, f"no text in {text!r}: row {place}", shown(row))
    if not rows:
        raise DataError(f"{src}: no row has a text in {text!r}")
    return rows


def rows_of(models: Collaboration, path: str, columns: list[str]) -> list[Row]:
    """Return the rows of a file that have a text in each column.

    Raises:
        DataError: it cannot be read, or a row lacks a text.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns, read

    source = str(models.folder / path)
    rows: list[Any] = list(read(source))
    for number, row in enumerate(rows, 1):
        need_columns(row, *columns, source=f"{source}: row {number}")
        for name in columns:
            if not isinstance(row[name], str):
                raise DataError(f"{source}: row {number}: column {name!r} is {type(row[name]).__name__}, not text")
    return rows


def collaboration_of(file: str) -> Collaboration:
    """Return the models of a collaboration file, or the one model that a name stands for.

    Raises:
        ConfigError: the file cannot be read, or is neither TOML nor a model.
    """
    from pilotfish.assemble import Collaboration, model_of
    from pilotfish.errors import ConfigError

    if file.endswith(".toml"):
        return Collaboration.load(file)
    if Path(file).is_file() and not file.endswith(".gguf"):
        raise ConfigError(f"{file}: not a model and not a collaboration file, whose name ends in .toml")
    table = model_of(file)[1]
    # Traces then show the model's own name.
    name = str(table.get("model") or Path(file).name or file)
    return Collaboration({"models": {name: table}}, where=file)
