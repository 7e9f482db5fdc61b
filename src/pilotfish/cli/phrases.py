"""`pilotfish phrases`: an encoder taught on the user's phrases, and what such vectors are for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, rows_with_text, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.compete.phrases import WithCharacters
    from pilotfish.models.encoder import Encoder

__all__ = ["command"]

POOLINGS = ["own", "mean", "cls", "max", "first-last", "last-2", "last-4"]


def _encoder_options(function: Any) -> Any:
    for option in (
        click.option("--pooling", type=click.Choice(POOLINGS), default="own", show_default=True, help="Of its states."),
        click.option(
            "-e", "--encoder", default="all-minilm-l6-v2", show_default=True, help="Weights, or what `learn` wrote."
        ),
    ):
        function = option(function)
    return function


def _source_options(function: Any) -> Any:
    function = click.option("--rejects", "rejects_file", help="Where rows go that cannot be read, a JSONL file.")(
        function
    )
    return click.option("--text", default="phrase", show_default=True, help="The column of phrases.")(
        format_options(function)
    )


@click.group("phrases")
def command() -> None:
    """Vectors of phrases by a small encoder: teach it yours, compare, group and find them."""


@command.command("learn")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def learn(file: str, as_json: bool) -> None:
    """Teach an encoder the phrases of your texts, as [phrases] of FILE says.

    Pairs are found in the texts, or written by a model, each call paid for once. The folder's `encoder` is one that
    every `encoder = ...` takes. The same command goes on where a stopped run was.
    """
    import shutil

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_phrases import learn as learnt
    from pilotfish.errors import ConfigError
    from pilotfish.rows._lock import locked

    models = Collaboration.load(file)
    if models.phrases is None:
        raise ConfigError(f"{file}: no [phrases] table: it says what is learnt from")
    out = models.folder / models.phrases.out
    try:
        with locked(out):
            found = learnt(models, models.phrases)
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on where it was, in {out}") from None
    if as_json:
        told = found.taught.to_json() | {"pooling": found.choice.pooling if found.choice else models.phrases.pooling}
        click.echo(json.dumps(told))
        return
    if found.mined is not None:
        say(f"found {found.mined}")
    if found.written is not None:
        bill = found.written.bill
        cost = "" if not bill.cost else f", ${bill.cost:.4f}"
        say(f"written {len(found.written.pairs):,} pairs by {bill.calls:,} calls{cost}")
    if found.choice is not None:
        say(str(found.choice))
    say(f"{found.taught}; the encoder is in {out / 'encoder'}")


@command.command("similar")
@click.argument("phrase")
@click.argument("others", nargs=-1, required=True)
@_encoder_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def similar(phrase: str, others: tuple[str, ...], encoder: str, pooling: str, as_json: bool) -> None:
    """Say how near OTHERS are to PHRASE: cosines, the nearest first."""
    from pilotfish.compete.phrases import cosines

    found = cosines(_vectors(encoder, pooling), [(phrase, other) for other in others])
    ranked = sorted(zip(others, found.tolist(), strict=True), key=lambda one: -one[1])
    if as_json:
        click.echo(json.dumps({"phrase": phrase, "similar": dict(ranked)}, ensure_ascii=False))
        return
    for other, cosine in ranked:
        click.echo(f"{cosine:6.3f}  {other}")


@command.command("cluster")
@click.argument("src")
@_source_options
@_encoder_options
@click.option("--distance", type=float, help="1 - cosine up to which two groups are one.  [default: 0.4]")
@click.option("--count", type=click.IntRange(1), help="How many groups, rather than a distance.")
@click.option("--method", type=click.Choice(["agglomerative", "k-means"]), default="agglomerative", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a group.")
def cluster(src: str, **flags: Any) -> None:
    """Group the phrases of SRC by meaning; each group is named by the phrase in its middle."""
    from pilotfish.compete.phrases import clusters_of

    distance, count = flags["distance"], flags["count"]
    if distance is None and count is None:
        distance = 0.4
    found = clusters_of(
        _vectors(flags["encoder"], flags["pooling"]),
        _phrases(src, flags),
        count=count,
        distance=distance,
        method=flags["method"],
    )
    for one in found:
        if flags["as_json"]:
            told = {"name": one.name, "closeness": one.closeness, "phrases": one.phrases}
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            click.echo(f"{one.name} ({len(one.phrases)}, {one.closeness:.3f}): {', '.join(one.phrases)}")


@command.command("search")
@click.argument("src")
@click.argument("queries", nargs=-1, required=True)
@_source_options
@_encoder_options
@click.option("--index", "folder", required=True, help="The index's folder; phrases that are there stay unread.")
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many phrases a query.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a query.")
def search(src: str, queries: tuple[str, ...], **flags: Any) -> None:
    """Find the phrases of SRC that are nearest to QUERIES; they are kept as an index, which grows with SRC."""
    from pilotfish.compete.phrases import phrase_index

    encoder = _vectors(flags["encoder"], flags["pooling"])
    with phrase_index(flags["folder"], _phrases(src, flags), encoder, progress=True) as index:
        found = index.retriever("dense").search(queries, flags["k"])
    for query, hits in zip(queries, found, strict=True):
        if flags["as_json"]:
            near = {hit.passage.text: hit.score for hit in hits}
            click.echo(json.dumps({"query": query, "phrases": near}, ensure_ascii=False))
            continue
        if len(queries) > 1:
            click.echo(query)
        for hit in hits:
            click.echo(f"{hit.score:6.3f}  {hit.passage.text}")


def _vectors(weights: str, pooling: str) -> Encoder | WithCharacters:
    from pilotfish.assemble._build_phrases import vectors_of

    return vectors_of(weights, pooling)


def _phrases(src: str, flags: dict[str, Any]) -> list[str]:
    from pilotfish.rows import Rejects

    rejects = Rejects(flags["rejects_file"])
    options = {name: flags[name] for name in ("strict", "encoding", "format_")}
    rows = rows_with_text(src, rejects, flags["text"], **options)
    say_rejects(rejects)
    return [row[flags["text"]] for row in rows]
