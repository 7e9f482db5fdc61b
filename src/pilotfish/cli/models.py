"""`pilotfish models`: what the catalog knows, what is on this machine, fetch it, remove it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pilotfish.errors import MissingExtra

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog, Entry

__all__ = ["group"]


@click.group("models")
def group() -> None:
    """Models by name: list them, fetch them, show their licence, remove them."""


def _facts(catalog: Catalog, entry: Entry, shown: str | None = None) -> dict[str, Any]:
    from pilotfish.models._fetch_store import read_marker

    here = catalog.here(entry.name)
    marker = (read_marker(catalog.folder(entry.name)) if here else None) or {}
    return {
        "name": shown or entry.name,
        "kind": entry.kind,
        "licence": marker.get("licence", entry.licence),
        "about": entry.about,
        "parameters": entry.parameters or None,
        "bytes": marker.get("bytes") or entry.bytes or None,
        "sources": list(entry.sources),
        "sha256": entry.sha256,
        "here": here is not None,
        "path": str(here) if here else None,
        "fetched": marker.get("date"),
    }


def _adopted_facts(catalog: Catalog) -> list[dict[str, Any]]:
    """Hub models that were fetched without being in the catalog."""
    from pilotfish.models.catalog import home

    rows = []
    for marker in sorted((home() / "models").glob("hf--*/pilotfish.json")):
        spec = json.loads(marker.read_text(encoding="utf-8"))["sources"][0]
        extended, name = catalog.adopted(spec)
        rows.append(_facts(extended, extended.entry(name), spec))
    return rows


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_models(as_json: bool) -> None:
    """List every model of the catalog, and what is on this machine."""
    from pilotfish.models._fetch_progress import human
    from pilotfish.models.catalog import Catalog

    catalog = Catalog.load()
    rows = [_facts(catalog, entry) for entry in catalog] + _adopted_facts(catalog)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "kind", "licence", box=None, pad_edge=False)
    table.add_column("weights", justify="right")
    table.add_column("size", justify="right")
    table.add_column("here")
    for row in rows:
        weights = f"{row['parameters'] / 1e6:,.0f}M" if row["parameters"] else ""
        size = human(row["bytes"]) if row["bytes"] else ""
        table.add_row(row["name"], row["kind"], row["licence"], weights, size, "yes" if row["here"] else "no")
    Console().print(table)


@group.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def pull(names: tuple[str, ...]) -> None:
    """Fetch models: names of the catalog, or hf:org/name.

    A GGUF file is also converted, so that later starts are quick. Prints the path of each. What was fetched is checked
    against its sha256; an interrupted download goes on from where it stopped.
    """
    from pilotfish.models.catalog import Catalog

    catalog = Catalog.load()
    # A name that is wrong should be told before the first gigabyte.
    for name in names:
        catalog.adopted(name)
    for name in names:
        found = catalog.resolve(name)
        click.echo(f"{name}: licence {found.licence}", err=True)
        path = found.path
        if path.suffix == ".gguf" and found.kind == "causal-lm":
            from pilotfish.models._gguf import converted

            try:
                path = converted(path)
            except MissingExtra as error:
                # The file itself serves other programs; what is missing matters only to running it here.
                click.echo(f"{name}: fetched, not converted: {error}", err=True)
        click.echo(str(path))


@group.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", is_flag=True, help="Read the files again and compare their sha256.")
def show(name: str, as_json: bool, check: bool) -> None:
    """Show one model: licence, source, size, where it is."""
    from pilotfish.models.catalog import Catalog

    catalog, inner = Catalog.load().adopted(name)
    facts = _facts(catalog, catalog.entry(inner), name)
    if check:
        facts["checked"] = catalog.check(inner)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if key == "sha256" and isinstance(value, dict):
            click.echo(f"{key:<11}{len(value)} files, each with its own")
        elif key == "checked":
            click.echo(f"{key:<11}yes: the sha256 of {value} file{'' if value == 1 else 's'} is right")
        elif isinstance(value, bool):
            click.echo(f"{key:<11}{'yes' if value else 'no'}")
        elif value not in (None, ""):
            shown = ", ".join(value) if isinstance(value, list) else f"{value:,}" if isinstance(value, int) else value
            click.echo(f"{key:<11}{shown}")


@group.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> None:
    """Remove fetched models, and what was converted from them, from this machine."""
    from pilotfish.models._fetch_progress import human
    from pilotfish.models.catalog import Catalog

    for name in names:
        catalog, inner = Catalog.load().adopted(name)
        freed = catalog.remove(inner)
        click.echo(f"{name}: {human(freed)} freed" if freed else f"{name}: was not here")
