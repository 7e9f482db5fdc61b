"""`pilotfish synthesize select`: the rows that are worth a person's time next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_labels import LabelsOnlySpec
    from pilotfish.rows._row import Row
    from pilotfish.synthesize.labels.kind import Kind

__all__ = ["select_command"]

HOW = ("random", "entropy", "margin", "k-center", "k-means", "badge", "typical")


@click.command("select")
@click.argument("file")
@click.argument("dst")
@click.option("--count", type=click.IntRange(1), required=True, help="How many rows people have time for.")
@click.option("--by", type=click.Choice(HOW), help="What is looked at.  [default: margin; without votes typical]")
@click.option("--encoder", help="Whose vectors tell how alike rows are: an encoder of FILE.  [default: the table's]")
@click.option("--out", help="The folder of the labels, for how sure they are.  [default: the table's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is drawn.")
def select_command(
    file: str, dst: str, count: int, by: str | None, encoder: str | None, out: str | None, seed: int
) -> None:
    """Choose the rows of FILE's [synthesize.labels] that people should label next, and write them to DST.

    By how unsure the model's labels are (entropy, margin), by how unlike the rows are to each other and to the gold
    rows (k-center, k-means), by both (badge), or, to begin with, by what is typical of each cluster (typical). Copies
    of gold rows are never chosen. The first rows are the most useful.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_labels import build_kind, rows_of
    from pilotfish.cli._synthesize.settings import labels_of
    from pilotfish.errors import ConfigError
    from pilotfish.rows import write
    from pilotfish.synthesize.labels.selecting import select

    models = Collaboration.load(file)
    table = labels_of(models, file)
    if encoder is not None:
        table = table.model_copy(update={"encoder": encoder})
    kind = build_kind(table)
    rows, gold = rows_of(table, models.folder, gold_may_lack=True)
    known = {kind.key(row) for row in gold}
    left = [i for i, row in enumerate(rows) if kind.key(row) not in known]
    if not left:
        raise ConfigError(f"{file}: all rows are among the gold rows: none is left to label")
    shares = _shares(models, file, out, kind, rows, table.into)
    how: Any = by or _best(shares is not None, table.encoder is not None)
    vectors = _vectors(models, table, kind, rows, gold) if how in HOW[3:] else None
    chosen = select(
        how,
        count,
        len(left),
        probabilities=None if shares is None else shares[left],
        vectors=None if vectors is None else vectors[0][left],
        known=None if vectors is None else vectors[1],
        seed=seed,
    )
    write([rows[left[i]] for i in chosen], Path(dst))
    say(f"{len(chosen):,} of {len(left):,} rows by {how} in {dst}")


def _best(votes: bool, vectors: bool) -> str:
    """Return what did best where it was measured (docs/guides/labels.md), of what can be done."""
    if votes:
        return "margin"
    if vectors:
        return "typical"
    from pilotfish.errors import ConfigError

    raise ConfigError("nothing tells the rows apart: label them first, name an --encoder, or take --by random")


def _shares(
    models: Collaboration, file: str, out: str | None, kind: Kind, rows: list[Row], into: str
) -> NDArray[Any] | None:
    """Return the votes of a run, where there is one: (rows, classes)."""
    from pilotfish.cli._synthesize.settings import folder_of
    from pilotfish.errors import ConfigError, DataError
    from pilotfish.synthesize.labels.votes import labelled, shares_of

    try:
        folder = folder_of(models, file, out)
    except ConfigError:
        return None
    if not (folder / "report.json").exists():
        return None
    found = labelled(folder, into)
    for one in found:
        if one.number >= len(rows) or kind.key(one.row) != kind.key(rows[one.number]):
            raise DataError(f"{folder}: its labels are of other rows than the file has now; label those first")
    shares = shares_of(kind, len(rows), found)
    import numpy as np

    return None if np.isnan(shares).all() else shares


def _vectors(
    models: Collaboration, table: LabelsOnlySpec, kind: Kind, rows: list[Row], gold: list[Row]
) -> tuple[NDArray[Any], NDArray[Any]]:
    from pilotfish.assemble._build_labels import vectors_of
    from pilotfish.errors import ConfigError

    if table.encoder is None:
        raise ConfigError("this goes by vectors: name an --encoder")
    return vectors_of(kind, rows, table, models), vectors_of(kind, gold, table, models)
