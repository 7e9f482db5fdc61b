"""The page of a table's model."""

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
from pilotfish.compete.explain.shapes import Shape
from pilotfish.compete.explain.whole_table import OneRow, TableWhole
from pilotfish.measure.report import Block, Column, Figure, Paragraph, Report, Section, Table, plots
from pilotfish.measure.report.document import Cell
from pilotfish.models.additive import Additive
from pilotfish.models.rules import RuleList

__all__ = ["of_table"]

_BARS, _LOCAL = 15, 10
_FOOTER = "Made by `pilotfish explain`. Intervals are 95%."


def of_table(found: TableWhole) -> Report:
    """Return the report of a table's model."""
    told = found.told
    ranked = sorted(zip(told.columns, told.importance().tolist(), strict=True), key=lambda pair: -pair[1])
    counts = [name for name, size in ranked[:3] if size > 0]
    unit = "log-odds" if found.model.kind == "classes" else "the number's own unit"
    shapes: list[Block] = [
        _shape(one, told.outputs[0] if len(told.outputs) == 1 else "the commonest class", unit) for one in found.shapes
    ]
    importance = [
        Figure(
            plots.bars_plot(ranked[:_BARS], quality=f"mean size of what a column adds, in {unit}", title="Columns"),
            f"How much each column moves the answer, over {len(told.shares):,} rows.",
            as_numbers(("Column", "Mean size"), ranked, "How much each column moves the answer, as numbers."),
        )
    ]
    return Report(
        title=f"Why {found.name} says what it says: {len(told.columns)} columns, {found.rows:,} rows",
        verdict=f"{sentence(found.name)} goes by {listed(counts)} most. {whether_true(found.faithful)}",
        answer=counts[0] if counts else "",
        notes=notes(found.prices, found.stability),
        highlights=highlights(found.faithful, told.residual if told.exact else None, found.stability, found.prices),
        sections=[
            Section("What counts", [*_rules(found), *importance, *shapes]),
            Section(
                "Single rows",
                [
                    block
                    for place, one in enumerate(found.shown, 1)
                    for block in _row(one, place, found.model.kind == "number")
                ],
            ),
            Section(
                "Is it true?",
                [
                    *check_blocks(found.faithful, told.residual, exact=told.exact),
                    faithful_table({_kind(found): found.faithful}),
                    *stable_blocks(found.rivals),
                ],
            ),
            Section("What transparency costs", price_blocks(found.prices)),
            Section("How it was found", [Paragraph(text) for text in _how_table(found)]),
        ],
        footer=_FOOTER,
    )


def _shape(one: Shape, output: str, unit: str) -> Figure:
    how = "the model's own function" if one.exact else "means of rows, nine tenths of them in the band"
    missing = "" if one.missing is None else f" Where it is missing it adds {one.missing:.3g}.".replace(" -", " −")
    return Figure(
        plots.shape_plot(
            one.values,
            one.adds,
            one.spread,
            name=one.column,
            quality=f"adds to {output}, {unit}",
            step=one.exact,
            title=one.column,
        ),
        f"What `{_plain(one.column)}` adds to {output}: {how}.{missing}",
        Table(
            [Column("Value"), Column("Adds", "right", ".4g"), Column("Rows", "right", ",")],
            [
                [value if isinstance(value, str) else f"{value:.6g}", add, rows]
                for value, add, rows in zip(one.values, one.adds, one.rows, strict=True)
            ],
            f"What `{_plain(one.column)}` adds, as numbers.",
        ),
    )


def _rules(found: TableWhole) -> list[Block]:
    inner, model = found.model.inner, found.model
    if not isinstance(inner, RuleList):
        return []
    number = model.kind == "number"
    rows: list[list[Cell]] = []
    words = inner.in_words(model.table.columns, model.table.codes)
    for place, (rule, text) in enumerate(zip(inner.rules, words, strict=True), 1):
        top = max(range(len(rule.answer)), key=rule.answer.__getitem__)
        said = f"{rule.answer[0]:.6g}" if number else f"{model.classes[top]} ({rule.answer[top]:.0%})"
        held = None if rule.held is None else f"{rule.held:.6g}" if number else f"{rule.held:.0%} of {rule.checked:,}"
        rows.append([f"{place}. {'if ' if rule.conditions else ''}{text}", said, rule.rows, held])
    return [
        Table(
            [
                Column("The first rule that holds counts"),
                Column("Then"),
                Column("Rows", "right", ",", help="answered while learning"),
                Column("Held", "right", help="on rows kept back while rules were looked for"),
            ],
            rows,
            "The whole model.",
        )
    ]


def _row(one: OneRow, place: int, number: bool) -> list[Block]:
    truth = "" if one.truth is None else f"; in truth {one.truth}"
    said = f"{one.said}{truth}" if number else f"{one.said}, {one.probability:.0%} sure{truth}"
    adds = [(f"{name} = {_value(one.row.get(name))}", size) for name, size in one.adds]
    sides = ("speaks against", "speaks for it") if not number else ("lowers it", "raises it")
    blocks: list[Block] = [
        Figure(
            plots.bars_plot(
                adds[:_LOCAL], quality="what the column adds", title=f"Row {place}: {one.said}", sides=sides
            ),
            f"Row {place}, said to be {said}: what each column adds to that.",
            as_numbers(("Column", "Adds"), adds, f"What columns add to row {place}, as numbers."),
        )
    ]
    if one.change is not None and one.wanted is not None:
        parts = [f"`{_plain(name)}` were {value}" for name, value in one.others]
        if one.change.found:
            text = f"It would be said to be {one.wanted} ({one.change.probability:.0%} sure) if {listed(parts)}."
        else:
            text = f"No change of so few columns to values of known rows would make it {one.wanted}."
        blocks.append(Paragraph(text))
    return blocks


def _value(value: object) -> str:
    shown = "missing" if value is None or value == "" else str(value)
    return shown if len(shown) <= 24 else shown[:23] + "…"


def _kind(found: TableWhole) -> str:
    if not found.told.exact:
        return "Shapley values, by drawn orders"
    return "the additive model's own functions" if isinstance(found.model.inner, Additive) else "exact shares"


def _how_table(found: TableWhole) -> list[str]:
    exact = (
        "What columns add is exact: Shapley values of trees, an additive model's own functions, a linear model's "
        "weights; with the base they sum to what the model says."
        if found.told.exact
        else "What columns add are Shapley values estimated from drawn orders, beside other rows; in each order they "
        "sum to what the model says."
    )
    return [
        exact,
        "A column is taken away by giving it the values of other rows, sixteen of them, and taking the mean. What "
        "would change an answer takes values of the nearest known rows of the other class, so that nothing is made up; "
        "whether it can be done in the world is for people to say.",
        "An explanation tells what the model goes by, not what causes what.",
    ]


def _plain(name: str) -> str:
    """Return a name that can stand between back-ticks."""
    return name.replace("`", "")
