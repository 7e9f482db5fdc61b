"""What several commands share: the FILE argument, options of files of rows, and how a stop is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.rows.rejects import Rejects

__all__ = ["Stopped", "collaboration_of", "format_options", "say", "say_rejects"]

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = "jsonl, json, csv, tsv, parquet, arrow, text, labelled-lines, datasets"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with one line on what stays and how to go on."""


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
