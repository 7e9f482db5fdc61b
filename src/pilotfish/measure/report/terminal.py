"""A report in the terminal, with rich."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table as RichTable
from rich.text import Text

from pilotfish.measure.report.document import (
    Block,
    Cell,
    Code,
    Column,
    Details,
    Figure,
    Gates,
    KeyValues,
    Paragraph,
    Report,
    SideBySide,
    Table,
    WeighedText,
    cell_text,
    seen,
)

_STATUS = {"pass": ("PASS", "bold green"), "warn": ("WARN", "bold yellow"), "fail": ("FAIL", "bold red")}
_PLOT_ROWS = 15
_PARAGRAPH = {"text": "", "note": "dim", "warning": "yellow"}


def render_terminal(report: Report, console: Console | None = None) -> None:
    """Print a report. Plots show as their captions and numbers; folded details show only their heading.

    Args:
        report: what to print.
        console: where; by default standard output. Without colour the marks stay readable: they are words too.
    """
    out = console or Console()
    head = Text()
    if report.answer:
        head.append(report.answer + "\n", style="bold cyan")
    head.append(report.verdict)
    for heading, sentence in report.notes:
        head.append(f"\n{heading}: ", style="bold")
        head.append(sentence)
    out.print(Panel(head, title=Text(report.title, style="bold"), title_align="left", padding=(1, 2)))
    if report.highlights:
        out.print(_highlights(report))
    for section in report.sections:
        out.print()
        out.print(Rule(Text(section.title, style="bold"), align="left", style="dim"))
        for block in section.blocks:
            out.print(Padding(_block(block), (1, 0, 0, 0)))
    if report.footer:
        out.print()
        out.print(Text(report.footer, style="dim"))


def _highlights(report: Report) -> RenderableType:
    grid = RichTable.grid(padding=(0, 4))
    for _ in report.highlights:
        grid.add_column()
    grid.add_row(*(Text(each.value, style="bold") for each in report.highlights))
    grid.add_row(*(Text(each.label) for each in report.highlights))
    grid.add_row(*(Text(each.detail, style="dim") for each in report.highlights))
    return Padding(grid, (1, 0, 0, 2))


def _block(block: Block) -> RenderableType:
    match block:
        case Paragraph():
            return Text(block.text, style=_PARAGRAPH[block.kind])
        case Code():
            return Panel(Text(block.text), title=Text(block.caption) if block.caption else None, title_align="left")
        case Table():
            return _table(block)
        case Figure():
            if block.data and len(block.data.rows) <= _PLOT_ROWS:
                return _table(block.data)
            return Text(f"[plot] {block.caption} (in the HTML report)", style="dim")
        case Gates():
            return _gates(block)
        case KeyValues():
            return _key_values(block)
        case SideBySide():
            return _side_by_side(block)
        case WeighedText():
            return _weighed(block)
        case Details():
            return Text(f"+ {block.summary} (in the HTML report)", style="dim")


def _table(table: Table) -> RenderableType:
    title = Text(table.caption, style="bold")
    caption = Text(table.note, style="dim") if table.note else None
    grid = RichTable(title=title, title_justify="left", caption=caption, caption_justify="left", header_style="bold")
    if table.chosen is not None:
        grid.add_column("")
    for column in table.columns:
        head = Text(column.title)
        if column.help:
            head.append(f"\n{column.help}", style="dim not bold")
        grid.add_column(head, justify=column.align)
    best = [table.best_rows(index) for index in range(len(table.columns))]
    for index, row in enumerate(table.rows):
        cells = [_cell(cell, column, index in top) for cell, column, top in zip(row, table.columns, best, strict=True)]
        if table.chosen is not None:
            cells.insert(0, Text("→" if index == table.chosen else ""))
        grid.add_row(*cells, style="cyan" if index == table.chosen else None)
    return grid


def _cell(cell: Cell, column: Column, best: bool) -> Text:
    text = cell_text(cell, column.format)
    if column.best:  # every cell of the column keeps room for the mark, so that the numbers stay aligned
        text += " *" if best else "  "
    return Text(text, style="bold" if best else "")


def _gates(gates: Gates) -> RenderableType:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=4)
    grid.add_column(ratio=1)
    grid.add_column(ratio=2)
    for gate in gates.items:
        word, style = _STATUS[gate.status]
        grid.add_row(Text(word, style=style), Text(gate.name, style="bold"), Text(gate.text))
    return _captioned(gates.caption, grid)


def _key_values(facts: KeyValues) -> RenderableType:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in facts.items:
        grid.add_row(Text(name), Text(cell_text(value)))
    return _captioned(facts.caption, grid)


def _side_by_side(block: SideBySide) -> RenderableType:
    grid = RichTable(caption=Text(seen(block.note), style="dim") if block.note else None, header_style="bold")
    cells = []
    for text in block.texts:
        grid.add_column(Text(text.title), ratio=1, overflow="fold")
        cell = Text()
        for piece, shade in text.shades(block.most):
            cell.append(seen(piece), style=("", "yellow", "magenta", "bold red")[shade])
        cells.append(cell)
    grid.add_row(*cells)
    return _captioned(block.caption, grid)


def _weighed(block: WeighedText) -> RenderableType:
    text = Text()
    for piece, shade in block.shades():
        style = "" if not shade else f"{'bold ' if abs(shade) == 3 else ''}{'cyan' if shade > 0 else 'yellow'}"
        text.append(seen(piece), style=style)
    if block.note:
        text.append(f"\n{seen(block.note)}", style="dim")
    return _captioned(block.caption, text)


def _captioned(caption: str, body: RenderableType) -> RenderableType:
    return Group(Text(caption, style="bold"), body) if caption else body
