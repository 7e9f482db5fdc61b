"""Where to put labels so that they do not run into one another.

The browser's font is not known here, so widths are estimates on the wide side.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pilotfish.measure.report._canvas import SIZE, Box

_NARROW, _WIDE = "iljtfrI.,:;'|!()[] ", "mwMW@%"
# Around the point, nearest first: (horizontal anchor, dx, dy).
_SPOTS = [
    (anchor, dx * reach, dy * reach)
    for reach in (1.0, 1.9, 3.0, 4.4)
    for anchor, dx, dy in (
        ("left", 10, 0),
        ("right", -10, 0),
        ("left", 8, -11),
        ("right", -8, -11),
        ("left", 8, 11),
        ("right", -8, 11),
        ("center", 0, -16),
        ("center", 0, 16),
    )
]


def width(text: str, size: float = SIZE) -> float:
    """Return about how many pixels wide a text is."""
    return size * sum(_em(character) for character in text)


def shorten(text: str, most: int = 28) -> str:
    """Return the text on one line, cut with an ellipsis where it has more than `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart until they are `gap` from one another, as little as possible, within low..high.

    Where they cannot all fit they share the space evenly.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    # Runs of touching labels, each centred on the mean of what its members want (isotonic regression by pooling).
    runs: list[list[float]] = []
    for rank, index in enumerate(order):
        runs.append([wanted[index] - rank * gap, 1.0])
        while len(runs) > 1 and runs[-2][0] > runs[-1][0]:
            mean, count = runs.pop()
            total = runs[-1][1] + count
            runs[-1] = [(runs[-1][0] * runs[-1][1] + mean * count) / total, total]
    anchors = [mean for mean, count in runs for _ in range(int(count))]
    top = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        placed[index] = min(max(anchors[rank], low), max(top, low)) + rank * gap
    return placed


def place(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    inside: Box,
    avoid: Sequence[Box] = (),
    soft: Sequence[tuple[float, float]] = (),
) -> list[tuple[float, float, str]]:
    """Return for each point's label (x, y, horizontal anchor), in pixels.

    Labels keep off one another, off `avoid` and within `inside`; off the pixels `soft` where they can. Crowded labels
    move away from their point, and the caller draws a thin line to it.
    """
    taken = list(avoid)
    found: list[tuple[float, float, str]] = []
    for (x, y), text in zip(points, texts, strict=True):
        best: tuple[float, tuple[float, float, str], Box] | None = None
        for rank, (anchor, dx, dy) in enumerate(_SPOTS):
            box = _box(x + dx, y + dy, width(text), anchor)
            cost = 100.0 * sum(_overlap(box, other) for other in taken)
            cost += 1000.0 * _outside(box, inside)
            cost += 60.0 * sum(box.left <= a <= box.right and box.top <= b <= box.bottom for a, b in soft) + rank
            if best is None or cost < best[0]:
                best = (cost, (x + dx, y + dy, anchor), box)
        assert best is not None, "there is always a spot"
        found.append(best[1])
        taken.append(best[2])
    return found


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in _NARROW:
        return 0.36
    if character in _WIDE:
        return 0.92
    return 0.68 if character.isupper() else 0.57


def _box(x: float, y: float, wide: float, anchor: str) -> Box:
    left = {"left": x, "right": x - wide, "center": x - wide / 2}[anchor]
    return Box(left, y - 8, left + wide, y + 8)


def _overlap(a: Box, b: Box) -> float:
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    return across * down if across > 0 and down > 0 else 0.0


def _outside(box: Box, inside: Box) -> float:
    over = (inside.left - box.left, box.right - inside.right, inside.top - box.top, box.bottom - inside.bottom)
    return sum(max(0.0, each) for each in over)
