"""`pilotfish rows diversity`: how varied the texts and attributes of a file of rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, rows_with_text, say_rejects
from pilotfish.cli._rows_files import report_options, tell, vectors_of

if TYPE_CHECKING:
    from pilotfish.measure.diversity import Diversity

__all__ = ["diversity"]


@click.command("diversity")
@click.argument("src")
@click.option("--text", required=True, help="The column that is measured.")
@click.option(
    "--attribute", "attributes", multiple=True, help="A column whose values should be covered; again for more."
)
@click.option("--encoder", help="Measure meanings too: the vectors of this encoder.")
@click.option(
    "--sample",
    type=click.IntRange(2),
    default=1000,
    show_default=True,
    help="Rows that Self-BLEU and the Vendi score of words are measured on.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the sample.")
@report_options
@format_options
def diversity(
    src: str,
    text: str,
    attributes: tuple[str, ...],
    encoder: str | None,
    sample: int,
    seed: int,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how diverse the rows of SRC are. Compare files of one size: most numbers move with it."""
    from pilotfish.measure.diversity import coverage
    from pilotfish.measure.diversity import diversity as measured
    from pilotfish.rows import Rejects, need_columns

    rejects = Rejects()
    rows = rows_with_text(src, rejects, text, **options)
    need_columns(rows[0], *attributes, source=src)
    texts = [row[text] for row in rows]
    found = measured(
        texts,
        vectors=vectors_of(encoder, texts) if encoder is not None else None,
        attributes=coverage(rows, attributes) if attributes else None,
        sample=sample,
        seed=seed,
    )
    if not as_json:
        click.echo("\n".join(_lines(found)))
    tell(found.to_json(), report, as_json)
    say_rejects(rejects)


def _lines(found: Diversity) -> list[str]:
    of_sample = f" of {found.sample:,}" if found.sample < found.texts else ""
    lines = [
        f"texts             {found.texts:,}",
        "distinct-n        " + ", ".join(f"{value:.3f} (n = {n})" for n, value in found.distinct.items()),
        "n-gram entropy    " + ", ".join(f"{value:.2f} bits (n = {n})" for n, value in found.entropy.items()),
        f"compression       {found.compression:.2f} times",
    ]
    if found.self_bleu is not None:
        lines.append(f"Self-BLEU         {found.self_bleu:.3f}{of_sample}")
    lines.append(f"Vendi, words      {found.vendi_words:.1f}{of_sample or f' of {found.texts:,}'}")
    if found.vendi is not None:
        lines.append(f"Vendi, vectors    {found.vendi:.1f} of {found.texts:,}")
    if found.dispersion is not None:
        lines.append(f"dispersion        {found.dispersion:.3f}")
    if found.coverage is not None:
        cover = found.coverage
        lines.append(f"cells covered     {cover.covered:.1%} of {cover.cells:,}, balance {cover.balance:.3f}")
        lines += [f"  {name:<15} balance {value:.3f}" for name, value in cover.balances.items()]
        lines += [f"  no rows: {', '.join(map(str, cell))}" for cell in cover.missing(5)]
    return lines
