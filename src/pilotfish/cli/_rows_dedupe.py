"""`pilotfish rows dedupe`: by n-grams, exactly or by MinHash, by vectors, or against an index of what came before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

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
    tell_duplicates,
    vectors_of,
)

if TYPE_CHECKING:
    from pilotfish.rows.dedupe import Duplicates
    from pilotfish.rows.minhash import MinHashIndex

__all__ = ["dedupe"]


@click.command("dedupe")
@click.argument("src")
@click.argument("dst")
@click.option("--text", required=True, help="The column that is compared.")
@click.option("--label", help="Report duplicates that differ in this column.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="The least similarity of two texts that count as one: Jaccard, of n-grams; with --encoder the cosine.  "
    "[default: 0.8; with --encoder 0.95]",
)
@click.option(
    "--ngram", type=click.IntRange(1, 16), default=3, show_default=True, help="Characters or words an n-gram."
)
@click.option("--unit", type=click.Choice(["char", "word"]), default="char", show_default=True, help="N-grams of what.")
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "minhash"]),
    default="auto",
    show_default=True,
    help="exact finds every pair, minhash nearly all of many texts; auto goes by size.",
)
@click.option("--encoder", help="Compare meanings: the vectors of this encoder.")
@click.option("--clusters", type=click.IntRange(1), help="With --encoder: compare within so many clusters only.")
@click.option(
    "--index",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with all that went into this file before (sketches, made at the first time), and put these in too.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of minhash and the clusters.")
@report_options
@click.option("--to", help=TO)
@removed_option
@click.option("--rejects", "rejects_file", help=REJECTS)
@format_options
def dedupe(
    src: str,
    dst: str,
    text: str,
    label: str | None,
    threshold: float | None,
    ngram: int,
    unit: str,
    method: str,
    encoder: str | None,
    clusters: int | None,
    index: Path | None,
    seed: int,
    report: str | None,
    as_json: bool,
    to: str | None,
    removed_file: str | None,
    rejects_file: str | None,
    **options: Any,
) -> None:
    """Write the rows of SRC to DST without those that say the same as an earlier one."""
    from pilotfish.cli._target import check_target, put
    from pilotfish.rows._progress import Progress
    from pilotfish.rows.dedupe import near_duplicates
    from pilotfish.rows.vectors import near_vectors

    check_target(dst, to)
    check_json(dst, as_json)
    context = click.get_current_context()
    given = {
        name
        for name in ("threshold", "ngram", "unit", "method", "seed", "encoder", "clusters", "label")
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    _check(given, index is not None, encoder is not None)
    with rejects_of(rejects_file, src, dst) as rejects, rejects_of(removed_file, src, dst, "removed") as removed:
        # Before the rows are read, which may take long: an index of other settings is refused.
        before = _index(index, given, threshold or 0.8, ngram, unit, seed) if index is not None else None
        rows = rows_with_text(src, rejects, text, label, **options)
        texts = [row[text] for row in rows]
        labels = [row[label] for row in rows] if label else None
        past = len(before) if before is not None else 0
        if before is not None:
            with Progress(len(texts), unit="sketches") as bar:
                before.add(texts, bar.add)
            found = before.duplicates(past)
        elif encoder is not None:
            vectors = vectors_of(encoder, texts)
            found = near_vectors(vectors, threshold or 0.95, labels=labels, clusters=clusters, seed=seed)
        else:
            with Progress(None, shown=len(texts) > 20_000, unit="sketches") as bar:
                found = near_duplicates(
                    texts,
                    threshold or 0.8,
                    labels=labels,
                    ngram=ngram,
                    unit=unit,
                    method=method,
                    seed=seed,
                    progress=bar.add,
                )
        gone = [place - past for place in found.removed if place >= past]
        dropped = set(gone)
        kept = [row for place, row in enumerate(rows) if place not in dropped]
        put(kept, dst, to)
        if before is not None:
            say(f"{len(gone):,} of {len(rows):,} rows removed as duplicates of these or of {past:,} earlier ones")
        else:
            tell_duplicates(rows, found, text, label)
        keep_removed(removed, src, rows, _reasons(found, gone, past))
        counts = {"texts": len(rows), "kept": len(kept), "removed": len(gone), "removed_ratio": len(gone) / len(rows)}
        tell(found.to_json() | (counts | {"earlier": past} if past else {}), report, as_json)
        if before is not None and index is not None:
            before.save(index)  # last: a run that fails is run again against what was there before
        say(f"{len(kept):,} rows in {shown(dst)}")
        say_rejects(rejects)


def _check(given: set[str], index: bool, encoder: bool) -> None:
    """Refuse options that would not be looked at.

    Raises:
        ConfigError: two options clash.
    """
    from pilotfish.errors import ConfigError

    for one, there, clash in (
        ("--index", index, given & {"encoder", "clusters", "method", "label"}),
        ("--encoder", encoder, given & {"ngram", "unit", "method"}),
        ("n-grams", not encoder, given & {"clusters"}),
    ):
        if there and clash:
            raise ConfigError(f"--{sorted(clash)[0]} does not go with {one}")


def _index(path: Path, given: set[str], threshold: float, ngram: int, unit: str, seed: int) -> MinHashIndex:
    """Return the index of a file, or a new one where there is none.

    Raises:
        ConfigError: it was made with other settings than those given.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.rows.minhash import MinHash, MinHashIndex

    wanted = {"threshold": threshold, "ngram": ngram, "unit": unit, "seed": seed}
    if not path.exists():
        # Twice the places: there are no earlier texts to compare with, so the estimates decide.
        return MinHashIndex(replace(MinHash(**wanted), size=256))  # type: ignore[arg-type]
    index = MinHashIndex.load(path)
    for name in sorted(given & wanted.keys()):
        there = getattr(index.how, name)
        if there != wanted[name]:
            raise ConfigError(f"{path} was made with --{name} {there}, not {wanted[name]}; leave the option out")
    return index


def _reasons(found: Duplicates, gone: Sequence[int], past: int) -> Iterator[tuple[int, str]]:
    """Yield each removed row with its reason, rows counted from 1 within this file."""
    nearest = found.nearest()
    for place in gone:
        first = int(found.group[place + past])
        where = f"of row {first - past + 1}" if first >= past else f"of earlier row {first + 1}"
        other, similarity = nearest.get(place + past, (first, None))
        if similarity is None:
            yield place, f"duplicate: {where}, by way of others"
        elif other == first:
            yield place, f"duplicate: {where}, similarity {similarity:.3f}"
        else:
            by = f"row {other - past + 1}" if other >= past else f"earlier row {other + 1}"
            yield place, f"duplicate: {where}, by way of {by}, similarity {similarity:.3f}"
