"""Driving a strategy by hand, so that prompts and answers are timed apart; and transformers' assisted generation."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.strategy import Job, Strategy
from pilotfish.infer.questions import read_questions
from pilotfish.measure.intervals import Interval, bootstrap

FEW = 8  # batches, below which an interval over them says nothing
# Spec-Bench's six tasks (Xia et al. 2024, table 2); the first eight categories are MT-bench's.
TASKS = {
    "multi-turn conversation": (
        *("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"),
    ),
    "translation": ("translation",),
    "summarisation": ("summarization",),
    "question answering": ("qa",),
    "mathematical reasoning": ("math_reasoning",),
    "RAG": ("rag",),
}


@dataclass(frozen=True)
class Drive:
    """Answers up to their ends, and for each batch of them the tokens and seconds after the first token of each."""

    answers: list[list[int]]
    batches: list[tuple[int, float]]

    @property
    def rate(self) -> float:
        """Tokens a second, prompts left out."""
        return sum(tokens for tokens, _ in self.batches) / max(1e-9, sum(seconds for _, seconds in self.batches))


def joined(runs: Sequence[Drive]) -> Drive:
    """Return runs over parts as one over all of them."""
    return Drive([answer for run in runs for answer in run.answers], [entry for run in runs for entry in run.batches])


def interval(pairs: Sequence[tuple[Drive, Drive]]) -> Interval | None:
    """Return the ratio of two ways' rates over all rounds, with a bootstrap interval over prompts; None where FEW."""
    rows = [
        [entry for pair in pairs for run in pair for entry in run.batches[i]] for i in range(len(pairs[0][0].batches))
    ]
    if len(rows) < FEW:
        return None

    def ratio(data: Any) -> float:
        mine, took, its, lasted = data.reshape(-1, 4).sum(axis=0)
        return float(mine / took / (its / lasted))

    return bootstrap(rows, ratio, resamples=2000, method="percentile")


def drive(strategy: Strategy, prompts: Sequence[Any], ends: frozenset[int], limit: int, batch: int = 1) -> Drive:
    """Answer prompts greedily, `batch` at a time; each batch runs until the last of its rows is done."""
    answers: list[list[int]] = []
    batches = []
    for at in range(0, len(prompts), batch):
        jobs = [
            Job(prompt, Sampler(Sampling(), strategy.vocabulary, prompt[0]), limit)
            for prompt in prompts[at : at + batch]
        ]
        strategy.begin(jobs)
        said = {job: list(step.tokens) for job, step in zip(jobs, strategy.step(jobs), strict=True)}
        going = [job for job in jobs if not _done(said[job], ends, limit)]
        began = time.perf_counter()
        while going:
            for job, step in zip(going, strategy.step(going), strict=True):
                said[job] += step.tokens
            going = [job for job in going if not _done(said[job], ends, limit)]
        seconds = time.perf_counter() - began
        for job in jobs:
            strategy.end(job)
        kept = [_cut(said[job], ends, limit) for job in jobs]
        answers += kept
        batches.append((sum(map(len, kept)) - len(kept), seconds))
    return Drive(answers, batches)


def assisted(module: Any, small: Any, prompts: Sequence[Any], ends: frozenset[int], limit: int) -> Drive:
    """Answer prompts by `transformers.generate(assistant_model=…)`, greedily, its own heuristics at their defaults."""
    answers: list[list[int]] = []
    batches = []
    for prompt in prompts:
        seen: list[tuple[float, int]] = []

        def clock(ids: Any, scores: Any, seen: list[tuple[float, int]] = seen, **_: Any) -> Any:
            seen.append((time.perf_counter(), ids.shape[1]))
            return torch.zeros(len(ids), dtype=torch.bool)

        ids = torch.tensor([prompt[0]])
        with torch.inference_mode():
            out = module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                assistant_model=small,
                do_sample=False,
                max_new_tokens=limit,
                eos_token_id=sorted(ends),
                pad_token_id=0,
                stopping_criteria=[clock],
            )
        answer = _cut(out[0, ids.shape[1] :].tolist(), ends, limit)
        answers.append(answer)
        # From the first round's end on: it holds the prompt.
        batches.append((ids.shape[1] + len(answer) - seen[0][1], seen[-1][0] - seen[0][0]))
    return Drive(answers, batches)


def _done(said: list[int], ends: frozenset[int], limit: int) -> bool:
    return len(said) >= limit or not ends.isdisjoint(said)


def _cut(said: list[int], ends: frozenset[int], limit: int) -> list[int]:
    """Return the tokens up to the first end, that one included, and no more than the limit."""
    at = next((i for i, token in enumerate(said) if token in ends), len(said))
    return said[: min(at + 1, limit)]


def humaneval(data: Path, count: int) -> list[str]:
    """Return the first prompts of HumanEval, as a user would ask for them."""
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [f"Complete this Python function.\n\n```python\n{row['prompt']}```" for row in rows[:count]]


def spec_bench(data: Path, count: int) -> dict[str, list[str]]:
    """Return the first turns of a seeded sample of each of Spec-Bench's tasks."""
    import random

    questions = read_questions(data / "spec_bench" / "question.jsonl")
    found = {}
    for task, categories in TASKS.items():
        turns = [question.turns[0] for question in questions if question.category in categories]
        found[task] = random.Random(0).sample(turns, min(count, len(turns)))
    return found
