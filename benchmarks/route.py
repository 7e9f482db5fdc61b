"""Routers on recorded answers of real models: do they sort requests better than the prompt's length does?

Three sets: RouteLLM's GSM8K (Mixtral-8x7B and GPT-4; the prompts that its authors found contaminated are left out),
RouterBench's Winogrande part (eleven models with costs), LLMRouter's nine open models (its own training part and test
part). Scores come from five-fold cross-validation, folds by cluster where the set has clusters; every kind of router
stands beside random order, the prompt's length, TF-IDF, surface features alone, and the oracle, over the same rows.
APGR, CPT(50%) and CPT(80%) are of a weak and a strong model named in the case; where there are more models, also the
mean quality of the model chosen, beside the best single one's. Last, how long a decision takes.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._recorded import GPT4, MIXTRAL, gsm8k_pair, llmrouter
from benchmarks._result import Cases
from pilotfish.infer.routing import (
    BoostedRouter,
    FactorRouter,
    KnnRouter,
    LinearRouter,
    Outcomes,
    Router,
    Trade,
    TunedRouter,
)
from pilotfish.measure.deferral import judge
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.models.classify.features import EncoderFeatures, TfidfFeatures
from pilotfish.models.encoder import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENCODER = "all-minilm-l6-v2"


class Once:
    """An encoder's vectors, each text's computed once, whichever fold asks for it."""

    kind = "encoder"

    def __init__(self, encoder: Encoder) -> None:
        self.inner = EncoderFeatures(encoder)
        self.known: dict[str, NDArray[np.float32]] = {}

    def fit(self, texts: Sequence[str]) -> Once:
        """Return self: there is nothing to learn."""
        return self

    def transform(self, texts: Sequence[str], *, progress: Any = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        new = list(dict.fromkeys(text for text in texts if text not in self.known))
        self.known.update(zip(new, self.inner.transform(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def save(self, folder: Path) -> None:
        """Write the encoder's name."""
        self.inner.save(folder)


def kinds(vectors: Once, quick: bool = False) -> dict[str, Callable[[], Router]]:
    """Return the routers that are compared, each made anew for each fold; the quick form leaves the slowest out."""
    found: dict[str, Callable[[], Router]] = {
        "surface, logistic": lambda: LinearRouter(c=1.0),
        "TF-IDF, logistic": lambda: LinearRouter(TfidfFeatures(), c=1.0),
        "neighbours": lambda: KnnRouter(vectors),
        "logistic": lambda: LinearRouter(vectors),
        "boosted": lambda: BoostedRouter(vectors),
        "factors": lambda: FactorRouter(vectors),
    }
    return {name: make for name, make in found.items() if not quick or name != "boosted"}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return every set's figures and the time a decision takes."""
    if data is None:
        return {"name": "route", "peer": "not run: give --data (routellm, routerbench_part, llmrouter)", "cases": []}
    cases = Cases("route", quick=quick)
    vectors = Once(Encoder(ENCODER, dtype="auto", threads=2).load())
    resamples = 200 if quick else 2000
    for name, outcomes, weak, strong, groups in sets(data, 300 if quick else None):
        routers = kinds(vectors, quick)
        if name == "GSM8K" and not quick:
            # Of one set only: each fold tunes the encoder, a minute a fold.
            routers["tuned"] = lambda: TunedRouter(vectors.inner)
        cases.add(sorting(name, outcomes, weak, strong, groups, routers, resamples))
        if len(outcomes.models) > 2:
            cases.add(choosing(name, outcomes, groups, kinds(vectors, quick), resamples))
    cases.add(latency(vectors, next(sets(data, 300))[1]))
    return {
        "name": "route",
        "peer": "random order, prompt length, TF-IDF, best single model, oracle",
        "cases": cases.found,
    }


