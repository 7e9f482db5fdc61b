"""`pilotfish index`: documents as an index, changed in place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pilotfish.cli._common import FORMATS, RunsFile, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.retrieve.collection import Added
    from pilotfish.retrieve.documents import Document
    from pilotfish.retrieve.index import Index
    from pilotfish.rows import Rejects

__all__ = ["command"]


class _Builds(RunsFile):
    run = "build"


@click.group("index", cls=_Builds)
def command() -> None:
    """Make documents searchable, by words, by meaning, or both.

    `pilotfish index DOCS --out FOLDER` is short for `pilotfish index build DOCS --out FOLDER`. `add` takes further or
    changed documents in, `delete` takes some out, `info` says what is there; `pilotfish search` finds.
    """


def _documents_options(function: Any) -> Any:
    for option in (
        click.option("--rejects", "rejects_file", help="Where rows that cannot be read go, a JSONL file."),
        click.option("--strict", is_flag=True, help="Stop at the first bad row rather than rejecting it."),
        click.option("--encoding", help="Of text files, such as latin-1; UTF-8 otherwise."),
        click.option("--format", "format_", help=f"Of the rows: {FORMATS}; told by the name otherwise."),
        click.option("--title", default="title", show_default=True, help="Of rows: the column of titles."),
        click.option("--text", default="text", show_default=True, help="Of rows: the column of texts."),
        click.option("--id", "id_", default="id", show_default=True, help="Of rows: the column of ids."),
        click.option("--mirror", is_flag=True, help="Take out the documents that DOCS has no longer."),
    ):
        function = option(function)
    return function


@command.command(_Builds.run)
@click.argument("docs")
@click.option("--out", help="The index's folder.")
@click.option("--index", "only", help="Of a file: one of its [indexes]; all of them otherwise.")
@click.option("--ways", default="bm25,dense", show_default=True, help="How it is searched: bm25, dense, sparse, late.")
@click.option("--encoder", help="Of dense: an encoder's weights.  [default: all-minilm-l6-v2]")
@click.option("--sparse-encoder", help="Of sparse: weights of a SPLADE-like model.")
@click.option("--late-encoder", help="Of late: weights of a late-interaction model, or of an encoder.")
@click.option(
    "--search", type=click.Choice(["exact", "graph"]), default="exact", help="Of dense: compare all, or a graph."
)
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", help="Of dense: on disk.")
@click.option("--query-prefix", default="", help='Of dense: before each query, as "query: ".')
@click.option("--passage-prefix", default="", help='Of dense: before each passage, as "passage: ".')
@click.option("--idf-queries", is_flag=True, help="Of sparse: weigh queries without the model, by how rare words are.")
@click.option("--method", default="lucene", help="Of bm25: lucene, robertson, atire, bm25l, bm25+.")
@click.option("--k1", type=float, default=1.5, show_default=True, help="Of bm25.")
@click.option("--b", type=float, default=0.75, show_default=True, help="Of bm25.")
@click.option("--stemmer", default="english", show_default=True, help="Of bm25: a language, or none.")
@click.option("--stop-words", default="english", show_default=True, help="Of bm25: a language, or none.")
@click.option("--chunk", help="Cut documents: 200t (tokens), 120w (words), 5s (sentences), 1000c (characters).")
@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True, help="Of passages, in the same unit.")
@click.option("--language", default="en", show_default=True, help="Of sentences.")
@_documents_options
def build(docs: str, **flags: Any) -> None:
    """Take DOCS into a new index: rows with a text, a folder of .txt and .md files, or TREC's <doc> elements.

    DOCS may be a collaboration file: its [indexes] then say where their documents are, and how they are searched. A
    build that was stopped goes on by the same command. Documents that are there already are not read by any model
    again; one that is there with another text takes its place.
    """
    from pilotfish.retrieve._ways import Encoders
    from pilotfish.retrieve.index import Index

    if docs.endswith(".toml"):
        _of_file(docs, flags)
        return
    if flags["out"] is None:
        raise click.UsageError("--out is missing: the index's folder", click.get_current_context())
    encoders = Encoders(flags["encoder"], flags["sparse_encoder"], flags["late_encoder"])
    with Index.create(flags["out"], _ways(flags), chunks=_chunks(flags), encoders=encoders) as index:
        _add(index, docs, flags)


@command.command("add")
@click.argument("folder")
@click.argument("docs")
@_documents_options
def add(folder: str, docs: str, **flags: Any) -> None:
    """Take DOCS into the index in FOLDER; an id that is there gets its new text."""
    from pilotfish.retrieve.index import Index

    with Index.open(folder) as index:
        _add(index, docs, flags)


@command.command("delete")
@click.argument("folder")
@click.argument("ids", nargs=-1, required=True)
def delete(folder: str, ids: tuple[str, ...]) -> None:
    """Take the documents of these IDS out of the index in FOLDER: all of them, or none where one is not there."""
    from pilotfish.retrieve.index import Index

    with Index.open(folder) as index:
        gone = index.delete(ids)
        say(f"{len(dict.fromkeys(ids)):,} documents ({gone:,} passages) deleted; {len(index):,} passages left")


@command.command("info")
@click.argument("folder")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(folder: str, as_json: bool) -> None:
    """Say what the index in FOLDER holds, how it is searched, and how much room each way takes."""
    from pilotfish.retrieve.index import Index

    with Index.open(folder) as index:
        told = index.info()
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    cut = told["chunks"]
    how = "whole" if cut["unit"] == "whole" else f"{cut['size']} {cut['unit']}, {cut['overlap']} of them twice"
    click.echo(f"documents  {told['documents']:,}")
    click.echo(f"passages   {told['passages']:,} ({how}); {told['deleted']:,} deleted")
    for name, size in told["bytes"].items():
        model = told["ways"].get(name, {}).get("weights", "")
        each = f", {size / told['passages']:,.0f} bytes a passage" if told["passages"] else ""
        click.echo(f"{name:<10} {size / 1e6:,.1f} MB{each}{f', {model}' if model else ''}")


def _of_file(file: str, flags: dict[str, Any]) -> None:
    """Make the indexes of a collaboration file.

    Raises:
        ConfigError: it has none, or one does not say where its documents are.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.errors import ConfigError

    given = click.get_current_context().get_parameter_source
    of_any = ("only", "mirror", "strict", "rejects_file", "format_", "encoding")
    said = [name for name in flags if name not in of_any and given(name) is ParameterSource.COMMANDLINE]
    if said:
        raise ConfigError(f"--{said[0].rstrip('_').replace('_', '-')}: {file} says how its indexes are made")
    models = Collaboration.load(file)
    tables = models.retrieval.indexes if models.retrieval is not None else {}
    if not tables:
        raise ConfigError(f"{file}: no [indexes] in it; each is a table such as [indexes.docs]")
    for name in tables if flags["only"] is None else [flags["only"]]:
        index = models.index(name, new=True)
        spec = tables[name]
        if spec.documents is None:
            raise ConfigError(f"{file}: [indexes.{name}]: the key 'documents' is missing: where they are")
        columns = {"text": spec.text, "title": spec.title, "id_": spec.id}
        _add(index, str(models.folder / spec.documents), flags | columns)


