"""A pool of tasks that grows, and tasks that evolve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Made
from pilotfish.synthesize.scratch.evolved import WAYS, Evolved
from pilotfish.synthesize.scratch.instructed import Instructed
from tests.fakes import ScriptedModel

SEEDS = [{"instruction": f"seed {i}", "input": f"with {i}" if i % 2 else ""} for i in range(8)]


def task(instruction: str, output: str = "done") -> str:
    return json.dumps({"instruction": instruction, "input": "", "output": output})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_pool_grows_and_is_shown(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: task(f"made {request.metadata['sample']}"))
    report = synthesize(Instructed(SEEDS, people=3, own=2), model, tmp_path, rows=100, progress=False)
    assert report.whole and report.rounds == 2
    first = [one.prompt for one in model.requests if one.metadata["sample"][0] == 0]
    second = [one.prompt for one in model.requests if one.metadata["sample"][0] == 1]
    assert all(text.count("seed ") == 3 and "made" not in text for text in first)
    assert all(text.count("seed ") == 3 and text.count("made [") == 2 for text in second)
    assert len(set(first)) > 30


def test_several_tasks_a_prompt_and_a_domain() -> None:
    prompts = Instructed(SEEDS, each=4, domain="chess").prompts(Made(wanted=8))
    assert (
        len(prompts) == 2
        and "about chess" in prompts[0].request.prompt
        and "Write 4 new tasks" in prompts[0].request.prompt
    )
    with pytest.raises(ConfigError, match="seeds"):
        Instructed([{"text": "x"}])
    with pytest.raises(ConfigError, match="how many rows"):
        Instructed(SEEDS).prompts(Made())


def test_generations_are_made_of_the_last_one_s_tasks(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        old = request.prompt.partition("Task: ")[2].partition("\n")[0]
        if old == "seed 0":
            return task("seed 0")
        if old == "seed 1":
            return task("a new one", "Sorry, I cannot.")
        if old == "seed 2":
            return task("Do the given task twice")
        return task(f"{old}, harder")

    model = ScriptedModel(said)
    report = synthesize(Evolved(SEEDS, generations=2), model, tmp_path, progress=False)
    rows = lines(tmp_path / "rows.jsonl")
    assert report.kept == 10 and report.rejected == {"not evolved": 3} and report.prompts == 13
    assert [row["instruction"] for row in rows[5:]] == [f"seed {i}, harder, harder" for i in range(3, 8)]
    facts = [row["synthesis"]["facts"] for row in rows]
    assert [one["generation"] for one in facts] == [1] * 5 + [2] * 5 and [one["parent"] for one in facts[5:]] == [
        *range(5)
    ]
    assert {one["way"] for one in facts} <= set(WAYS)
    assert "Input: with 3" in next(one.prompt for one in model.requests if "seed 3\n" in one.prompt)
    mistakes: list[dict[str, Any]] = [{"ways": ["sideways"]}, {"generations": 0}, {"seeds": []}]
    for wrong in mistakes:
        with pytest.raises(ConfigError, match="evolving"):
            Evolved(**{"seeds": SEEDS, **wrong})
