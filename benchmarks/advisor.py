"""`pilotfish advise` on five tasks of five kinds: what it says, that it keeps its budget, that a killed run goes on.

Text: TREC (six question types, official test). Table: titanic. Extraction: wikigold, the persons, organisations and
places of 600 drawn sentences. Retrieval: XQuAD's English questions over its 240 paragraphs, marked by words shared with
the answer. Generation: 300 instructions whose answers a judge grades, which is the large model itself. Small models are
MiniLM (text) and SmolLM2-135M-Instruct, the large one Qwen2.5-Coder-1.5B-Instruct in int8. Each runs as a command of
its own with a budget of 15 minutes; the table's is killed after 40 seconds and started again. Folders with reports are
kept under `.bench/advisor`; a finished one is not run again. `--quick` advises on the table alone, in half a minute.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases
from benchmarks.advise import TREC_NAMES
from pilotfish.compete.advisor.leaves import LEAVES
from pilotfish.rows.write import write

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "advisor"
BUDGET, SMALL, LARGE, SEED = 900, "smollm2-135m-instruct", "qwen2.5-coder-1.5b-instruct", 7
_TYPES = {"PER": "person", "ORG": "organisation", "LOC": "place"}


@dataclass(frozen=True)
class Task:
    """What is advised on: its [advise] table, which names files beside it; `killed` after so many seconds, once."""

    name: str
    table: dict[str, Any]
    killed: float | None = None


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each advice said, and what it took."""
    if data is None:
        return {"name": "advisor", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("advisor", quick=quick)
    for task in tasks(data, quick=quick):
        cases.add(of_task(task, 30 if quick else BUDGET))
    peer = f"small {SMALL} or all-minilm-l6-v2, large {LARGE} (int8); the judge is the large model"
    return {"name": "advisor", "peer": peer, "cases": cases.found}


def tasks(data: Path, *, quick: bool) -> Iterator[Task]:
    """Yield the tasks, their rows written into their folders."""
    (path,) = sorted((data / "titanic").glob("*.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        left = ("PassengerId", "Name", "Ticket")
        rows = [
            {name: value or None for name, value in row.items() if name not in left} for row in csv.DictReader(file)
        ]
    _put("table", rows)
    question = "Did this passenger of the Titanic survive? Answer with the category's name and nothing else."
    table = {"task": "table", "target": "Survived", "question": question, "names": {"0": "no", "1": "yes"}}
    if quick:
        yield Task("table", {"task": "table", "target": "Survived", "models": ["linear", "histogram"]}, None)
        return
    yield Task("table", {**table, "large": "large"}, 40.0)
    sent = data / "sent_conv"
    trec = {
        "task": "classification",
        "rows": str(sent / "TREC.train.all"),
        "test": str(sent / "TREC.test.all"),
        "format": "labelled-lines",
        "encoding": "latin-1",
        "text": "text",
        "label": "label",
        "names": TREC_NAMES,
        "small": "encoder",
        "large": "large",
    }
    yield Task("text", trec)
    _put("extraction", _wikigold(data))
    both = {"small": "small", "large": "large"}
    yield Task("extraction", {"task": "extraction", "text": "text", "fields": list(_TYPES.values()), **both})
    _put("retrieval", _xquad(data))
    prompt = "Answer in a few words, as they stand in the passages: {question}"
    found = {"documents": "documents.jsonl", "prompt": prompt, "gold": "answers", "max_tokens": 24}
    yield Task("retrieval", {"task": "retrieval", **found, **both})
    _put("generation", _instructions(data))
    asked = {"prompt": "{instruction}", "gold": "output", "grade": "judge", "judge": "large", "max_tokens": 64}
    yield Task("generation", {"task": "generation", **asked, **both})


def _put(name: str, rows: list[dict[str, Any]]) -> None:
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "rows.jsonl").exists():
        write(rows, folder / "rows.jsonl")


def _wikigold(data: Path) -> list[dict[str, Any]]:
    sentences: list[list[tuple[str, str]]] = [[]]
    path = data / "wikigold" / "CONLL-format" / "data" / "wikigold.conll.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            word, _, tag = line.rpartition(" ")
            sentences[-1].append((word, tag))
        elif sentences[-1]:
            sentences.append([])
    found = []
    for words in sentences:
        if not 6 <= len(words) <= 45:
            continue
        values: dict[str, list[str]] = {name: [] for name in _TYPES.values()}
        before = "O"
        for word, tag in words:
            kind = _TYPES.get(tag[2:])
            if kind is not None:
                if tag == before:
                    values[kind][-1] += f" {word}"
                else:
                    values[kind].append(word)
            before = tag
        unique = {name: list(dict.fromkeys(held)) for name, held in values.items()}
        found.append({"text": " ".join(word for word, _ in words), **unique})
    order = np.random.default_rng(SEED).permutation(len(found))[:600]
    return [found[i] for i in order.tolist()]


def _xquad(data: Path) -> list[dict[str, Any]]:
    told = json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    documents: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for article in told:
        for paragraph in article["paragraphs"]:
            documents.append({"id": f"p{len(documents)}", "text": paragraph["context"]})
            for asked in paragraph["qas"]:
                answers = list(dict.fromkeys(one["text"] for one in asked["answers"]))
                rows.append({"question": asked["question"], "answers": answers})
    (RUNS / "retrieval").mkdir(parents=True, exist_ok=True)
    write(documents, RUNS / "retrieval" / "documents.jsonl")
    order = np.random.default_rng(SEED).permutation(len(rows))[:600]
    return [rows[i] for i in order.tolist()]


def _instructions(data: Path) -> list[dict[str, Any]]:
    path = data / "llms_from_scratch_instr" / "01_main-chapter-code" / "instruction-data.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    order = np.random.default_rng(SEED).permutation(len(rows))[:300].tolist()
    return [
        {
            "instruction": "\n".join(one for one in (rows[i]["instruction"], rows[i]["input"]) if one),
            "output": rows[i]["output"],
        }
        for i in order
    ]


def of_task(task: Task, budget: float) -> Iterator[dict[str, Any]]:
    """Yield the cases of a task: the seconds it took, what it said, every candidate, and the leaves it told of."""
    folder = RUNS / task.name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "task.toml"
    file.write_text(_toml({"rows": "rows.jsonl", "max_seconds": float(budget), "seed": SEED, **task.table}), "utf-8")
    told = folder / "out" / "advice.json"
    took = folder / "took.json"
    if not told.exists() or not took.exists():
        killed = None
        if task.killed is not None:
            killed = _run(file, folder, task.killed)
        seconds = _run(file, folder, None)
        took.write_text(json.dumps({"seconds": seconds, "killed_after": killed}), "utf-8")
    advice, times = json.loads(told.read_text("utf-8")), json.loads(took.read_text("utf-8"))
    verdict = advice["verdict"]
    yield _case(f"{task.name}: whole run", times["seconds"], "s", 1)
    yield _case(f"{task.name}: its budget", float(budget), "s", 1)
    if times["killed_after"] is not None:
        yield _case(f"{task.name}: killed before, after", times["killed_after"], "s", 1)
    answer = f"{task.name}: {verdict['answer']} ({verdict['chosen']}){'' if verdict['settled'] else ', not settled'}"
    for one in advice["candidates"]:
        worth = one.get("accuracy") or one["score"]
        title = answer if one["key"] == verdict["chosen"] else f"{task.name}: {one['title']}"
        yield {
            "case": title,
            "value": worth["value"],
            "low": worth["low"],
            "high": worth["high"],
            "unit": one.get("measure", "accuracy"),
            "n": one["rows"],
        }
    leaves = {one["leaf"] for one in advice["survey"]}
    tried = {one["leaf"] for one in advice["survey"] if one["status"] == "tried"}
    yield _case(f"{task.name}: leaves of the survey told of, of {len(LEAVES)}", len(leaves), "leaves", len(LEAVES))
    yield _case(f"{task.name}: of which tried", len(tried), "leaves", len(LEAVES))


def _case(title: str, value: float, unit: str, n: int) -> dict[str, Any]:
    return {"case": title, "value": float(value), "unit": unit, "n": n}


def _run(file: Path, folder: Path, until: float | None) -> float:
    """Advise in a process of its own; return the seconds. With `until` it is killed then."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pilotfish.cli.main", "advise", str(file), "--out", str(folder / "out")]
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(timeout=until)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return time.perf_counter() - start
    if code:
        raise RuntimeError(f"pilotfish advise {file} ended with {code}; see {folder / 'log.txt'}")
    return time.perf_counter() - start


def _toml(table: dict[str, Any]) -> str:
    models = {
        "encoder": {"use": "encoder", "weights": "all-minilm-l6-v2"},
        "small": {"use": "local", "weights": SMALL},
        "large": {"use": "local", "weights": LARGE, "quantize": "int8"},
    }
    lines = ["[advise]"]
    inner = {name: value for name, value in table.items() if isinstance(value, dict)}
    lines += [f"{name} = {_value(value)}" for name, value in table.items() if name not in inner]
    for name, held in inner.items():
        lines += ["", f"[advise.{name}]", *(f"{json.dumps(key)} = {_value(value)}" for key, value in held.items())]
    for name, held in models.items():
        lines += ["", f"[models.{name}]", *(f"{key} = {_value(value)}" for key, value in held.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
