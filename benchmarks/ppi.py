"""Prediction-powered means on people's real scores: does the interval hold the truth, and how much narrower is it?

SummEval's four dimensions. A judge is taught on the articles that come first (overlaps with the source and BERTScore by
MiniLM, ridge regression); the rest are the whole that is to be known. 500 times some of its rows are drawn at random as
those that people judged; the judge judges all others. Beside it: people's rows alone, and the judge alone, which gives
no honest interval. `--quick` draws 50 times.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks.meta import OUT, SEEN, features, held, scored, summeval
from pilotfish.evaluate.estimator import Estimator
from pilotfish.evaluate.ppi import powered_mean
from pilotfish.measure.intervals import wilson
from pilotfish.models.encoder import Encoder

DRAWS, SIZES, LEVEL, TAUGHT = 500, (50, 100, 200), 0.95, 480


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return coverage and widths by the number of people's rows."""
    if data is None:
        return {"name": "ppi", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("ppi", quick=quick)
    every = summeval(data)
    assert every.items is not None
    kept = held(OUT / "whole" / "SummEval.json", partial(scored, every, Encoder("all-minilm-l6-v2")))
    rows = features(every, kept)
    taught, rest = list(range(TAUGHT)), list(range(TAUGHT, len(every.texts)))
    for name, people in every.people.items():
        judge = Estimator(numbers=SEEN, positive=True)
        judge.fit([rows[i] for i in taught], people[taught], [every.items[i] for i in taught])
        cases.add(of_dimension(name, judge([rows[i] for i in rest]).values, people[rest], 50 if quick else DRAWS))
    return {"name": "ppi", "peer": "people's rows alone", "cases": cases.found}


def of_dimension(
    name: str, judged: NDArray[np.float64], people: NDArray[np.float64], draws: int
) -> Iterator[dict[str, Any]]:
    """Yield how often intervals hold the mean of all rows, and how wide they are."""
    truth = float(people.mean())
    told = {
        "the judge's mean less people's": (float(judged.mean()) - truth, "points"),
        "the judge's correlation with people": (float(np.corrcoef(judged, people)[0, 1]), "Pearson"),
        "people's skewness": (float(((people - truth) ** 3).mean() / people.std() ** 3), "of a normal: 0"),
    }
    yield from (
        {"case": f"{name}: {what}", "value": v, "unit": unit, "n": len(people)} for what, (v, unit) in told.items()
    )
    for size in SIZES:
        within = {"both": 0, "people alone": 0}
        widths = {"both": 0.0, "people alone": 0.0}
        for draw in range(draws):
            order = np.random.default_rng(draw).permutation(len(people))
            mine, others = order[:size], order[size:]
            found = powered_mean(people[mine], judged[mine], judged[others], level=LEVEL)
            for way, interval in (("both", found.mean), ("people alone", found.people)):
                within[way] += interval.contains(truth)
                widths[way] += interval.width / draws
        for way, count in within.items():
            title = f"{name}, {size} of people's rows, {way}"
            yield estimated(f"{title}: held the truth", wilson(count, draws), "share")
            yield {"case": f"{title}: width", "value": widths[way], "unit": "points", "n": draws}
        less = widths["both"] / widths["people alone"]
        yield {
            "case": f"{name}, {size} of people's rows: width of people's alone",
            "value": less,
            "unit": "x",
            "n": draws,
        }
