"""Recorded answers of real models as trials, with a score that did not learn from the row it sorts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.infer.routing import LinearRouter, Outcomes
from pilotfish.infer.signals import SIGNALS
from pilotfish.infer.trial import Trials
from pilotfish.measure.answers import answer_by
from pilotfish.measure.folds import folds
from pilotfish.models.classify.features import TfidfFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
SMALL, LARGE = "6b_verification", "175b_verification"


def gsm8k_pair(data: Path, limit: int | None = None) -> Outcomes:
    """Return Mixtral's and GPT-4's answers to GSM8K, without the prompts that RouteLLM's authors found contaminated."""
    folder = data / "routellm" / "gsm8k"
    leaked = {
        json.loads(line)["eval_idx"]
        for line in (folder / "contaminated_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    }
    with (folder / "gsm8k_responses.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for i, row in enumerate(csv.DictReader(file)) if i not in leaked][:limit]
    return Outcomes.of(rows, text="prompt", quality={name: name for name in (MIXTRAL, GPT4)})


def llmrouter(data: Path, limit: int | None = None) -> tuple[Outcomes, NDArray[Any]]:
    """Return nine open models' answers, and the cluster of each request."""
    folder = data / "llmrouter" / "dcrouter_preprocessed"
    found = json.loads((folder / "train.json").read_text(encoding="utf-8"))[:limit]
    names = sorted(found[0]["scores"])
    quality = np.array([[row["scores"][name] for name in names] for row in found], np.float64)
    outcomes = Outcomes([row["question"] for row in found], tuple(names), quality, np.full(quality.shape, np.nan))
    return outcomes, np.array([row["cluster_id"] for row in found])


def solutions(data: Path) -> tuple[Trials, dict[str, NDArray[np.float64]]]:
    """Return GSM8K's recorded 6B and 175B solutions, both picked by a verifier, and what sorts them.

    The signals see nothing but the small model's own words: whether its two ways of answering (plain, and by verifier)
    come to the same number, and how long its solution is. The trial's score is the first, ties broken by the second.
    """
    path = data / "gsm8k" / "example_model_solutions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    read = answer_by("last-number")
    said = [[read(row[name]["solution"]) for name in (SMALL, "6b_finetuning")] for row in rows]
    agrees = np.array([float(one != "" and one == two) for one, two in said])
    brevity = -np.array([float(len(row[SMALL]["solution"])) for row in rows])
    grades = np.array([[float(row[name]["is_correct"]) for name in (SMALL, LARGE)] for row in rows])
    signals = {"agreement of two samples": agrees, "shortness of the solution": brevity}
    signals["both"] = agrees + brevity / 1e5
    return trials([row["question"] for row in rows], (SMALL, LARGE), grades, signals["both"]), signals


def routed(outcomes: Outcomes, weak: str, strong: str) -> Trials:
    """Return two models' answers with the score of a TF-IDF router, by five-fold cross-validation."""
    at = [outcomes.models.index(weak), outcomes.models.index(strong)]
    pair = Outcomes(outcomes.texts, (weak, strong), outcomes.quality[:, at], outcomes.cost[:, at])
    score = np.empty(len(pair))
    for learn, held in folds(np.arange(len(pair))):
        router = LinearRouter(TfidfFeatures(), c=1.0).fit(pair.take(learn))
        foretold = router.predict([pair.texts[int(i)] for i in held]).quality
        score[held] = foretold[:, 0] - foretold[:, 1]
    return trials(pair.texts, (weak, strong), pair.quality, score)


def trials(texts: Any, models: tuple[str, ...], grades: NDArray[np.float64], score: NDArray[np.float64]) -> Trials:
    """Return a trial of two models with one score; costs are not known, so calls are counted."""
    own, unknown = score[:, None], np.full(grades.shape, np.nan)
    signals = np.zeros((len(grades), 1, len(SIGNALS)))
    return Trials(models, texts, grades, unknown, np.zeros(grades.shape), own, own * 0, own >= 0, signals)
