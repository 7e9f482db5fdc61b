"""Yesterday's traffic as outcomes: what the gateway's log says of each model's answers, and what of it is a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.infer.routing.outcomes import Outcomes

__all__ = ["traffic_outcomes"]


def traffic_outcomes(rows: Iterable[Mapping[str, Any]], models: Sequence[str]) -> tuple[Outcomes, dict[str, int]]:
    """Return what logged requests tell of the models, and how many qualities were rated and how many are guesses.

    A quality that was recorded for a request counts as it is. Where none was, a cascade's own verdict stands in: the
    first models' replies that were deferred count 0, and the one that was given out counts 1. A model that a request
    did not reach has no outcome for it; a request without any is left out.

    Args:
        rows: of `DecisionLog.export`: prompt, answered_by, and quality:NAME, cost:NAME for each model.
        models: the names, the cheapest first.

    Raises:
        DataError: no request tells anything.
    """
    texts: list[str] = []
    quality: list[list[float]] = []
    cost: list[list[float]] = []
    told = {"rated": 0, "guessed": 0}
    for row in rows:
        prompt = row.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            continue
        reached = {name: row.get(f"seconds:{name}") is not None for name in models}
        judged = sum(reached.values()) > 1
        found, paid = [], []
        for name in models:
            rated = row.get(f"quality:{name}")
            price = row.get(f"cost:{name}")
            if rated is not None:
                told["rated"] += 1
            elif reached[name] and (judged or row.get("verdict") == "accepted"):
                told["guessed"] += 1
                rated = 1.0 if row.get("answered_by") == name else 0.0
            found.append(float("nan") if rated is None else float(rated))
            paid.append(float("nan") if price is None else float(price))
        if not np.isnan(found).all():
            texts.append(prompt)
            quality.append(found)
            cost.append(paid)
    if not texts:
        raise DataError("the traffic tells no model's quality: no cascade judged a reply, and nobody rated one")
    return Outcomes(texts, tuple(models), np.array(quality), np.array(cost)), told
