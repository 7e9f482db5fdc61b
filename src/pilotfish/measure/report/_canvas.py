"""Matplotlib drawings turned into SVG that belongs to the page: its colours, its font, unique ids, no style sheet.

A plot is drawn with the light palette. Afterwards each colour becomes the page's CSS variable of that name (with the
light colour as its fallback), so the same markup reads well in light and dark.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.measure.report.document import Svg

INK, MUTED, RULE, PAPER = "#1e2329", "#59616a", "#dcd8cf", "#fdfcf9"
# Blue, orange, green, purple, ... after Okabe and Ito's colour-blind safe set, darkened until text in them reads.
SERIES = ("#0069a8", "#b45309", "#047857", "#9d3c7d", "#7a6400", "#4b5563", "#4f46b5", "#b02a3a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 2)), (0, (1, 1)), "-", "-")
WIDTH, SIZE = 640.0, 12.0

_VARIABLES = {INK: "currentColor", MUTED: "var(--muted,#59616a)", RULE: "var(--rule,#dcd8cf)"}
_VARIABLES |= {PAPER: "var(--paper,#fdfcf9)"}
_VARIABLES |= {colour: f"var(--series-{i},{colour})" for i, colour in enumerate(SERIES, 1)}
_HALO = "halo"
_NAMESPACE = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
Pixel = tuple[float, float]
_DRAWING = threading.Lock()  # matplotlib's settings are global


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in page pixels, y downwards: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float


class Canvas:
    """A figure of `WIDTH` x `height` pixels; positions are pixels from the top left."""

    def __init__(self, height: float) -> None:
        self.height = height
        self._figure = need("matplotlib.figure", "report").Figure(figsize=(WIDTH / 72, height / 72), dpi=72)

    def axes(self, box: Box, *, grid: str = "y") -> Any:
        """Return axes filling a box: a bottom line, quiet grid lines ("x", "y", "both", ""), no frame."""
        axes = self._figure.add_axes(
            (
                box.left / WIDTH,
                1 - box.bottom / self.height,
                (box.right - box.left) / WIDTH,
                (box.bottom - box.top) / self.height,
            )
        )
        axes.patch.set_visible(False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(MUTED)
        axes.tick_params(length=0, pad=6, colors=MUTED, labelsize=SIZE - 0.5)
        axes.tick_params(axis="x", length=4, which="major")
        axes.minorticks_off()
        axes.set_axisbelow(True)
        if grid:
            axes.grid(axis=grid, color=RULE, linewidth=0.8)
        return axes

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """Write text at a pixel, clear of the lines behind it; dollar signs are characters, never mathematics."""
        settings: dict[str, Any] = {
            "fontsize": SIZE,
            "color": INK,
            "va": "center",
            "ha": "left",
            "gid": _HALO,
        } | options
        self._figure.text(x / WIDTH, 1 - y / self.height, text, parse_math=False, **settings)

    def line(self, start: Pixel, end: Pixel, colour: str = MUTED, weight: float = 0.7) -> None:
        """Draw a straight line between two pixels."""
        self._line([start, end], color=colour, linewidth=weight)

    def key(self, start: Pixel, end: Pixel, series: int) -> None:
        """Draw a sample of a series' line, with its marker in the middle."""
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        style = {"color": SERIES[series], "linestyle": DASHES[series], "marker": MARKERS[series], "linewidth": 1.8}
        self._line([start, middle, end], markevery=[1], markersize=6, **style)

    def _line(self, pixels: list[Pixel], **style: Any) -> None:
        lines = need("matplotlib.lines", "report")
        xs, ys = [x / WIDTH for x, _ in pixels], [1 - y / self.height for _, y in pixels]
        self._figure.add_artist(lines.Line2D(xs, ys, **style))

    def finish(self, title: str, description: str) -> Svg:
        """Return the drawing as SVG with a title and description for those who cannot see it."""
        matplotlib = need("matplotlib", "report")
        canvas = need("matplotlib.backends.backend_svg", "report").FigureCanvasSVG(self._figure)
        out = io.BytesIO()
        with _DRAWING, warnings.catch_warnings(), matplotlib.rc_context(_settings()):
            # Text is drawn by the browser, so a glyph that matplotlib's own font lacks does not matter.
            warnings.filterwarnings("ignore", message=".*[Gg]lyph")
            self._figure.patch.set_visible(False)
            canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return _page_svg(out.getvalue().decode(), title, description)


def _settings() -> dict[str, Any]:
    return {"svg.fonttype": "none", "svg.hashsalt": "pilotfish", "svg.id": None}


def _page_svg(source: str, title: str, description: str) -> Svg:
    name = "pf-" + hashlib.sha256(f"{source}\0{title}\0{description}".encode()).hexdigest()[:12]
    root = ET.fromstring(source)  # noqa: S314 - matplotlib's own output, made a moment ago
    used = {ref for node in root.iter() for ref in _references(node)}
    _strip(root)
    for node in root.iter():
        node.tag = node.tag.removeprefix(_NAMESPACE)
        _tidy(node, name, used)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "id": name,
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "stroke-linejoin": "round",
    } | root.attrib
    for tag, text in (("desc", description), ("title", title)):
        node = ET.Element(tag, {"id": f"{name}-{tag}"})
        node.text = text
        root.insert(0, node)
    return Svg(ET.tostring(root, encoding="unicode"))


def _references(node: ET.Element) -> list[str]:
    found = [match for value in node.attrib.values() for match in re.findall(r"url\(#([^)]+)\)", value)]
    if _LINK in node.attrib:
        found.append(node.attrib[_LINK].removeprefix("#"))
    return found


def _strip(node: ET.Element) -> None:
    for child in list(node):
        if child.tag in (_NAMESPACE + "metadata", _NAMESPACE + "style"):
            node.remove(child)
        else:
            _strip(child)
    node.tail = None
    if node.text is not None and not node.text.strip():
        node.text = None


def _tidy(node: ET.Element, name: str, used: set[str]) -> None:
    attributes = dict(node.attrib)
    for rule in attributes.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in rule.partition(":"))
        if key in {"font", "font-size"}:
            size = re.search(r"([\d.]+)px", value)
            attributes["font-size"] = size[1] if size else str(SIZE)
            weight = re.match(r"(?:normal |italic )*(bold|[5-9]00)\b", value)
            if weight:
                attributes["font-weight"] = "600"
        elif key == "font-weight":
            attributes["font-weight"] = "600"
        elif key and key != "font-family":
            attributes[key] = value
    identifier = attributes.pop("id", None)
    if identifier is not None and identifier.startswith(_HALO):
        attributes |= {"stroke": PAPER, "stroke-width": "4", "paint-order": "stroke"}
    if identifier in used:
        attributes["id"] = f"{name}-{identifier}"
    if _LINK in attributes:
        attributes["href"] = f"#{name}-" + attributes.pop(_LINK).removeprefix("#")
    node.attrib = {key: _value(key, value, name) for key, value in attributes.items()}
    # Text without a fill is black in SVG; what has none here was drawn in matplotlib's own black, which is our ink.
    if node.tag == "text":
        node.attrib.setdefault("fill", "currentColor")


def _value(key: str, value: str, name: str) -> str:
    if key in ("fill", "stroke"):
        return _VARIABLES.get(value.lower(), value)
    value = value.replace("url(#", f"url(#{name}-")
    if key in ("d", "x", "y", "transform", "points", "stroke-width", "stroke-dasharray", "stroke-dashoffset"):
        value = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", value)
    return " ".join(value.split())
