"""What logged requests add up to: shares, dollars, latencies, over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pilotfish.model import Price

__all__ = ["prices_of", "totals"]

_BARS = 30  # steps of the time line
_PARTS = ("small", "large", "model", "models", "base", "target")  # what collaborations call the models they ask
_LEAST = 20  # answers before their 99th percentile means something


def totals(
    rows: Sequence[Mapping[str, Any]], since: float, until: float, prices: Mapping[str, Price]
) -> dict[str, Any]:
    """Return what the rows of a time add up to, as plain data; seconds, dollars, shares.

    `saved` compares with the dearest model: that each request had been answered by it alone. What that would have cost
    is known where it was asked. Else it is its cost a token of the first call, over the requests that it was asked
    about after another model; where there are none, its price for the tokens of the last call.

    Args:
        rows: of the log, oldest first.
        since: seconds since 1970.
        until: likewise.
        prices: of models, as far as they are known.
    """
    answered = [row for row in rows if row["status"] == 200]
    fresh = [row for row in answered if not row["cached"]]
    counts = Counter(_answerer(row) for row in answered)
    costs = [row["cost"] for row in rows]
    deferrals = [row["verdict"] for row in fresh if row["verdict"] in ("accepted", "deferred")]
    return {
        "since": since,
        "until": until,
        "requests": len(rows),
        "answered": len(answered),
        "refused": sum(400 <= row["status"] < 499 for row in rows),
        "left": sum(row["status"] == 499 for row in rows),
        "failed": sum(row["status"] >= 500 for row in rows),
        "cached": sum(row["cached"] for row in answered),
        "tokens_in": sum(row["tokens_in"] for row in rows),
        "tokens_out": sum(row["tokens_out"] for row in rows),
        "cost": sum(cost for cost in costs if cost is not None),
        "unpriced": sum(cost is None for cost in costs),
        "deferred": deferrals.count("deferred") / len(deferrals) if deferrals else None,
        "seconds": _quantiles([row["seconds"] for row in fresh]),
        "overhead": _quantiles([row["overhead"] for row in answered]),
        "first_byte": _quantiles([row["first_byte"] for row in fresh if row["first_byte"] is not None]),
        "models": [
            {"model": name, "requests": count, "share": count / len(answered)} for name, count in counts.most_common()
        ],
        **_saved(answered, prices),
        "timeline": _timeline(rows, since, until),
    }


def prices_of(models: Mapping[str, Any]) -> dict[str, Price]:
    """Return the prices of models, and of those that they ask, as far as they say."""
    found: dict[str, Price] = {}
    seen: set[int] = set()
    waiting: list[Any] = list(models.values())
    while waiting:
        model = waiting.pop()
        if id(model) in seen or not hasattr(model, "name"):
            continue
        seen.add(id(model))
        price = getattr(model, "price", None)
        if isinstance(price, Price):
            found[model.name] = price
        for name in _PARTS:
            part = getattr(model, name, None)
            if isinstance(part, Mapping):
                waiting += part.values()
            elif isinstance(part, list | tuple):
                waiting += part
            elif part is not None:
                waiting.append(part)
    return found


def _answerer(row: Mapping[str, Any]) -> str:
    """Return whose answer it was; one from the gateway's own cache is nobody's work."""
    return "cache" if row["cached"] else row["answered_by"] or row["model"]


def _quantiles(values: Iterable[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    out: dict[str, float | None] = {}
    for name, at in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        enough = len(ordered) >= (_LEAST if at > 0.9 else 1)
        out[name] = ordered[min(len(ordered) - 1, int(at * len(ordered)))] if enough else None
    return out


def _saved(rows: Sequence[Mapping[str, Any]], prices: Mapping[str, Price]) -> dict[str, Any]:
    """Return dollars saved against the dearest model alone, and its name; None where no model has a price."""
    spent: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for row in rows:
        for call in row["calls"]:
            if call["cost"] and not call["cached"]:
                spent[call["model"]] += call["cost"]
                tokens[call["model"]] += call["tokens_in"] + call["tokens_out"]
    rates = {name: cost / tokens[name] for name, cost in spent.items() if tokens[name]}
    rates |= {name: (price.input + price.output) / 2e6 for name, price in prices.items() if price.input or price.output}
    if not rates:
        return {"saved": None, "against": None}
    large = max(rates, key=lambda name: rates[name])
    priced = [row for row in rows if row["cost"] is not None and row["calls"]]
    owns = [sum(call["cost"] or 0 for call in row["calls"] if call["model"] == large) for row in priced]
    firsts = [row["calls"][0]["tokens_in"] + row["calls"][0]["tokens_out"] for row in priced]
    after = [i for i, row in enumerate(priced) if owns[i] and row["calls"][0]["model"] != large and firsts[i]]
    ratio = sum(owns[i] for i in after) / sum(firsts[i] for i in after) if after else None
    saved = 0.0
    for row, own, first in zip(priced, owns, firsts, strict=True):
        last = row["calls"][-1]
        if own:
            alone = own
        elif ratio is not None and row["calls"][0]["model"] != large:
            alone = ratio * first
        elif large in prices:
            alone = prices[large].cost(last["tokens_in"], last["tokens_out"])
        else:
            alone = rates[large] * (last["tokens_in"] + last["tokens_out"])
        saved += alone - row["cost"]
    return {"saved": saved, "against": large}


def _timeline(rows: Sequence[Mapping[str, Any]], since: float, until: float) -> list[dict[str, Any]]:
    """Return the requests of each step of time, by who answered; what was not answered counts as "none"."""
    step = max((until - since) / _BARS, 1e-9)
    counts: list[Counter[str]] = [Counter() for _ in range(_BARS)]
    for row in rows:
        at = int((row["time"] - since) / step)
        if 0 <= at < _BARS:
            counts[at][_answerer(row) if row["status"] == 200 else "none"] += 1
    return [{"from": since + i * step, "models": dict(count)} for i, count in enumerate(counts)]
