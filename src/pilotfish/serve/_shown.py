"""What the page asks the gateway for: totals, rows, what-if and drift, as plain data. Runs in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from pilotfish.errors import DataError
from pilotfish.model import Model
from pilotfish.serve._totals import prices_of, totals
from pilotfish.serve.log import DecisionLog
from pilotfish.serve.what_if import Traffic, cascades_in

__all__ = ["Shown"]

T = TypeVar("T")

MOST = 5000  # requests that totals and what-if look at: the latest
_FRESH = 2.0  # seconds that an answer serves everyone who asks
_BINS = 24


class Shown:
    """The figures of the page.

    Args:
        log: the decision log.
        models: what the gateway serves, for prices and calibrations.
        now: seconds since 1970.
    """

    def __init__(self, log: DecisionLog, models: Mapping[str, Model], now: Callable[[], float] = time.time) -> None:
        self._log, self._now = log, now
        self._models = dict(models)
        self._prices = prices_of(models)
        self._known: dict[tuple[Any, ...], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return the totals of the last seconds."""

        def make() -> dict[str, Any]:
            rows, until = self._rows(seconds), self._now()
            found = totals(rows, until - seconds, until, self._prices)
            return {**found, "whole": len(rows) < MOST, "dropped": self._log.dropped}

        return self._once(("summary", seconds), make)

    def latest(self, after: int | None, limit: int) -> list[dict[str, Any]]:
        """Return the latest rows, newest last, as the list of requests shows them."""
        return [_short(row) for row in self._log.rows(after=after, limit=limit, texts="prompt")]

    def request(self, id: str) -> dict[str, Any] | None:
        """Return one whole row."""
        self._log.flush(1.0)
        return next(iter(self._log.rows(id=id, limit=1)), None)

    def what_if(self, seconds: float, model: str | None) -> dict[str, Any]:
        """Return what thresholds of a cascade, the busiest one where none is named, would have done."""

        def make() -> dict[str, Any]:
            rows = self._rows(seconds)
            names = cascades_in(rows)
            if not names or (model and model not in names):
                return {"models": names, "model": None}
            traffic = Traffic.of(rows, model or names[0])
            now = traffic.now.to_json()
            # NaN is no JSON: no one threshold tells what was deferred.
            now["threshold"] = traffic.threshold
            return {
                "models": names,
                "model": traffic.model,
                "requests": len(traffic),
                "now": now,
                "curve": [point.to_json() for point in traffic.curve()],
                "fixed": _fixed(self._watch(traffic.model)),
            }

        return self._once(("what-if", seconds, model), make)

    def drift(self, seconds: float, model: str | None) -> dict[str, Any]:
        """Return the live scores of a cascade beside those it was calibrated on."""

        def make() -> dict[str, Any]:
            rows = self._rows(seconds)
            watched = [name for name in self._models if self._watch(name) is not None]
            names = sorted({*watched, *cascades_in(rows)})
            chosen = model or next(iter(watched or names), None)
            if chosen is None or chosen not in names:
                return {"models": names, "model": None}
            try:
                live = Traffic.of(rows, chosen).score
            except DataError:
                live = np.empty(0)
            watch = self._watch(chosen)
            reference = None if watch is None else np.asarray(watch.reference, np.float64)
            shown = live if reference is None else np.concatenate([live, reference])
            finite = shown[np.isfinite(shown)]
            found: dict[str, Any] = {
                "models": names,
                "model": chosen,
                "live": len(live),
                "calibrated": watch is not None,
            }
            if len(finite):
                edges = np.histogram_bin_edges(finite, _BINS)
                found["edges"] = edges.tolist()
                found["live_share"] = _shares(live, edges)
                if reference is not None:
                    found["calibrated_share"] = _shares(reference, edges)
            if watch is not None:
                found["threshold"] = float(watch.above)
                if len(live):
                    found["drift"] = watch.judge(live.tolist()).to_json()
            return found

        return self._once(("drift", seconds, model), make)

    def _watch(self, name: str) -> Any:
        """Return what compares a cascade's scores with calibration's; None where its file has no calibration."""
        return getattr(getattr(self._models.get(name), "accept", None), "watch", None)

    def _rows(self, seconds: float) -> list[dict[str, Any]]:
        return self._once(
            ("rows", seconds), lambda: self._log.rows(since=self._now() - seconds, limit=MOST, texts=False)
        )

    def _once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what was made a moment ago, so that ten open pages cost hardly more than one."""
        with self._lock:
            known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < _FRESH:
            return known[1]  # type: ignore[no-any-return]
        made = make()
        with self._lock:
            self._known = {k: v for k, v in self._known.items() if time.monotonic() - v[0] < _FRESH}
            self._known[key] = (time.monotonic(), made)
        return made


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("seq", "id", "time", "key", "model", "answered_by", "status", "error", "seconds", "streamed", "cached")
    further = ("attempts", "tokens_in", "tokens_out", "cost", "verdict", "score")
    return {**{name: row[name] for name in (*names, *further)}, "prompt": row["prompt"][:160]}


def _shares(values: Any, edges: Any) -> list[float]:
    if not len(values):
        return [0.0] * (len(edges) - 1)
    return [float(share) for share in np.histogram(values, edges)[0] / len(values)]


def _fixed(watch: Any) -> float | None:
    """Return the threshold that a calibration fixed."""
    return None if watch is None else float(watch.above)
