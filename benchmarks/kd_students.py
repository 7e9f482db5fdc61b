"""Distillation on real pairs: within a family, across tokenizers, and of a draft for speculative decoding.

- Family: Qwen2.5-Coder 1.5B teaches the 0.5B on GSM8K's worked answers (through a cache of its 128 likeliest tokens).
- Tokenizers: SmolLM2-135M teaches Qwen2.5-Coder-0.5B on WikiText-2; agreement is over the places where both readings of
  a text have a boundary.
- Draft: the 0.5B learns to draft for the 1.5B, over what that one answers to a few of Spec-Bench's questions; half of
  SmolLM2-135M's layers learn to draft for all of them.

Each figure is of rows that taught nothing, before and after, its gain a paired bootstrap over examples. Runs go on
where they were stopped (`.bench/kd-students`). `--quick` takes SmolLM2-135M, which teaches itself without three layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases
from benchmarks._wikitext import parts
from pilotfish.distill.distiller import Distiller
from pilotfish.distill.draft import Drafted, teach_draft
from pilotfish.distill.init import student_of
from pilotfish.distill.report import Distilled
from pilotfish.measure.intervals import Interval
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "kd-students"
LARGE, MIDDLE, SMALL = "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct"
ADAPTERS: dict[str, Any] = {"rank": 16, "rate": 3e-4, "every": 10}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each pair gained."""
    if data is None and not quick:
        return {"name": "kd-students", "peer": "not run: give --data", "cases": []}
    cases = Cases("kd-students", quick=quick)
    for told in _quick() if data is None or quick else _whole(data):
        cases.add(told)
    return {"name": "kd-students", "peer": "the student before it was taught", "cases": cases.found}


def _quick() -> Iterator[list[dict[str, Any]]]:
    cut = RUNS / "quick" / "student"
    student_of(SMALL, cut, layers=27)
    texts = [f"The number {i} comes after {i - 1} and before {i + 1}." for i in range(40)]
    how = Fit(steps=2, batch_tokens=128, **ADAPTERS)
    yield _nearer("SmolLM2-135M without 3 layers", Distiller(cut, SMALL, RUNS / "quick" / "taught", fit=how).fit(texts))
    asked = [{"prompt": f"What comes after {i}?"} for i in range(8)]
    yield _drafted(
        "the same", teach_draft(SMALL, cut, asked, RUNS / "quick" / "draft", fit=how, max_tokens=8, held_out=0.25)
    )


def _whole(data: Path) -> Iterator[list[dict[str, Any]]]:
    random = np.random.default_rng(0)
    problems = _lines(data / "gsm8k" / "train.jsonl")
    rows = [
        {"prompt": problems[i]["question"], "answer": problems[i]["answer"]}
        for i in random.permutation(len(problems))[:150]
    ]
    how = Fit(epochs=1, batch_tokens=1024, **ADAPTERS)
    taught = Distiller(MIDDLE, LARGE, RUNS / "family", cached=128, fit=how, held_out=0.2).fit(rows)
    yield _nearer("Qwen2.5-Coder 1.5B to 0.5B, GSM8K", taught)
    train, _ = parts(data)
    texts = [article[:6000] for article in train[:40]]
    how = Fit(steps=40, batch_tokens=512, **ADAPTERS)
    taught = Distiller(MIDDLE, SMALL, RUNS / "crossed", fit=how, length=256, held_out=0.15).fit(texts)
    yield _nearer("SmolLM2-135M to Qwen2.5-Coder 0.5B, WikiText-2", taught)
    questions = _lines(data / "spec_bench" / "question.jsonl")
    short = [{"prompt": row["turns"][0]} for row in questions if len(row["turns"][0]) < 600]
    prompts = [short[i] for i in random.permutation(len(short))[:120]]
    how = Fit(epochs=2, batch_tokens=1024, **ADAPTERS)
    yield _drafted(
        "Qwen2.5-Coder 0.5B for 1.5B, Spec-Bench",
        teach_draft(LARGE, MIDDLE, prompts, RUNS / "draft", fit=how, max_tokens=80, held_out=0.2),
    )
    half = RUNS / "half"
    student_of(SMALL, half, layers=15)
    how = Fit(epochs=6, batch_tokens=1024, rate=5e-4, every=10)
    yield _drafted(
        "15 layers of SmolLM2-135M for its 30, Spec-Bench",
        teach_draft(SMALL, half, prompts, RUNS / "draft-half", fit=how, max_tokens=128, held_out=0.2),
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _nearer(title: str, distiller: Distiller) -> list[dict[str, Any]]:
    report: Distilled = distiller.report_
    units = {"agreement": "share of tokens", "divergence": "nats a token", "cross_entropy": "nats a token"}
    cases: list[dict[str, Any]] = []
    for name, unit in units.items():
        figure = report.figures[name]
        for when in ("before", "after"):
            value = {"value": getattr(figure, when), "unit": unit, "n": report.held_out}
            cases.append({"case": f"{title}: {name} {when}", **value})
        cases.append({"case": f"{title}: {name}, gained", **_ends(figure.gain), "unit": unit, "n": report.held_out})
    return cases


def _drafted(title: str, report: Drafted) -> list[dict[str, Any]]:
    named = {
        "accepted length before": (report.before, "tokens a pass"),
        "accepted length after": (report.after, "tokens a pass"),
        "accepted length, gained": (report.gain, "tokens a pass"),
        "accepted before": (report.rate_before, "share of proposed tokens"),
        "accepted after": (report.rate_after, "share of proposed tokens"),
    }
    return [
        {"case": f"{title}: {name}", **_ends(found), "unit": unit, "n": report.held_out}
        for name, (found, unit) in named.items()
    ]


def _ends(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}
