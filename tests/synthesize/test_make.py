"""A synthesis: nothing lost, everything told, the same whatever is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Reply, Request
from pilotfish.models.calls import Budget
from pilotfish.rows._row import Row
from pilotfish.rows.read import read
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Check, Made, Prompt, Recipe, Unread
from tests.fakes import ScriptedModel

FIELDS = Fields({"text": "a text"})


class Numbers(Recipe):
    """Asks for the number after each that was kept or not, three a round."""

    name = "numbers"

    def prompts(self, made: Made) -> Sequence[Prompt]:
        count = min(3, made.missing) if made.wanted is not None else 3 * (made.round == 0)
        first = made.asked
        return [Prompt(Request.of(f"number {first + i}"), {"number": first + i}, "t@1") for i in range(count)]

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        return FIELDS.read(reply.text)

    def config(self) -> dict[str, Any]:
        return {}


class Odd(Check):
    name = "odd"

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        return [None if prompt.facts["number"] % 2 else "an even number" for prompt in prompts]

    def config(self) -> dict[str, Any]:
        return {}


def said(request: Request) -> str:
    number = int(request.prompt.split()[1])
    if number % 10 == 7:
        return "I would rather not."
    if number % 10 == 9:
        return '{"text": 9}'
    return json.dumps({"text": f"row {number}"})


class BreakError(Exception):
    """What ends a run in the middle."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_answer_is_kept_or_told(tmp_path: Path) -> None:
    model = ScriptedModel(said)
    report = synthesize(Numbers(), model, tmp_path, rows=12, checks=[Odd()], rounds=50, progress=False)
    kept, rejects = lines(tmp_path / "rows.jsonl"), lines(tmp_path / "rejects.jsonl")
    assert report.whole and report.ended == "done" and len(kept) == report.kept == 12
    assert [row["text"] for row in kept] == [f"row {n}" for n in range(99) if n % 2 and n % 10 not in (7, 9)][:12]
    assert len(kept) + len(rejects) == report.prompts == model.calls
    assert sum(report.rejected.values()) == len(rejects)
    assert set(report.rejected) == {"odd", "no JSON in the answer", "not by the schema"}
    assert {row["raw"] for row in rejects if row["reason"].startswith("no JSON")} == {"I would rather not."}
    assert kept[0]["synthesis"] == {
        "recipe": "numbers",
        "model": "scripted",
        "template": "t@1",
        "prompt": 1,
        "facts": {"number": 1},
    }
    card = (tmp_path / "README.md").read_text()
    assert "12 rows by `numbers`" in card and "| odd |" in card and "t@1" in card
    assert json.loads((tmp_path / "report.json").read_text())["kept"] == 12


def test_a_run_that_breaks_off_comes_to_the_same_rows_and_asks_nothing_twice(tmp_path: Path) -> None:
    whole = ScriptedModel(said)
    synthesize(Numbers(), whole, tmp_path / "whole", rows=12, checks=[Odd()], rounds=50, progress=False)
    broken, calls = ScriptedModel(said), 0

    class Breaks(ScriptedModel):
        async def reply(self, request: Request) -> Reply:
            nonlocal calls
            calls += 1
            if calls % 6 == 0:
                raise BreakError
            return await broken.reply(request)

    for _ in range(50):
        try:
            synthesize(Numbers(), Breaks(), tmp_path / "broken", rows=12, checks=[Odd()], rounds=50, progress=False)
            break
        except BreakError:
            continue
    assert broken.calls == whole.calls
    for name in ("rows.jsonl", "rejects.jsonl"):
        assert (tmp_path / "broken" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_what_the_endpoint_did_not_answer_is_asked_by_the_next_run(tmp_path: Path) -> None:
    def flaky(request: Request) -> str:
        if request.prompt == "number 1":
            raise UpstreamError("down", status=500)
        return said(request)

    first = synthesize(Numbers(), ScriptedModel(flaky), tmp_path, progress=False)
    assert (first.kept, first.again, first.rejected) == (2, 1, {"down": 1})
    second = synthesize(Numbers(), ScriptedModel(said), tmp_path, progress=False)
    assert (second.kept, second.again, second.asked, second.stored) == (3, 0, 1, 2)


def test_budget_and_rounds_end_it(tmp_path: Path) -> None:
    short = synthesize(Numbers(), ScriptedModel(said), tmp_path / "a", rows=12, budget=Budget(calls=5), progress=False)
    assert (short.asked, short.ended, short.whole) == (5, "the budget is spent", False)
    few = synthesize(Numbers(), ScriptedModel(said), tmp_path / "b", rows=12, rounds=2, progress=False)
    assert (few.kept, few.ended) == (6, "all rounds are over")
    none = synthesize(Numbers(), ScriptedModel("no"), tmp_path / "c", rows=12, progress=False)
    assert none.kept == 0 and none.rounds == 3 and none.ended == "3 rounds kept nothing"
    for wrong in ({"rows": 0}, {"rounds": 0}):
        with pytest.raises(ConfigError):
            synthesize(Numbers(), ScriptedModel(said), tmp_path / "d", **wrong)  # type: ignore[arg-type]


def test_rows_come_as_parquet_and_as_a_datasets_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out"
    synthesize(Numbers(), ScriptedModel(said), out, rows=8, formats=("parquet", "datasets"), progress=False)
    rows = lines(out / "rows.jsonl")
    texts = [row["text"] for row in rows]
    assert [row["text"] for row in read(out / "rows.parquet")] == texts
    loaded = datasets.load_from_disk(str(out / "dataset"))
    assert loaded["text"][:] == texts and json.loads(loaded[0]["synthesis"]) == rows[0]["synthesis"]
    # The card names the rows, so that the folder is a data set as it is, rejects and calls left aside.
    whole = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"), split="train")
    assert whole["text"][:] == texts
    with pytest.raises(ConfigError, match="formats are parquet and datasets"):
        synthesize(Numbers(), ScriptedModel(said), out, rows=8, formats=("csv",), progress=False)  # type: ignore[arg-type]


def test_the_card_of_rows_alone_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    synthesize(Numbers(), ScriptedModel(said), tmp_path / "out", rows=4, progress=False)
    whole = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    assert whole["text"][:] == [row["text"] for row in lines(tmp_path / "out" / "rows.jsonl")]
