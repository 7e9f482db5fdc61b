"""The page of a classifier of texts."""

from __future__ import annotations

from pilotfish.compete.explain._page_shared import (
    as_numbers,
    check_blocks,
    faithful_table,
    highlights,
    listed,
    notes,
    price_blocks,
    sentence,
    stable_blocks,
    whether_true,
)
from pilotfish.compete.explain.text import Attributed, Flip
from pilotfish.compete.explain.whole_text import OneText, TextWhole
from pilotfish.measure.report import (
    Block,
    Column,
    Details,
    Figure,
    Paragraph,
    Report,
    Section,
    Table,
    WeighedText,
    plots,
)

__all__ = ["of_texts"]

_WAYS = {
    "exact": "the table's own coefficients",
    "gradients": "integrated gradients",
    "rollout": "attention roll-out",
    "occlusion": "words left out one by one",
}
_BARS = 15
_FOOTER = "Made by `pilotfish explain`. Intervals are 95%."


def of_texts(found: TextWhole) -> Report:
    """Return the report of a classifier of texts."""
    ranked = [(word, size) for word, size in found.importance.items() if any(one.isalnum() for one in word)]
    counts = [f"“{word}”" for word, size in ranked[:3] if size > 0]
    unit = "shares of attention" if found.way == "rollout" else "log-odds"
    first = found.faithful[found.way]
    blocks: list[Block] = []
    if ranked:
        blocks.append(
            Figure(
                plots.bars_plot(
                    ranked[:_BARS], quality=f"what a word adds to a text, mean size, {unit}", title="Words"
                ),
                f"How much each word moves the answers to {len(found.told):,} texts.",
                as_numbers(("Word", "Mean size"), ranked[:50], "How much each word moves the answers, as numbers."),
            )
        )
    return Report(
        title=f"Why {found.name} says what it says: {len(found.classes)} classes, {found.texts:,} texts",
        verdict=f"{sentence(found.name)} goes by {listed(counts)} most. {whether_true(first)}",
        answer=counts[0] if counts else "",
        notes=notes(found.prices, found.stability),
        highlights=highlights(first, found.residual, found.stability, found.prices),
        sections=[
            Section("What counts", [*blocks, *_coefficients(found)]),
            Section("Single texts", [block for one in found.shown for block in _text(one)]),
            Section(
                "Is it true?",
                [
                    *check_blocks(first, found.residual, exact=found.way == "exact"),
                    faithful_table({_WAYS[way]: one for way, one in found.faithful.items()}),
                    *stable_blocks(found.rivals),
                ],
            ),
            Section("What transparency costs", price_blocks(found.prices)),
            Section("How it was found", [Paragraph(text) for text in _how_texts(found)]),
        ],
        footer=_FOOTER,
    )


def _coefficients(found: TextWhole) -> list[Block]:
    blocks: list[Block] = []
    for number, (label, own) in enumerate(found.table.items()):
        table = Table(
            [Column("N-gram"), Column("Coefficient", "right", ".3f", help="log-odds")],
            [[name, value] for name, value in own],
            f"What speaks most for `{label.replace('`', '')}`, of {found.ngrams:,} n-grams in the table.",
        )
        blocks.append(table if number < 2 else Details(f"What speaks for {label}", [table]))
    return blocks


def _text(one: OneText) -> list[Block]:
    told = one.told
    truth = "" if one.truth is None else f"; in truth {one.truth}"
    return [
        WeighedText(
            f"Said to be {told.label}, {told.probability:.0%} sure{truth}",
            _pieces(told),
            "Blue speaks for that, the stronger the darker; yellow to red and underlined speaks against it."
            if told.way != "rollout"
            else "The darker the more of the word flows into the answer.",
        ),
        Paragraph(_flip(one.flip, told)),
    ]


def _pieces(told: Attributed) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    at = 0
    for (start, end), share in zip(told.places, told.shares.tolist(), strict=True):
        if start > at:
            found.append((told.text[at:start], 0.0))
        found.append((told.text[start:end], share))
        at = end
    return [*found, (told.text[at:], 0.0)] if at < len(told.text) else found


def _flip(flip: Flip, told: Attributed) -> str:
    if not flip.found:
        return "Nothing of so few words would change that."
    parts = [f"“{word}” were away" if not new else f"“{word}” were “{new}”" for word, new in flip.edits]
    return f"It would be said to be {flip.label} ({flip.probability:.0%} sure) if {listed(parts)}."


def _how_texts(found: TextWhole) -> list[str]:
    ways = {
        "exact": "A word's share is what the n-grams that it is part of add, in equal parts.",
        "gradients": "Words' vectors are mixed step by step from a text of blanks to the text, and what the answer "
        "moves by on the way is shared out; with the base the shares sum to the log-odds.",
        "rollout": "Attention is followed through the layers; it tells what could flow, and knows no sign.",
        "occlusion": "Each word is left out, and how much less strongly the answer is held to is its share.",
    }
    return [
        ways[found.way],
        "What would change an answer are the fewest words to take away, or to replace by words of texts of the other "
        "class. Larger sets are looked for from the best smaller ones, so a smaller one may be missed.",
        "An explanation tells what the classifier goes by, not what causes what.",
    ]
