"""What `/metrics` tells: counters and histograms in Prometheus' text form.

Source: Prometheus, "Exposition formats", text format 0.0.4. The names follow its naming conventions: base units,
`_total` for counters. A label's values are names from the gateway's own file and statuses, never a client's words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from pilotfish.serve.record import Served

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
OVERHEAD = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How many values lie up to each bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: Labels) -> Iterable[str]:
        """Yield its lines: each bound counts all that lie below it too."""
        below = 0
        for bound, count in zip((*map(_number, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            yield f"{name}_bucket{_braces((*labels, ('le', bound)))} {below}"
        yield f"{name}_sum{_braces(labels)} {_number(self.sum)}"
        yield f"{name}_count{_braces(labels)} {below}"


class Metrics:
    """Counts requests that have ended. Not for several threads: the event loop alone counts and tells."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._errors: dict[tuple[str, int], int] = defaultdict(int)
        self._seconds: dict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self._first: dict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self._overhead: dict[str, Histogram] = defaultdict(lambda: Histogram(OVERHEAD))
        self._calls: dict[str, int] = defaultdict(int)
        self._tokens: dict[tuple[str, str], int] = defaultdict(int)
        self._dollars: dict[str, float] = defaultdict(float)
        self._unpriced: dict[str, int] = defaultdict(int)
        self._verdicts: dict[tuple[str, str], int] = defaultdict(int)
        self._cached: dict[str, int] = defaultdict(int)

    def count(self, path: str, served: Served) -> None:
        """Count a request."""
        model = served.model
        self._requests[path, model, served.status] += 1
        if served.status >= 400:
            self._errors[model, served.status] += 1
        self._seconds[model].add(served.seconds)
        self._overhead[model].add(served.overhead)
        if served.first_byte is not None:
            self._first[model].add(served.first_byte)
        if served.cached:
            self._cached[model] += 1
        for call in served.calls:
            self._calls[call.model] += 1
            self._tokens[call.model, "input"] += call.tokens_in
            self._tokens[call.model, "output"] += call.tokens_out
            if call.cost is None:
                self._unpriced[call.model] += 1
            else:
                self._dollars[call.model] += call.cost
        for decision in served.decisions:
            # A router's verdict names the model it chose; both words are from the file.
            self._verdicts[decision.model, decision.verdict] += 1

    def render(self, in_flight: int) -> str:
        """Return the whole text."""
        lines = _counter(
            "requests",
            "Requests that have ended.",
            [((("path", p), ("model", m), ("status", str(s))), n) for (p, m, s), n in self._requests.items()],
        )
        lines += _counter(
            "errors",
            "Requests that ended with an error; 499: the client left.",
            [((("model", m), ("status", str(s))), n) for (m, s), n in self._errors.items()],
        )
        lines += [
            "# HELP pilotfish_requests_in_flight Requests under way.",
            "# TYPE pilotfish_requests_in_flight gauge",
        ]
        lines.append(f"pilotfish_requests_in_flight {in_flight}")
        for name, what, held in (
            ("request_seconds", "From a request's arrival to the last byte of its answer.", self._seconds),
            ("overhead_seconds", "The part of it that was not spent waiting for models.", self._overhead),
            ("first_byte_seconds", "To the first byte of a streamed answer.", self._first),
        ):
            lines += [f"# HELP pilotfish_{name} {what}", f"# TYPE pilotfish_{name} histogram"]
            for model, histogram in held.items():
                lines += histogram.lines(f"pilotfish_{name}", (("model", model),))
        lines += _counter("calls", "Calls of a model, every attempt.", _by_model(self._calls))
        lines += _counter(
            "tokens",
            "Tokens of a model's calls.",
            [((("model", m), ("direction", d)), n) for (m, d), n in self._tokens.items()],
        )
        lines += _counter("cost_dollars", "US dollars of a model's calls.", _by_model(self._dollars))
        lines += _counter("unpriced_calls", "Calls whose price is not known.", _by_model(self._unpriced))
        lines += _counter(
            "decisions",
            "Decisions of a collaboration, such as a cascade's deferrals.",
            [((("model", m), ("verdict", v)), n) for (m, v), n in self._verdicts.items()],
        )
        lines += _counter("cached", "Requests answered from the gateway's own cache.", _by_model(self._cached))
        return "\n".join(lines) + "\n"


def _counter(name: str, what: str, rows: Iterable[tuple[Labels, float]]) -> list[str]:
    full = f"pilotfish_{name}_total"
    head = [f"# HELP {full} {what}", f"# TYPE {full} counter"]
    return head + [f"{full}{_braces(labels)} {_number(value)}" for labels, value in rows]


def _by_model(held: dict[str, int] | dict[str, float]) -> list[tuple[Labels, float]]:
    return [((("model", model),), value) for model, value in held.items()]


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
