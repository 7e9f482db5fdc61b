"""What the pages of tables and of texts have in common: checks, stability, and what transparency costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotfish.compete.explain.faithful import Faithful
from pilotfish.compete.explain.price import Price
from pilotfish.compete.explain.stable import Stability
from pilotfish.measure.report import Block, Column, Figure, Gate, Gates, Highlight, Paragraph, Table, plots

__all__ = [
    "as_numbers",
    "check_blocks",
    "faithful_table",
    "highlights",
    "listed",
    "measured",
    "notes",
    "price_blocks",
    "sentence",
    "stable_blocks",
    "whether_true",
]

EXACT = 1e-6  # the largest residual of what is called exact


def sentence(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Return names as words: "a, b and c"."""
    if not names:
        return "nothing"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def whether_true(found: Faithful) -> str:
    """Return in a sentence whether an explanation is faithful."""
    gain = found.deletion_gain
    if gain.low > 0:
        return "Taking away what is said to count changes its answers sooner than taking away anything else."
    return "It is not shown that what is said to count changes its answers sooner than anything else: take care."


def notes(prices: Sequence[Price], stability: Stability | None) -> list[tuple[str, str]]:
    """Return what is said right under the verdict."""
    found = []
    if prices:
        best = max(prices, key=lambda one: one.own.value)
        paid = f"{abs(best.paid.value):.3f} {'less' if best.paid.value < 0 else 'more'}"
        between = f"[{best.paid.low:+.3f}, {best.paid.high:+.3f}]".replace("-", "−")
        judged = "something is paid" if best.shown else "no price is shown"
        found.append(
            (
                "What transparency costs",
                f"Of those that can be read through {best.name} is best; {best.opaque} is worth {paid} in "
                f"{measured(best.measure)} {between}: {judged}.",
            )
        )
    if stability is not None:
        found.append(
            (
                "Taught anew",
                f"Over {stability.models} models the order of what counts agrees by {stability.correlation:.2f} "
                f"(Spearman), and {stability.top:.0%} of the first {stability.k} are the same.",
            )
        )
    return found


def highlights(
    found: Faithful, residual: float | None, stability: Stability | None, prices: Sequence[Price]
) -> list[Highlight]:
    """Return the numbers that the verdict rests on."""
    gain = found.deletion_gain
    items = [Highlight("Faithful by", _signed(gain.value), f"{gain.low:.3f} to {gain.high:.3f}, above random")]
    if residual is not None:
        items.append(Highlight("Adds up to", f"{residual:.1e}", "the largest gap"))
    if stability is not None:
        items.append(Highlight("Stays", f"{stability.correlation:.2f}", "rank agreement, taught anew"))
    if prices:
        best = max(prices, key=lambda one: one.own.value)
        items.append(
            Highlight("Transparency costs", _signed(best.paid.value), f"{measured(best.measure)}, {best.name}")
        )
    return items


def as_numbers(titles: tuple[str, str], rows: Sequence[tuple[str, float]], caption: str) -> Table:
    """Return a table of a plot's numbers; its caption is no other one's, for readers go by it."""
    return Table(
        [Column(titles[0]), Column(titles[1], "right", ".4g")],
        [[name, value] for name, value in rows],
        caption,
    )


def check_blocks(found: Faithful, residual: float | None, *, exact: bool) -> list[Block]:
    """Return whether an explanation is faithful and adds up."""
    gain, back = found.deletion_gain, found.insertion_gain
    items = [
        Gate(
            "Deletion",
            "pass" if gain.low > 0 else "fail" if gain.high < 0 else "warn",
            f"what counts is taken away first: the answer is held to less than at random by {gain:.3f}",
        ),
        Gate(
            "Insertion",
            "pass" if back.low > 0 else "fail" if back.high < 0 else "warn",
            f"what counts comes back first: the answer is held to more than at random by {back:.3f}",
        ),
    ]
    if residual is None:
        items.append(Gate("Adding up", "warn", "this way of explaining does not promise it"))
    else:
        limit = EXACT if exact else 0.05
        fits = residual <= limit
        items.append(
            Gate("Adding up", "pass" if fits else "warn", f"the largest gap is {residual:.1e}; {limit:g} is allowed")
        )
    return [Gates(items, f"Checked on {found.rows:,} rows.")]


def faithful_table(ways: Mapping[str, Faithful]) -> Table:
    """Return the areas of deletion and insertion, by way of explaining."""
    return Table(
        [
            Column("Explained by"),
            Column("Deletion", "right", ".3f", "min", "lower is better"),
            Column("at random", "right", ".3f"),
            Column("Insertion", "right", ".3f", "max", "higher is better"),
            Column("at random", "right", ".3f"),
        ],
        [[way, one.deletion, one.random_deletion, one.insertion, one.random_insertion] for way, one in ways.items()],
        "How strongly the answer is held to while what counts most goes first, or comes back first (area, mean).",
    )


def stable_blocks(rivals: Mapping[str, Stability]) -> list[Block]:
    """Return how far transparent models stay when rows are drawn anew."""
    if not rivals:
        return []
    return [
        Table(
            [
                Column("Transparent model"),
                Column("Rank agreement", "right", ".2f", help="Spearman"),
                Column("Same at the top", "right", ".0%"),
                Column("Fits", "right"),
            ],
            [[name, one.correlation, one.top, one.models] for name, one in rivals.items()],
            "Whether what counts stays when a model is taught on rows drawn anew.",
        )
    ]


def measured(measure: str) -> str:
    """Return what a measure is called."""
    return {"auc": "AUC", "r2": "R²"}.get(measure, measure)


def price_blocks(prices: Sequence[Price]) -> list[Block]:
    """Return what transparency costs."""
    if not prices:
        return [
            Paragraph(
                "Not measured: it takes the truth of the rows (`--target`), and a model that can be read through "
                "beside one that cannot (`--train`, `--against`).",
                "note",
            )
        ]
    first = prices[0]
    forest = [(one.name, one.paid) for one in prices]
    return [
        Figure(
            plots.forest_plot(
                forest,
                quality=f"{measured(first.measure)} of {first.opaque} less that of the transparent model",
                reference=0.0,
                spec="+.3f",
                title="What transparency costs",
            ),
            "To the right of 0 something is paid for transparency; where the line crosses 0 no price is shown.",
        ),
        Table(
            [
                Column("Transparent model"),
                Column(measured(first.measure), "right", ".3f", "max"),
                Column(first.opaque, "right", ".3f"),
                Column("Paid", "right", "+.3f", help="paired"),
            ],
            [[one.name, one.own, one.other, one.paid] for one in prices],
            f"Both on the same {first.own.n:,} rows.",
        ),
    ]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
