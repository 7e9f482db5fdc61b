"""Recorded answers of real models as a trial: any policy over them can be judged, and nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.infer.routing.outcomes import Outcomes, number_in
from pilotfish.infer.signals import SIGNALS
from pilotfish.infer.trial import Trials

__all__ = ["Columns", "recorded_trials"]


@dataclass(frozen=True)
class Columns:
    """Where a recording has what a policy needs; `quality:NAME` and so on where nothing is said, as the gateway's log.

    Attributes:
        text: of the request.
        quality: model -> the column of its quality.
        cost: model -> of its dollars.
        score: model -> of the score that its replies are accepted by.
        seconds: model -> of its seconds.
    """

    text: str = "prompt"
    quality: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, str] = field(default_factory=dict)
    score: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, str] = field(default_factory=dict)

    def of(self, what: str, model: str) -> str:
        """Return the column of "quality", "cost", "score" or "seconds" of a model."""
        given: str = getattr(self, what).get(model, f"{what}:{model}")
        return given


def recorded_trials(
    rows: Iterable[Mapping[str, Any]],
    models: Sequence[str],
    columns: Columns,
    *,
    accepts: Sequence[float] = (),
) -> tuple[Trials, int]:
    """Return the rows in which every model's quality is recorded, as a trial, and how many rows lack one.

    Args:
        rows: the recording.
        models: the names, in the policy's order.
        columns: where what is.
        accepts: the threshold of each model's score but the last's; empty where nothing is accepted by score.

    Raises:
        DataError: no row has them all, a value is no number, or a row lacks a score that a threshold is for.
    """
    given = list(rows)
    places = {name: columns.of("quality", name) for name in models}
    outcomes = Outcomes.of(
        given, text=columns.text, quality=places, cost={name: columns.of("cost", name) for name in models}
    )
    whole = np.flatnonzero(~np.isnan(outcomes.quality).any(axis=1))
    if not len(whole):
        raise DataError(f"no row has a quality of every model: columns {', '.join(places.values())}")

    def column(what: str, name: str) -> list[float]:
        at = columns.of(what, name)
        return [number_in(given[i], at, int(i) + 1) for i in whole]

    kept = outcomes.take(whole)
    judged = models[: len(accepts)]
    scores = np.array([column("score", name) for name in judged], np.float64).reshape(len(judged), len(whole)).T
    if np.isnan(scores).any():
        row, place = (int(at[0]) for at in np.nonzero(np.isnan(scores)))
        raise DataError(f"row {int(whole[row]) + 1}: no score in {columns.of('score', judged[place])!r}")
    seconds = np.array([column("seconds", name) for name in models]).T
    found = Trials(
        tuple(models),
        kept.texts,
        kept.quality,
        kept.cost,
        np.nan_to_num(seconds),
        scores,
        np.zeros_like(scores),
        scores >= np.array(accepts, np.float64),
        np.zeros((len(whole), len(judged), len(SIGNALS))),
    )
    return found, len(given) - len(whole)