def sets(data: Path, limit: int | None) -> Iterator[tuple[str, Outcomes, str, str, NDArray[Any]]]:
    """Yield each set's name, outcomes, weak and strong model, and the groups that stay together."""
    pair = gsm8k_pair(data, limit)
    yield "GSM8K", pair, MIXTRAL, GPT4, np.arange(len(pair))
    with (data / "routerbench_part" / "winograde_test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:limit]
    models = {key.removesuffix("|total_cost"): key for key in rows[0] if key.endswith("|total_cost")}
    outcomes = Outcomes.of(rows, text="prompt", quality={name: name for name in models}, cost=models)
    yield "Winogrande", outcomes, "mistralai/mistral-7b-chat", GPT4, np.arange(len(rows))
    outcomes, clusters = llmrouter(data, limit)
    yield "LLMRouter", outcomes, "mistral-7b-instruct-v0.3", "llama-3.3-nemotron-super-49b-v1", clusters


def held_out(groups: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield five folds' rows to learn from and to judge by; fewer where there are fewer groups."""
    yield from folds(groups, min(5, len(np.unique(groups))))


def foretold(make: Callable[[], Router], outcomes: Outcomes, groups: NDArray[Any]) -> NDArray[np.float64]:
    """Return (rows, models) quality, each row's from a router that did not learn from its fold."""
    found = np.full(outcomes.quality.shape, np.nan)
    for learn, held in held_out(groups):
        found[held] = make().fit(outcomes.take(learn)).predict([outcomes.texts[i] for i in held]).quality
    return found


def sorting(
    name: str,
    outcomes: Outcomes,
    weak: str,
    strong: str,
    groups: NDArray[Any],
    routers: dict[str, Callable[[], Router]],
    resamples: int,
) -> list[dict[str, Any]]:
    """Return how each score sorts requests between two models."""
    at = [outcomes.models.index(weak), outcomes.models.index(strong)]
    pair = Outcomes(outcomes.texts, (weak, strong), outcomes.quality[:, at], outcomes.cost[:, at])
    scores = {kind: np.diff(foretold(make, pair, groups), axis=1)[:, 0] for kind, make in routers.items()}
    lengths = [len(text) for text in pair.texts]
    cases = []
    together = groups if len(np.unique(groups)) < len(groups) else None
    for one in judge(scores, pair.quality[:, 0], pair.quality[:, 1], lengths, groups=together, resamples=resamples):
        title = f"{name}, {weak.rsplit('/', maxsplit=1)[-1]} or {strong.rsplit('/', maxsplit=1)[-1]}: {one.name}"
        figures = {"APGR": one.apgr, "CPT(50%)": one.cpt50, "CPT(80%)": one.cpt80}
        if one.over_length is not None:
            figures["APGR over prompt length's"] = one.over_length
        for figure, interval in figures.items():
            ends = {"value": interval.value, "low": interval.low, "high": interval.high}
            unit = "share of calls" if figure.startswith("CPT") else "share of the gap"
            cases.append({"case": f"{title}, {figure}", **ends, "unit": unit, "n": len(pair)})
    return cases


def choosing(
    name: str, outcomes: Outcomes, groups: NDArray[Any], routers: dict[str, Callable[[], Router]], resamples: int
) -> list[dict[str, Any]]:
    """Return the mean quality of the model each router chooses among all, beside the best single one and the oracle."""
    rows = np.arange(len(outcomes))
    best = np.empty(len(outcomes))
    for learn, held in held_out(groups):  # the best single model by the training rows
        best[held] = outcomes.quality[held][:, outcomes.quality[learn].mean(axis=0).argmax()]
    found = {"best single model": best, "oracle": outcomes.quality.max(axis=1)}
    for kind, make in routers.items():
        chosen = Trade().choose(foretold(make, outcomes, groups), outcomes.cost)
        found[kind] = outcomes.quality[rows, chosen]
    cases = []
    for kind, quality in found.items():
        figures = {"quality of the chosen": bootstrap(quality, resamples=resamples)}
        if kind != "best single model":
            figures["more than the best single model"] = paired_bootstrap(quality, best, resamples=resamples)
        for figure, interval in figures.items():
            ends = {"value": interval.value, "low": interval.low, "high": interval.high}
            title = f"{name}, {len(outcomes.models)} models: {kind}, {figure}"
            cases.append({"case": title, **ends, "unit": "mean quality", "n": len(outcomes)})
    return cases


def latency(vectors: Once, outcomes: Outcomes) -> list[dict[str, Any]]:
    """Return the median milliseconds of a decision: from a vector that is there, and from the text."""
    cases = []
    texts = outcomes.texts[:100]
    for kind, make in kinds(vectors).items():
        router = make().fit(outcomes)
        there, whole = [], []
        for text in texts:
            vector = router.vectors([text])
            began = time.perf_counter()
            router.predict_from(vector, [text])
            there.append(time.perf_counter() - began)
            vectors.known.pop(text, None)
            began = time.perf_counter()
            router.predict([text])
            whole.append(time.perf_counter() - began)
        for what, times in (("the vector is there", there), ("from the text", whole)):
            value = round(median(times) * 1000, 3)
            cases.append({"case": f"a decision, {kind}, {what}", "value": value, "unit": "ms, median", "n": len(times)})
    return cases
