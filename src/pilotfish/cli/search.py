"""`pilotfish search`: the passages that an index or a retriever of a file finds."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilotfish.retrieve.found import Hit, Retriever

__all__ = ["command", "retriever_of", "target_options"]

_SHOWN = 300  # characters of a passage


def target_options(function: Any) -> Any:
    """Add the options that say how a folder or a file is searched."""
    for option in (
        click.option("--retriever", help="Of a file: one of its [retrievers]."),
        click.option(
            "--way", help="Of an index: bm25, dense, sparse, late, or several with + between, joined by their ranks."
        ),
    ):
        function = option(function)
    return function


@click.command("search")
@click.argument("target")
@click.argument("queries", nargs=-1, required=True)
@target_options
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many passages a query.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a query.")
@click.option("--full", is_flag=True, help="Show whole passages.")
def command(target: str, queries: tuple[str, ...], **flags: Any) -> None:
    """Find the passages for QUERIES in TARGET: an index's folder, or a collaboration file with [retrievers].

    Without --way an index with several ways joins what they find by reciprocal ranks.
    """
    with ExitStack() as opened:
        retriever = retriever_of(target, flags["way"], flags["retriever"], opened)
        found = retriever.search(queries, flags["k"])
    for query, hits in zip(queries, found, strict=True):
        if flags["as_json"]:
            click.echo(json.dumps({"query": query, "hits": [_plain(hit) for hit in hits]}, ensure_ascii=False))
            continue
        if len(queries) > 1:
            click.echo(f"{query}\n")
        for rank, hit in enumerate(hits, 1):
            _show(rank, hit, full=flags["full"])
        if not hits:
            click.echo("nothing found")


def retriever_of(target: str, way: str | None, name: str | None, opened: ExitStack) -> Retriever:
    """Return what searches a folder or a file; `opened` closes it.

    Raises:
        ConfigError: a way of a file, a retriever of a folder, or none where there are several.
        ModelError: the folder holds no index.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.retrieve.hybrid import Hybrid
    from pilotfish.retrieve.index import Index

    if target.endswith(".toml"):
        from pilotfish.assemble import Collaboration

        if way is not None:
            raise ConfigError(f"--way is of an index's folder; say which retriever of {target} by --retriever")
        return Collaboration.load(target).retriever(name)
    if name is not None:
        raise ConfigError(f"--retriever is of a file; say which way of {target} by --way")
    index = opened.enter_context(Index.open(target))
    ways = list(dict.fromkeys(way.split("+"))) if way is not None else index.ways
    parts = [index.retriever(one.strip()) for one in ways]
    return parts[0] if len(parts) == 1 else Hybrid(parts, name="+".join(part.name for part in parts))


def _plain(hit: Hit) -> dict[str, Any]:
    one = hit.passage
    told: dict[str, Any] = {
        "id": one.id,
        "score": hit.score,
        "document": one.document,
        "start": one.start,
        "end": one.end,
    }
    if hit.parts:
        told["parts"] = dict(hit.parts)
    return told | {"title": one.title, "text": one.text, "fields": dict(one.fields)}


def _show(rank: int, hit: Hit, *, full: bool) -> None:
    one = hit.passage
    parts = ", ".join(f"{name} {score:.3f}" for name, score in hit.parts.items())
    click.echo(f"{rank}. {one.id}  {hit.score:.3f}{f' ({parts})' if parts else ''}")
    text = " ".join(one.searched.split())
    shown = text if full or len(text) <= _SHOWN else f"{text[:_SHOWN].rsplit(' ', 1)[0]} …"
    click.echo(f"   {shown}\n")
