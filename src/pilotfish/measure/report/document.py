"""What a report is made of: a verdict, then sections of blocks. Plain data; the renderers decide how it looks.

Text is plain, except that `back-ticked words` are set as code. Everything is escaped when rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Column",
    "Details",
    "Figure",
    "Gate",
    "Gates",
    "Highlight",
    "KeyValues",
    "MarkedText",
    "Paragraph",
    "Report",
    "Section",
    "SideBySide",
    "Status",
    "Svg",
    "Table",
    "WeighedText",
    "cell_text",
    "seen",
]

Cell: TypeAlias = str | int | float | Interval | None
Status = Literal["pass", "warn", "fail"]


class Svg(str):
    """Markup of one `<svg>` that was made by this package, so it goes into the page as it is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; a "note" is set quieter, a "warning" louder."""

    text: str
    kind: Literal["text", "note", "warning"] = "text"


@dataclass(frozen=True, slots=True)
class Code:
    """Commands or a file, kept line by line, with a caption that says what to do with it."""

    text: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        align: numbers read best on the right.
        format: a format spec for numbers and intervals, such as ".1%".
        best: mark the "max" or the "min" of the column; None marks nothing.
        help: a few words under the heading: the unit, or which way is better.
    """

    title: str
    align: Literal["left", "right"] = "left"
    format: str = ""
    best: Literal["max", "min"] | None = None
    help: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a caption.

    Attributes:
        columns: headings and formats.
        rows: one cell a column; None shows as a dash, and what is in a cell of another type is formatted.
        caption: what the table shows, in a sentence.
        chosen: the index of the row the report recommends, or None.
        note: a line under the table.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str
    chosen: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise DataError(f"table {self.caption!r}: row {index} has {len(row)} cells, not {len(self.columns)}")

    def best_rows(self, column: int) -> frozenset[int]:
        """Return the indices of the rows that hold the best number of a column; ties all count."""
        which = self.columns[column].best
        numbers = {i: number for i, row in enumerate(self.rows) if (number := _number(row[column])) is not None}
        if which is None or not numbers:
            return frozenset()
        top = max(numbers.values()) if which == "max" else min(numbers.values())
        return frozenset(index for index, number in numbers.items() if number == top)


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot.

    Attributes:
        svg: from `pilotfish.measure.report.plots`.
        caption: what to see in it, in a sentence.
        data: the numbers behind it, shown folded up, for readers who cannot see the plot.
    """

    svg: Svg
    caption: str
    data: Table | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.svg, Svg):
            raise DataError("a figure takes an `Svg` made by pilotfish.measure.report.plots, not other markup")


@dataclass(frozen=True, slots=True)
class Gate:
    """One hard requirement, whether it is met, and what was found."""

    name: str
    status: Status
    text: str


@dataclass(frozen=True, slots=True)
class Gates:
    """Requirements, checked."""

    items: Sequence[Gate]
    caption: str = "Gates"


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Facts by name."""

    items: Sequence[tuple[str, Cell]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text in pieces that, joined, are the text; each with how far it was found in what it is held against.

    Attributes:
        title: whose text it is.
        pieces: (piece, share): from 0, nowhere, to 1, all of it; None where it was not looked for.
    """

    title: str
    pieces: Sequence[tuple[str, float | None]]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(piece for piece, _ in self.pieces)

    def shades(self, most: int) -> list[tuple[str, int]]:
        """Return the text's first characters as the page sets them: (piece, shade), neighbours of one shade joined.

        Args:
            most: characters; what is left out is told.

        Returns:
            Shade 0 is what was found or not looked for; 1, 2 and 3 what was found ever less.
        """
        found: list[tuple[str, int]] = []
        left = most
        for piece, share in self.pieces:
            part, left = piece[:left], left - len(piece)
            shade = 0 if share is None or share >= _FOUND else 1 + min(2, int((_FOUND - max(share, 0)) * 3 / _FOUND))
            if found and (found[-1][1] == shade or not part.strip()):
                found[-1] = (found[-1][0] + part, found[-1][1])
            elif part:
                found.append((part, shade))
            if left <= 0:
                break
        rest = sum(len(piece) for piece, _ in self.pieces) - most
        return found + ([(f" … ({rest:,} more characters)", 0)] if rest > 0 else [])


_FOUND = 0.6  # from this share on a piece counts as found and is not shaded


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Texts beside each other, with what was not found in the other shaded.

    Attributes:
        caption: which row it is and what it scored.
        texts: two, mostly.
        note: a line under them.
        most: characters of each that are shown.
    """

    caption: str
    texts: Sequence[MarkedText]
    note: str = ""
    most: int = 1500


@dataclass(frozen=True, slots=True)
class WeighedText:
    """A text in pieces that, joined, are the text; each with what it speaks for, shaded by how much.

    Attributes:
        caption: what is said of the text.
        pieces: (piece, weight): above 0 it speaks for that, below 0 against it.
        note: a line under the text.
    """

    caption: str
    pieces: Sequence[tuple[str, float]]
    note: str = ""

    def shades(self) -> list[tuple[str, int]]:
        """Return (piece, shade): from -3, what speaks most against it, to 3; 0 is what hardly speaks."""
        top = max((abs(weight) for _, weight in self.pieces), default=0.0)
        found: list[tuple[str, int]] = []
        for piece, weight in self.pieces:
            size = abs(weight) / top if top else 0.0
            shade = (size >= _LITTLE) + (size >= 1 / 3) + (size >= 2 / 3)
            found.append((piece, shade if weight > 0 else -shade))
        return found


_LITTLE = 0.1  # of the largest weight: what is below speaks hardly


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks folded away under a line that says what they hold."""

    summary: str
    blocks: Sequence[Block]
    open: bool = False


Block: TypeAlias = Paragraph | Code | Table | Figure | Gates | KeyValues | SideBySide | WeighedText | Details


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Highlight:
    """A number that the verdict rests on: what it is, the number as text, and a few words of context."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report: the verdict first, then the evidence.

    Attributes:
        title: what was asked.
        verdict: the answer, in one sentence.
        sections: the evidence, the most telling first.
        answer: the answer in a word or two, set large above the verdict ("Small model").
        notes: (heading, sentence) pairs right under the verdict, such as ("What would flip it", "…").
        highlights: up to four numbers.
        footer: how and when the report was made.
    """

    title: str
    verdict: str
    sections: Sequence[Section] = ()
    answer: str = ""
    notes: Sequence[tuple[str, str]] = ()
    highlights: Sequence[Highlight] = field(default=())
    footer: str = ""


def seen(text: str) -> str:
    """Return a text with a sign for each control character, which a page would swallow and a terminal obey."""
    return "".join(
        chr(0x2400 + ord(one)) if one < " " and one not in "\n\t" else "␡" if one == "\x7f" else one for one in text
    )


def cell_text(cell: Cell, spec: str = "") -> str:
    """Return a cell as text: numbers and intervals by the format spec, None as a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Interval):
        low, high = (format(end, spec or ".3f") for end in (cell.low, cell.high))
        return f"{format(cell.value, spec or '.3f')} [{low}, {high}]"
    if isinstance(cell, int | float):
        return format(cell, spec or ("," if isinstance(cell, int) else ".4g"))
    return cell


def _number(cell: Cell) -> float | None:
    if isinstance(cell, Interval):
        return cell.value
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    return float(cell)