def _ways(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the ways with the settings that the flags say."""
    from pilotfish.retrieve.bm25 import Words
    from pilotfish.retrieve.dense import Vectors
    from pilotfish.retrieve.sparse import Lists

    def language(name: str) -> str | None:
        return None if flags[name] == "none" else flags[name]

    known: dict[str, Any] = {
        "bm25": lambda: Words(
            method=flags["method"],
            k1=flags["k1"],
            b=flags["b"],
            stemmer=language("stemmer"),
            stop_words=language("stop_words"),
        ),
        "dense": lambda: Vectors(
            dtype=flags["dtype"],
            search=flags["search"],
            query_prefix=flags["query_prefix"],
            passage_prefix=flags["passage_prefix"],
        ),
        "sparse": lambda: Lists("idf" if flags["idf_queries"] else "model"),
    }
    names = [name.strip() for name in flags["ways"].split(",") if name.strip()]
    return {name: known[name]() if name in known else None for name in names}


def _chunks(flags: dict[str, Any]) -> Any:
    """Return how documents are cut.

    Raises:
        ConfigError: not a number and a unit.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.retrieve.chunk import Chunks

    said = flags["chunk"]
    if said is None:
        if flags["overlap"]:
            raise ConfigError("--overlap is of --chunk, which is not there")
        return Chunks(language=flags["language"])
    units = {"t": "tokens", "w": "words", "s": "sentences", "c": "characters"}
    if said[-1:] not in units or not said[:-1].isdigit():
        raise ConfigError(f"--chunk is a number and t, w, s or c (tokens, words, sentences, characters), not {said!r}")
    return Chunks(units[said[-1]], int(said[:-1]), flags["overlap"], flags["language"])  # type: ignore[arg-type]


def _add(index: Index, docs: str, flags: dict[str, Any]) -> None:
    import time

    from pilotfish.retrieve.documents import documents
    from pilotfish.rows import Rejects

    rejects = None if flags["strict"] else Rejects(flags["rejects_file"])
    read = documents(
        docs,
        text=flags["text"],
        title=flags["title"],
        id=flags["id_"],
        rejects=rejects,
        format=flags["format_"],
        encoding=flags["encoding"],
    )
    started, names = time.monotonic(), set[str]()

    def noted() -> Iterator[Document]:
        for document in read:
            names.add(document.id)
            yield document

    added = index.add(noted() if flags["mirror"] else read, progress=True)
    _tell(added, index, time.monotonic() - started, rejects)
    if flags["mirror"]:
        _mirror(index, names, rejects)


def _mirror(index: Index, names: set[str], rejects: Rejects | None) -> None:
    """Take out what is not named, unless a row that could not be read might have named it."""
    if rejects is not None and len(rejects):
        say("nothing was taken out: a row that could not be read may be one of them; mend it and run again")
        return
    before = index.collection.documents
    gone = index.keep(names)
    say(f"{before - index.collection.documents:,} documents ({gone:,} passages) taken out")


def _tell(added: Added, index: Index, seconds: float, rejects: Rejects | None) -> None:
    if rejects is not None:
        say_rejects(rejects)
    say(
        f"{added.new:,} documents new, {added.changed:,} changed, {added.same:,} as they were; {added.passages:,} "
        f"passages taken in, {len(index):,} in {Path(index.folder)} ({seconds:,.0f} s)"
    )
