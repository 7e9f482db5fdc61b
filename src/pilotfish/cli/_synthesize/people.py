"""`pilotfish synthesize export` and `import`: to people, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.synthesize.labels.votes import Labelled

__all__ = ["export_command", "import_command"]

TOOLS = ("label-studio", "argilla")


@click.command("export")
@click.argument("file")
@click.argument("dst")
@click.option("--to", type=click.Choice(TOOLS), default=TOOLS[0], show_default=True, help="For which tool.")
@click.option("--out", help="The folder of the labels.  [default: the table's]")
@click.option("--rows", help="Ask people about the rows of this file, in place of those the model is not sure of.")
@click.option("--unread", is_flag=True, help="With the rows for which no answer could be read.")
def export_command(file: str, dst: str, to: str, out: str | None, rows: str | None, unread: bool) -> None:
    """Write the rows that the model of FILE is not sure of to DST, for people to label.

    What the model said goes with each as a prediction. For Label Studio the labelling configuration stands beside DST,
    as DST.xml.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_labels import build_kind
    from pilotfish.cli._synthesize.settings import labels_of
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._json import plain
    from pilotfish.synthesize.labels.people import config_of, to_argilla, to_label_studio

    models = Collaboration.load(file)
    table = labels_of(models, file)
    assert models.synthesize is not None
    kind = build_kind(table)
    found = _asked_about(models, file, out, rows, unread, table.into)
    made = to_label_studio if to == TOOLS[0] else to_argilla
    told = made(kind, table.into, found, models.synthesize.model or "")
    with atomic(Path(dst)) as target:
        target.write((json.dumps(told, ensure_ascii=False, indent=1, default=plain) + "\n").encode())
    if to == TOOLS[0]:
        with atomic(Path(f"{dst}.xml")) as target:
            target.write(config_of(kind, table.into).encode())
    say(f"{len(told):,} rows for people in {dst}")


@click.command("import")
@click.argument("file")
@click.argument("src")
@click.option("--from", "tool", type=click.Choice(TOOLS), default=TOOLS[0], show_default=True, help="Of which tool.")
@click.option("--gold", help="Where the rows go, behind what is there.  [default: the table's `gold`]")
def import_command(file: str, src: str, tool: str, gold: str | None) -> None:
    """Take what people said, of an export SRC as JSON, as gold rows for the labels of FILE.

    A row that is in the file of gold rows already is replaced. Rows on which people disagree are told, and left out.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_labels import build_kind
    from pilotfish.cli._synthesize.settings import labels_of
    from pilotfish.errors import ConfigError, DataError
    from pilotfish.rows import read, write
    from pilotfish.synthesize.labels.people import from_argilla, from_label_studio

    models = Collaboration.load(file)
    table = labels_of(models, file)
    if gold is None and table.gold is None:
        raise ConfigError(f"--gold must be given, here or as `gold` in the [synthesize.labels] table of {file}")
    target = Path(gold) if gold is not None else models.folder / str(table.gold)
    try:
        exported = json.loads(Path(src).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{src}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{src}: not JSON: {error}") from None
    kind = build_kind(table)
    try:
        heard = (from_label_studio if tool == TOOLS[0] else from_argilla)(kind, table.into, exported)
    except DataError as error:
        raise DataError(f"{src}: {error}") from None
    there = list(read(target)) if target.exists() else []
    said = {kind.key(row): row for row in heard.rows}
    known = {kind.key(row) for row in there}
    fresh = [row for key, row in said.items() if key not in known]
    write([said.get(kind.key(row), row) for row in there] + fresh, target)
    passed = "".join(f"; {count:,} left out: {reason}" for reason, count in heard.passed.items())
    say(f"{len(heard.rows):,} rows that people labelled, {len(fresh):,} of them new, in {target}{passed}")


def _asked_about(
    models: Collaboration, file: str, out: str | None, rows: str | None, unread: bool, into: str
) -> list[Labelled]:
    from pilotfish.cli._synthesize.settings import folder_of
    from pilotfish.errors import ConfigError
    from pilotfish.rows import read
    from pilotfish.synthesize.labels.votes import Labelled, labelled

    if rows is not None:
        if out is not None or unread:
            raise ConfigError("--rows names what people are asked about: --out and --unread are not looked at then")
        given: list[dict[str, Any]] = list(read(rows))
        return [Labelled(number, row) for number, row in enumerate(given)]
    found = labelled(folder_of(models, file, out), into)
    chosen = [one for one in found if one.unsure or (unread and not one.kept and one.value is None)]
    # The least sure first: people may stop at any point.
    return sorted(chosen, key=lambda one: one.confidence if one.confidence is not None else 0.0)
