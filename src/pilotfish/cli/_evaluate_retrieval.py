"""`pilotfish evaluate retrieval`: what retrievers find, judged by people's judgements."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from pilotfish.retrieve.evaluate import Quality

__all__ = ["retrieval_command"]


@click.command("retrieval")
@click.argument("target")
@click.argument("queries")
@click.argument("qrels")
@click.option("--way", "ways", multiple=True, help="Of an index: bm25, dense, bm25+dense ...; repeatable, compared.")
@click.option("--retriever", "retrievers", multiple=True, help="Of a file: one of its [retrievers]; repeatable.")
@click.option(
    "--metric", "metrics", multiple=True, help="ndcg@10, ndcg-exp@10, recall@100, precision@5, mrr@10, map, success@1."
)
@click.option("-k", "k", type=click.IntRange(1), default=100, show_default=True, help="Passages asked for a query.")
@click.option("--id", "id_", default="id", show_default=True, help="Of rows of queries: the column of names.")
@click.option("--text", default="text", show_default=True, help="Of rows of queries: the column of texts.")
@click.option("--ordinal", is_flag=True, help="Judgements name queries by their places, from 1, as Cranfield's do.")
@click.option("--run", "run_file", help="Write what the first one found into this TREC run file.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, those of each query too.")
def retrieval_command(target: str, queries: str, qrels: str, **flags: Any) -> None:
    """Judge what TARGET, an index's folder or a collaboration file, finds for QUERIES by the judgements in QRELS.

    QUERIES are rows with an id and a text, or TREC's <top> elements; QRELS is TREC's file of `query 0 document grade`.
    Each figure is a mean over queries with its interval; of several ways the further ones are compared with the first,
    query by query. Without any, each way of an index and all of them joined are judged.
    """
    from pilotfish.cli.search import retriever_of
    from pilotfish.retrieve.evaluate import METRICS, evaluated, queries_of
    from pilotfish.retrieve.index import Index
    from pilotfish.rows._progress import Progress
    from pilotfish.rows.qrels import read_qrels, write_run

    asked = queries_of(queries, id=flags["id_"], text=flags["text"], ordinal=flags["ordinal"])
    held = read_qrels(qrels)
    metrics = tuple(dict.fromkeys(flags["metrics"])) or METRICS
    names: list[tuple[str | None, str | None]] = [(way, None) for way in flags["ways"]]
    names += [(None, name) for name in flags["retrievers"]]
    found: list[Quality] = []
    with ExitStack() as opened:
        if not names and not target.endswith(".toml"):
            ways = opened.enter_context(Index.open(target)).ways
            names = [(way, None) for way in ([*ways, "+".join(ways)] if len(ways) > 1 else ways)]
        for way, name in names or [(None, None)]:
            retriever = retriever_of(target, way, name, opened)
            with Progress(len(asked), unit=f"queries of {retriever.name}") as bar:
                quality, run = evaluated(
                    retriever, asked, held, metrics, k=flags["k"], seed=flags["seed"], progress=bar.add
                )
            if not found and flags["run_file"] is not None:
                write_run(Path(flags["run_file"]), run, retriever.name.replace(" ", "-"))
            found.append(quality)
    for note in found[0].notes:
        say(note)
    if flags["as_json"]:
        told = [
            one.to_json() | ({"above_first": _above(one, found[0])} if one is not found[0] else {}) for one in found
        ]
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _tell(found)


def _above(one: Quality, first: Quality) -> dict[str, Any]:
    return {metric: one.above(first, metric).to_json() for metric in one.values}


def _tell(found: list[Quality]) -> None:
    from rich.console import Console
    from rich.table import Table

    metrics = list(found[0].values)
    table = Table(title=f"{len(found[0].queries):,} queries", title_justify="left", box=None)
    table.add_column("")
    for metric in metrics:
        table.add_column(metric)
    for place, one in enumerate(found):
        table.add_row(one.system, *(str(one.mean(metric)) for metric in metrics))
        if place:
            gaps = [one.above(found[0], metric) for metric in metrics]
            table.add_row(f"  above {found[0].system}", *(f"{gap:+.3f}" for gap in gaps), style="dim")
    Console().print(table)
