"""`pilotfish entities`: a knowledge base of entities, built, changed and searched; mentions linked to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.compete.entities import EntityBase, Linker, Mention
    from pilotfish.compete.entities.entity import Entity
    from pilotfish.rows import Rejects

__all__ = ["command"]


@click.group("entities")
def command() -> None:
    """Find the entities of your own knowledge base, and link what texts speak of to them.

    `build` makes a base of rows {id, name, aliases, types, description}; `add` and `remove` change it, and nothing is
    trained for that. `search` finds, `link` decides what mentions are of, `learn` teaches it on your answers, `score`
    measures it, `split` finds which mentions a large model must see.
    """


def _entities(src: str, flags: dict[str, Any], rejects: Rejects) -> Iterator[Entity]:
    from pilotfish.compete.entities import entities

    options = {"format": flags["format_"], "encoding": flags["encoding"]}
    return entities(src, rejects=None if flags["strict"] else rejects, **options)


def _take_in(base: EntityBase, src: str, flags: dict[str, Any]) -> None:
    from pilotfish.rows import Rejects

    rejects = Rejects(flags["rejects_file"])
    added = base.add(_entities(src, flags, rejects), progress=True)
    say_rejects(rejects)
    say(
        f"{added.new:,} entities new, {added.changed:,} changed, {added.same:,} as they were; {len(base):,} in "
        f"{base.folder}"
    )


_rejects = click.option("--rejects", "rejects_file", help="Where rows that are no entity go, a JSONL file.")


@command.command("build")
@click.argument("rows")
@click.option("--out", required=True, help="The base's folder.")
@click.option("--ways", default="bm25,dense", show_default=True, help="Beside names: bm25, dense, sparse, late.")
@click.option("--encoder", help="Of dense: an encoder's weights.  [default: all-minilm-l6-v2]")
@click.option("--sparse-encoder", help="Of sparse: weights of a SPLADE-like model.")
@click.option("--late-encoder", help="Of late: weights of a late-interaction model, or of an encoder.")
@click.option(
    "--search", type=click.Choice(["exact", "graph"]), default="exact", help="Of dense: compare all, or a graph."
)
@_rejects
@format_options
def build(rows: str, **flags: Any) -> None:
    """Make a base of the entities in ROWS; a build that was stopped goes on by the same command."""
    from pilotfish.compete.entities import EntityBase
    from pilotfish.retrieve import Encoders
    from pilotfish.retrieve.dense import Vectors

    encoders = Encoders(flags["encoder"], flags["sparse_encoder"], flags["late_encoder"])
    names = [name.strip() for name in flags["ways"].split(",") if name.strip()]
    ways = {name: Vectors(search=flags["search"]) if name == "dense" else None for name in names}
    with EntityBase.create(flags["out"], ways, encoders=encoders) as base:
        _take_in(base, rows, flags)


@command.command("add")
@click.argument("base")
@click.argument("rows")
@_rejects
@format_options
def add(base: str, rows: str, **flags: Any) -> None:
    """Take the entities in ROWS into BASE; an id that is there gets its new row."""
    from pilotfish.compete.entities import EntityBase

    with EntityBase.open(base) as opened:
        _take_in(opened, rows, flags)


@command.command("remove")
@click.argument("base")
@click.argument("ids", nargs=-1, required=True)
def remove(base: str, ids: tuple[str, ...]) -> None:
    """Take entities out of BASE by their IDS; none goes where one is not there."""
    from pilotfish.compete.entities import EntityBase

    with EntityBase.open(base) as opened:
        gone = opened.remove(ids)
        say(f"{gone:,} entities removed; {len(opened):,} left")


@command.command("search")
@click.argument("base")
@click.argument("queries", nargs=-1, required=True)
@click.option("--ways", help="names, bm25, dense, sparse, late, with commas between; all that it has otherwise.")
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many entities a query.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a query.")
def search(base: str, queries: tuple[str, ...], ways: str | None, k: int, as_json: bool) -> None:
    """Find the entities of BASE for QUERIES: names, misspelt ones too, or descriptions."""
    from pilotfish.compete.entities import EntityBase
    from pilotfish.compete.entities.base import entity_of

    with EntityBase.open(base) as opened:
        found = opened.search(queries, k, _named(ways))
    for query, hits in zip(queries, found, strict=True):
        shown = [(entity_of(hit.passage), hit) for hit in hits]
        if as_json:
            told = [{**entity.to_json(), "score": hit.score, "parts": dict(hit.parts)} for entity, hit in shown]
            click.echo(json.dumps({"query": query, "entities": told}, ensure_ascii=False))
            continue
        if len(queries) > 1:
            click.echo(f"{query}\n")
        for rank, (entity, hit) in enumerate(shown, 1):
            click.echo(f"{rank}. {entity.id}  {hit.score:.3f}  {' '.join(entity.text.split())[:200]}")
        if not shown:
            click.echo("nothing found")


@command.command("link")
@click.argument("base")
@click.argument("src")
@click.option("--linker", help="A folder that `pilotfish entities learn` wrote; the usual weights otherwise.")
@click.option("--ways", help="Without --linker: the ways that are asked.")
@click.option("--text", is_flag=True, help="SRC is a text itself, [[mentions]] marked or not.")
@click.option("-n", "candidates", type=click.IntRange(0), default=3, show_default=True, help="Candidates shown.")
@format_options
def link(base: str, src: str, **flags: Any) -> None:
    """Say which entity of BASE each mention of SRC is of, or null: one line of JSON a mention.

    SRC has rows with `text` and `start`, `end` or `mention`, or texts with [[marks]] in `text`; a text without any
    gets those mentions that are names of the base.
    """
    from pilotfish.compete.entities import EntityBase
    from pilotfish.rows import Rejects

    rejects = Rejects(None)
    rows = [{"text": src}] if flags.pop("text") else None
    given = {name: flags[name] for name in ("strict", "encoding", "format_")}
    with EntityBase.open(base) as opened:
        linker = _linker(opened, flags)
        for row in rows if rows is not None else read_rows(src, rejects, **given):
            for one in linker.link(_mentions(row, opened)):
                told = zip(one.candidates, one.chances.tolist(), strict=True)
                shown = [{"id": entity.id, "name": entity.name, "probability": chance} for entity, chance in told]
                entity = one.entity
                line = {
                    "mention": one.mention.surface,
                    "start": one.mention.start,
                    "end": one.mention.end,
                    "id": None if entity is None else entity.id,
                    "name": None if entity is None else entity.name,
                    "probability": one.probability,
                    "candidates": shown[: flags["candidates"]],
                }
                click.echo(json.dumps(line, ensure_ascii=False))
    say_rejects(rejects)


@command.command("learn")
@click.argument("base")
@click.argument("rows")
@click.option("--out", required=True, help="The linker's folder.")
@click.option("--ways", help="names, bm25, dense, sparse, late, with commas between; all that it has otherwise.")
@click.option(
    "--entity", "column", default="entity", show_default=True, help="The column of ids; null is none of them."
)
@click.option("--precision", type=float, help="Of the links that it makes, so many are right; the best F1 otherwise.")
@click.option("--risk", type=float, default=0.1, show_default=True, help="That the precision does not hold.")
@click.option("-k", "k", type=click.IntRange(1), default=16, show_default=True, help="Candidates a mention gets.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the parts: three fifths, a fifth, a fifth.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@format_options
def learn(base: str, rows: str, **flags: Any) -> None:
    """Learn how to link mentions to BASE from ROWS: mentions with the id of the entity that is meant, or null.

    Three fifths teach the weights, a fifth the threshold and what is easy, a fifth tells how well it links.
    """
    from pilotfish.compete.entities import EntityBase, Linker, reported
    from pilotfish.rows.split import split

    told = _answers(rows, flags)
    parts = split(len(told), {"train": 0.6, "tune": 0.2, "test": 0.2}, flags["seed"])
    learnt, tune, test = ([told[place] for place in parts[name]] for name in ("train", "tune", "test"))
    with EntityBase.open(base) as opened:
        linker = Linker(opened, ways=_named(flags["ways"]), k=flags["k"]).fit(learnt)
        linker.calibrate(tune, precision=flags["precision"], risk=flags["risk"])
        linker.save(flags["out"])
        report = reported(linker.link([mention for mention, _ in test]), [gold for _, gold in test])
    click.echo(json.dumps(report.to_json()) if flags["as_json"] else str(report))
    said = f"learnt from {len(learnt):,} mentions, the threshold {linker.threshold_:.3f} from {len(tune):,}"
    say(f"{said}: {flags['out']}")


@command.command("score")
@click.argument("base")
@click.argument("rows")
@click.option("--linker", help="A folder that `pilotfish entities learn` wrote; the usual weights otherwise.")
@click.option("--ways", help="Without --linker: the ways that are asked.")
@click.option(
    "--entity", "column", default="entity", show_default=True, help="The column of ids; null is none of them."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@format_options
def score(base: str, rows: str, **flags: Any) -> None:
    """Measure how well mentions in ROWS are linked to BASE, with intervals."""
    from pilotfish.compete.entities import EntityBase, reported

    told = _answers(rows, flags)
    with EntityBase.open(base) as opened:
        linked = _linker(opened, flags).link([mention for mention, _ in told])
    report = reported(linked, [gold for _, gold in told])
    click.echo(json.dumps(report.to_json()) if flags["as_json"] else str(report))


@command.command("split")
@click.argument("file")
@click.argument("rows")
@click.option(
    "--model", "model", help='Of the file: one with `use = "linked"` and a large model.  [default: its default]'
)
@click.option("--accuracy", type=float, required=True, help="The share of the mentions that is to be right.")
@click.option("--risk", type=float, default=0.1, show_default=True, help="That it is not kept.")
@click.option(
    "--entity", "column", default="entity", show_default=True, help="The column of ids; null is none of them."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the two halves: to choose, and to tell.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@format_options
def split_(file: str, rows: str, **flags: Any) -> None:
    """Find which mentions the large model of FILE must see, for an accuracy, on ROWS that taught nothing.

    Both linkers are asked about every mention. Half of them choose `above`, the other half tells what it does.
    """
    import asyncio

    from pilotfish.assemble import Collaboration
    from pilotfish.compete.entities import LinkedModel, tried
    from pilotfish.errors import ConfigError
    from pilotfish.rows.split import split

    told = _answers(rows, flags)
    model = Collaboration.load(file).model(flags["model"])
    if not isinstance(model, LinkedModel) or model.large is None:
        raise ConfigError(f'{file}: {flags["model"] or "its default"}: not a model with use = "linked" and a large one')
    parts = split(len(told), {"train": 0.5, "test": 0.5}, flags["seed"])
    trial = asyncio.run(tried(model, told))
    above = trial.take(parts["train"]).reaching(flags["accuracy"], flags["risk"])
    found = trial.take(parts["test"]).at(above)
    finite = None if abs(above) == float("inf") else above
    if flags["as_json"]:
        whole = {"above": finite, "unread": trial.unread} | {name: one.to_json() for name, one in found.items()}
        click.echo(json.dumps(whole))
        return
    said = "never ask the large model" if above == -float("inf") else "ask it every time"
    click.echo(f"above         {above:.4f}" if finite is not None else f"above         {said}")
    for name, one in found.items():
        click.echo(f"{name:<13} {one:.3f}")
    if trial.unread:
        say(f"{trial.unread:,} of {len(trial):,} answers of the large model named no candidate")


def _named(ways: str | None) -> list[str] | None:
    return None if ways is None else [way.strip() for way in ways.split(",") if way.strip()]


def _linker(base: EntityBase, flags: dict[str, Any]) -> Linker:
    from pilotfish.compete.entities import Linker

    if flags["linker"] is not None:
        return Linker.load(flags["linker"], base)
    return Linker(base, ways=_named(flags["ways"]))


def _mentions(row: Any, base: EntityBase) -> list[Mention]:
    """Return the mentions of a row, of whatever form."""
    from pilotfish.compete.entities import Mention, marked
    from pilotfish.compete.entities.spots import spotted

    if not isinstance(row.get("text"), str) or "start" in row or "mention" in row:
        return [Mention.of_row(row)]
    text, mentions = marked(row["text"])
    return mentions or spotted(text, base.names.known())


def _answers(rows: str, flags: dict[str, Any]) -> list[tuple[Mention, str | None]]:
    from pilotfish.compete.entities import asked_by
    from pilotfish.rows import Rejects

    rejects = Rejects(None)
    given = {name: flags[name] for name in ("strict", "encoding", "format_")}
    told = asked_by(list(read_rows(rows, rejects, **given)), str(Path(rows)), flags["column"])
    say_rejects(rejects)
    return told
