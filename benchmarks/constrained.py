"""Constrained machines: SmolLM2-135M and MiniLM in every runtime and precision that this machine has, measured.

MiniLM with a head tells TREC's six kinds of questions apart (the official test part) and gives the similarities of the
test part of STS-b; SmolLM2 reads the beginnings of articles of WikiText-2 and goes on with them.
Each candidate is exported and then measured in a process of its own: cold start, peak memory, disk, p50 and p95 of
single rows, rows a second in batches, energy, and its quality with what quantising costs, paired on the same rows.
Energies are estimated from processor seconds where the machine has no readable counter; figures say how long a
candidate waited for a core. Exports and measurements are kept (`.bench/constrained`). `--quick` takes MiniLM on TREC in
ONNX Runtime, int8 and float32, for three seconds each.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases, estimated
from benchmarks._wikitext import articles
from pilotfish.compete.constrained import (
    Fit,
    FitSettings,
    FitTask,
    Limits,
    classes_task,
    fit,
    similarity_task,
    text_task,
)
from pilotfish.compete.constrained.candidate import Candidate
from pilotfish.compete.constrained.folder import write_folder
from pilotfish.compete.constrained.measured import How
from pilotfish.compete.constrained.task import MEASURES, perplexity

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "constrained"
ENCODER, LANGUAGE = "all-minilm-l6-v2", "smollm2-135m-instruct"
PAIRS, ARTICLES, CHARACTERS, SEED = 400, 30, 800, 3


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what every candidate takes and is worth."""
    if data is None:
        return {"name": "constrained", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("constrained", quick=quick)
    how = How(seconds=3.0 if quick else 8.0)
    one = FitSettings(Limits(memory=2**29), ("onnx",), ("fp32", "int8"), how=how) if quick else FitSettings(how=how)
    cases.add(_cases("TREC", _fitted("trec", trec(data), ENCODER, one, quick), ENCODER))
    if not quick:
        # One row is an answer of 16 tokens.
        slow = replace(one, how=replace(how, batch=8))
        cases.add(_cases("WikiText-2", _fitted("wikitext", texts(data), LANGUAGE, slow, quick), LANGUAGE))
        cases.add(_cases("STS-b", _fitted("sts", similar(data), ENCODER, one, quick), ENCODER))
    return {"name": "constrained", "cases": cases.found}


def trec(data: Path) -> FitTask:
    """Return the kinds of questions; the official parts."""
    parts = []
    for name in ("train", "test"):
        path = data / "sent_conv" / f"TREC.{name}.all"
        lines = path.read_text(encoding="latin-1").splitlines()
        pairs = (line.split(" ", 1) for line in lines if line.strip())
        parts.append([{"label": label, "text": text} for label, text in pairs])
    return classes_task(parts[0], "text", "label", test=parts[1], seed=SEED)


def similar(data: Path) -> FitTask:
    """Return pairs of sentences and how alike people say they are: a seeded sample."""
    with (data / "stsb_en" / "stsb-en-test.csv").open(encoding="utf-8", newline="") as file:
        rows = [{"a": a, "b": b, "score": score} for a, b, score in csv.reader(file)]
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:PAIRS])
    return similarity_task([rows[i] for i in drawn], "a", "b", "score")


def texts(data: Path) -> FitTask:
    """Return the beginnings of articles: a seeded sample."""
    found = articles(data)
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(found))[:ARTICLES])
    return text_task([{"text": found[i][:CHARACTERS]} for i in drawn], "text")


def _fitted(name: str, task: FitTask, model: str, settings: FitSettings, quick: bool) -> Fit:
    out = RUNS / f"{name}{'-quick' if quick else ''}"
    return write_folder(fit(task, [model], out, settings, say=lambda text: print(f"  {text}", flush=True)), out)


def _cases(title: str, found: Fit, model: str) -> Iterator[dict[str, Any]]:
    measure = MEASURES[found.task.sort]
    for one in found.candidates:
        yield from _of(f"{title}, {one.name}", one, measure, found.task.sort)
    for hole in found.skipped:
        # Not a figure, but a hole in the table that has to be seen.
        yield {"case": f"{title}, {hole.name}: not measured ({hole.why})", "value": 0, "unit": "figures", "n": 0}
    assert found.proof or found.verdict.chosen is None, model
    if found.proof:
        yield {
            "case": f"{title}, {found.verdict.chosen.name if found.verdict.chosen else model}: change after the reload",
            "value": found.proof["largest_change"],
            "unit": "of a row's score",
            "n": found.proof["rows"],
        }


def _of(title: str, one: Candidate, measure: str, sort: str) -> Iterator[dict[str, Any]]:
    m = one.measured
    yield estimated(f"{title}: {measure}", one.quality, measure)
    if one.lost is not None:
        yield estimated(f"{title}: {measure} lost by it", one.lost, measure)
    if sort == "text":
        yield _one(f"{title}: perplexity a token", perplexity(m.table), "perplexity", len(m.scores))
    for what, value, unit in (
        ("cold start", m.cold_start, "seconds"),
        ("peak memory", m.memory / 2**20, "MiB"),
        ("disk", m.disk / 2**20, "MiB"),
        ("single row, p50", m.p50 * 1e3, "ms"),
        ("single row, p95", m.p95 * 1e3, "ms"),
        (f"in batches of {m.batch}", m.rows_per_second, "rows a second"),
        (f"energy of a single row, {m.energy}", m.joules, "J"),
        (f"energy of a row in a batch, {m.energy}", m.joules_batched, "J"),
        ("share of its time spent waiting for a core", m.waited or 0.0, "share"),
    ):
        yield _one(f"{title}: {what}", value, unit, m.singles)


def _one(case: str, value: float, unit: str, n: int) -> dict[str, Any]:
    return {"case": case, "value": value, "unit": unit, "n": n}
