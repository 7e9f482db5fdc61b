"""`pilotfish rows decontaminate`: take out of training rows what test sets have touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pilotfish.cli._common import format_options, rows_with_text, say, say_rejects
from pilotfish.cli._rows_files import (
    REJECTS,
    TO,
    check_json,
    keep_removed,
    rejects_of,
    removed_option,
    report_options,
    shown,
    tell,
    vectors_of,
)

__all__ = ["decontaminate"]


@click.command("decontaminate")
@click.argument("src")
@click.argument("dst")
@click.option("--text", required=True, help="The column of SRC that is compared.")
@click.option("--test", "tests", multiple=True, required=True, help="A file of test rows; again for each test set.")
@click.option("--test-text", help="The column of the test sets that is compared.  [default: that of --text]")
@click.option(
    "--ngram",
    type=click.IntRange(0, 64),
    default=13,
    show_default=True,
    help="Words in a row that both must share; 0 does not look for them.",
)
@click.option(
    "--shortest",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="A text of fewer words than an n-gram, but at least these, must stand in the other one as a whole.",
)
@click.option("--common", type=click.IntRange(1), help="N-grams in more rows of SRC than this do not count.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="The least similarity (Jaccard, of character trigrams) of near rows; 0 does not look for them.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "minhash"]),
    default="auto",
    show_default=True,
    help="How near rows are found; as for dedupe.",
)
@click.option("--encoder", help="Compare meanings too: the vectors of this encoder.")
@click.option(
    "--cosine",
    type=click.FloatRange(0, 1, min_open=True),
    help="With --encoder: the least cosine.  [default: 0.95]",
)
@report_options
@click.option("--to", help=TO)
@removed_option
@click.option("--rejects", "rejects_file", help=REJECTS)
@format_options
def decontaminate(
    src: str,
    dst: str,
    text: str,
    tests: tuple[str, ...],
    test_text: str | None,
    ngram: int,
    shortest: int,
    common: int | None,
    threshold: float,
    method: str,
    encoder: str | None,
    cosine: float | None,
    report: str | None,
    as_json: bool,
    to: str | None,
    removed_file: str | None,
    rejects_file: str | None,
    **options: Any,
) -> None:
    """Write the rows of SRC to DST without those that hold, stand in, or nearly say a test row.

    --format and --encoding are of SRC; those of the test sets are told by their names.
    """
    from pilotfish.cli._target import check_target, put
    from pilotfish.errors import ConfigError
    from pilotfish.rows import Rejects
    from pilotfish.rows._progress import Progress
    from pilotfish.rows.decontaminate import decontaminate as cleaned

    check_target(dst, to)
    check_json(dst, as_json)
    if cosine is not None and encoder is None:
        raise ConfigError("--cosine needs --encoder: whose vectors it compares")
    if common is not None and not ngram:
        raise ConfigError("--common does not go with --ngram 0: there are no n-grams to count")
    if Path(src).resolve() in {Path(test).resolve() for test in tests}:
        raise ConfigError(f"{src}: both the rows and a test set")
    with rejects_of(rejects_file, src, dst) as rejects, rejects_of(removed_file, src, dst, "removed") as removed:
        held: dict[str, list[str]] = {}
        for test in tests:
            left_out, column = Rejects(), test_text or text
            plain = {"format_": None, "encoding": None, "strict": options["strict"]}
            held[test] = [row[column] for row in rows_with_text(test, left_out, column, **plain)]
            if len(left_out):
                say(f"{test}: {left_out.summary()}")
        rows = rows_with_text(src, rejects, text, **options)
        texts = [row[text] for row in rows]
        vectors = vectors_of(encoder, texts) if encoder is not None else None
        test_vectors = {name: vectors_of(encoder, held[name], name) for name in held} if encoder is not None else None
        with Progress(len(texts) * len(held), shown=len(texts) > 20_000, unit="rows looked up") as bar:
            found = cleaned(
                texts,
                held,
                ngram=ngram or None,
                shortest=shortest,
                common=common,
                threshold=threshold or None,
                method=method,
                vectors=vectors,
                test_vectors=test_vectors,
                cosine=cosine or 0.95,
                progress=bar.add,
            )
        put([rows[place] for place in found.keep], dst, to)
        data = found.to_json()
        for name, counts in data["tests"].items():
            ways = ", ".join(f"{counts[how]:,} {what}" for how, what in _WAYS.items() if counts[how])
            say(
                f"{name}: {counts['removed']:,} rows removed{f' ({ways})' if ways else ''}; "
                f"{counts['touched']:,} of its {counts['rows']:,} rows touched"
            )
        keep_removed(removed, src, rows, ((row, hit.reason) for row, hit in found.first.items()))
        tell(data, report, as_json)
        say(f"{len(found.keep):,} of {len(rows):,} rows in {shown(dst)}")
        say_rejects(rejects)


_WAYS = {"ngram": "by n-grams", "near": "near", "vector": "by vectors"}
