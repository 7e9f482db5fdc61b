"""A report as one HTML file: no script, no request, no font; it opens from a folder with the network off."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from functools import cache
from importlib.resources import files
from typing import Any

from pilotfish._extras import need
from pilotfish.measure._interval import Interval
from pilotfish.measure.report.document import Cell, Figure, Report, Section, cell_text, seen

__all__ = ["render_html"]

_STATUS = {"pass": ("✓", "Pass"), "warn": ("!", "Warn"), "fail": ("✕", "Fail")}
_CODE = re.compile(r"`([^`\n]+)`")
_SVG_ID = re.compile(r'^<svg [^>]*?\bid="(pf-[0-9a-f]+)"')


def render_html(report: Report) -> str:
    """Return the report as a complete, self-contained HTML page.

    All text is escaped. The page carries no script and no `style` attribute, and its content security policy allows
    nothing but its own style sheet, by hash.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    style = _text("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    markup = need("markupsafe", "report").Markup
    figures = itertools.count(1)
    page: str = _template().render(
        report=report,
        sections=[(_anchor(index, section), section) for index, section in enumerate(report.sections, 1)],
        style=markup(style),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        place=lambda figure: markup(_own_ids(figure, next(figures))),
    )
    return page


@cache
def _template() -> Any:
    jinja2 = need("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["prose"] = _prose
    environment.filters["cell"] = _cell
    environment.filters["seen"] = seen
    environment.globals["status"] = _STATUS
    environment.tests["block"] = lambda block, kind: type(block).__name__ == kind
    return environment.get_template("page.html")


def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _anchor(index: int, section: Section) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
    return f"s{index}-{words}" if words else f"s{index}"


def _prose(text: str) -> Any:
    """Escape text, and set `back-ticked words` as code."""
    markup = need("markupsafe", "report")
    parts = _CODE.split(text)
    pieces = (
        markup.escape(part) if place % 2 == 0 else markup.Markup("<code>{}</code>").format(part)
        for place, part in enumerate(parts)
    )
    return markup.Markup("").join(pieces)


def _cell(cell: Cell, spec: str = "") -> Any:
    """Set a cell: numbers with a true minus sign, an interval as a value with its range after it, smaller."""
    markup = need("markupsafe", "report")
    if not isinstance(cell, Interval):
        text = cell_text(cell, spec)
        return _prose(text) if isinstance(cell, str) else _minus(text)
    value, low, high = (_minus(format(number, spec or ".3f")) for number in (cell.value, cell.low, cell.high))
    if low.endswith("%") and high.endswith("%"):
        low, high = low[:-1], high[:-1]
    joined = f"{low} to {high}" if "−" in low + high else f"{low}–{high}"
    return markup.Markup('<span class="value">{}</span> <span class="range">{}</span>').format(value, joined)


def _minus(number: str) -> str:
    return number.replace("-", "−") if number[:1] == "-" else number


def _own_ids(figure: Figure, number: int) -> str:
    """Give the plot ids of its own, so that one plot shown twice does not repeat them."""
    found = _SVG_ID.match(figure.svg)
    return figure.svg.replace(found[1], f"figure-{number}") if found else str(figure.svg)
