"""How long a pass takes by the number of tokens in it, as measured: medians, joined by a line."""

from __future__ import annotations

from collections import deque
from statistics import median

__all__ = ["Curve"]

KEPT, ENOUGH = 9, 3


class Curve:
    """Seconds by tokens. A median of the last few passes of each size, so that one interrupted pass changes nothing."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[float]] = {}

    def add(self, tokens: int, seconds: float) -> None:
        """Note one pass."""
        self._seen.setdefault(tokens, deque(maxlen=KEPT)).append(seconds)

    def known(self, tokens: int) -> bool:
        """Say whether passes of this size have been measured often enough to be believed."""
        return len(self._seen.get(tokens, ())) >= ENOUGH

    def at(self, tokens: int) -> float:
        """Return the seconds of a pass of this size; 0 where nothing was ever measured.

        Sizes that were not measured lie on the straight lines between those that were, and beyond the largest on a
        line through it that rises as the least-squares line of all does; never falling, since more work takes no less.
        """
        if self.known(tokens):
            return median(self._seen[tokens])
        points = sorted((size, median(times)) for size, times in self._seen.items())
        if not points:
            return 0.0
        below = [point for point in points if point[0] <= tokens]
        above = [point for point in points if point[0] >= tokens]
        if below and above:
            (x0, y0), (x1, y1) = below[-1], above[0]
            return y0 if x1 == x0 else y0 + (y1 - y0) * (tokens - x0) / (x1 - x0)
        x0, y0 = below[-1] if below else above[0]
        return max(y0 + _slope(points) * (tokens - x0), 0.0 if below else y0 * tokens / x0)


def _slope(points: list[tuple[int, float]]) -> float:
    """Return the slope of the least-squares line, at least 0."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in points) / spread) if spread else 0.0
