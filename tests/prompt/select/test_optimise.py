"""The search for an instruction: split first, sifted, raced, proved; each call paid once, and no more than allowed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.measure.grade import grader
from pilotfish.model import Price, Request
from pilotfish.models.calls import Budget, Calls
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel
from pilotfish.prompt.demonstrate import by_choices
from pilotfish.prompt.select import (
    ByGrade,
    ByLikelihood,
    Instructed,
    PromptReport,
    PromptScorer,
    Proposer,
    Search,
    instructed,
    optimise,
)
from pilotfish.prompt.select.propose import instruction_in
from tests.fakes import ScriptedModel

# Words unlike each other, so that none is a near-copy of another.
ROWS = [
    {"text": f"{chr(97 + at % 26) * 5} {at * 7919 % 1000} {chr(97 + at * 5 % 26) * 3}", "label": "yes"}
    for at in range(80)
]
EXAMPLES = [(row["text"], row["label"]) for row in ROWS]
GOOD, BAD = "Answer yes or no.", "Answer."


def answering(request: Request) -> str:
    """Right under an instruction that says how, and on every second row without it."""
    system = request.messages[0].text
    right = "yes or no" in system or int(request.prompt.split()[1]) % 2 == 0
    return "yes" if right else "I could not say"


def judge(model: ScriptedModel, path: Path, budget: Budget | None = None) -> ByGrade:
    return ByGrade(Calls(model, path, budget=budget), ROWS, "{text}", grader("text", "label"))


def searched(
    judged: ByGrade, out: Path, present: str = BAD, given: Any = (GOOD, "Say it."), **more: Any
) -> PromptReport:
    search = more.pop("search", Search(first=8))
    return asyncio.run(optimise(judged, EXAMPLES, present, given, out, search, **more))


def test_the_better_one_is_found_and_proved_on_other_rows(tmp_path: Path) -> None:
    large = ScriptedModel(answering, price=Price(1.0, 1.0))
    report = searched(judge(large, tmp_path / "calls"), tmp_path)
    assert report.chosen == GOOD and report.better
    assert report.before is not None and report.after is not None and report.gain is not None
    assert report.after.value == 1.0 and 0.3 < report.before.value < 0.7
    assert report.gain.value == pytest.approx(report.after.value - report.before.value)
    assert report.chosen_on + report.proved_on == len(ROWS)
    assert (tmp_path / "prompt.txt").read_text() == GOOD
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["better"] is True and told["bills"]["large"]["calls"] == large.calls == report.judged
    assert report.cost and "better" in str(report)
    # No row that chose was a row that proves.
    proved = [request.prompt for request in large.requests[-2 * report.proved_on :]]
    chosen_on = {request.prompt for request in large.requests[: -2 * report.proved_on]}
    assert not chosen_on & set(proved) and len(set(proved)) == report.proved_on


def test_the_same_command_asks_nothing_again_and_says_the_same(tmp_path: Path) -> None:
    first = searched(judge(ScriptedModel(answering), tmp_path / "calls"), tmp_path)
    silent = ScriptedModel([])
    again = searched(judge(silent, tmp_path / "calls"), tmp_path)
    assert silent.calls == 0 and again == first


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    def dying(request: Request) -> str | Exception:
        if large.calls > 30:
            raise KeyboardInterrupt
        return answering(request)

    large = ScriptedModel(dying)
    with pytest.raises(KeyboardInterrupt):
        searched(judge(large, tmp_path / "calls"), tmp_path)
    rest = ScriptedModel(answering)
    whole = ScriptedModel(answering)
    report = searched(judge(rest, tmp_path / "calls"), tmp_path)
    assert report.chosen == searched(judge(whole, tmp_path / "other"), tmp_path / "o").chosen
    assert 20 <= whole.calls - rest.calls <= 30


@pytest.mark.parametrize("most", [8, 20, 60])
def test_no_more_calls_than_allowed(tmp_path: Path, most: int) -> None:
    large = ScriptedModel(answering)
    report = searched(judge(large, tmp_path / "calls", Budget(calls=most)), tmp_path, search=Search(first=8, most=most))
    assert large.calls <= most and report.judged <= most
    assert report.proved_on == most // 4


def test_a_small_model_sifts_before_the_large_one_is_asked(tmp_path: Path) -> None:
    large, small = ScriptedModel(answering, name="large"), ScriptedModel(answering, name="small")
    many = [f"Say it {at} times." for at in range(12)]
    report = searched(
        judge(large, tmp_path / "large"),
        tmp_path,
        given=[*many, GOOD],
        proxy=judge(small, tmp_path / "small"),
        search=Search(first=8, finalists=2, proxy_rows=10),
    )
    assert report.chosen == GOOD
    systems = {request.messages[0].text for request in large.requests}
    assert GOOD in systems and BAD in systems and len(systems) == 3
    assert small.calls == 13 * 10
    assert sum(one.proxy is not None for one in report.tried) == 13
    assert report.bills["small"].calls == small.calls


def test_proposals_are_asked_for_once_and_take_part(tmp_path: Path) -> None:
    writer = ScriptedModel(
        lambda request: f"<instruction>Reply number {hash(request.prompt) % 97}, yes or no.</instruction>"
    )
    large = ScriptedModel(answering)
    calls = Calls(writer, tmp_path / "proposals")
    report = searched(
        judge(large, tmp_path / "calls"),
        tmp_path,
        given=[],
        proposer=Proposer(calls),
        search=Search(first=8, proposals=4),
    )
    assert "yes or no" in report.chosen and report.better and writer.calls == 4
    assert {one.source for one in report.tried} == {"present", "proposed"}
    assert report.bills["proposer"].calls == 4


def test_a_later_round_sees_the_scores_and_a_learnt_scorer_takes_its_pick(tmp_path: Path) -> None:
    written: list[str] = []

    def write(request: Request) -> str:
        written.append(request.prompt)
        return f"Variant {len(written)} of it" + (", yes or no" if len(written) % 5 == 0 else "")

    seen: list[list[str]] = []

    def encode(texts: Sequence[str]) -> Any:
        seen.append(list(texts))
        return np.array([[1.0, float("yes" in text)] for text in texts])

    large = ScriptedModel(answering)
    report = searched(
        judge(large, tmp_path / "calls"),
        tmp_path,
        given=["Say it."],
        proposer=Proposer(Calls(ScriptedModel(write), tmp_path / "proposals", concurrency=1)),
        scorer=PromptScorer(encode),
        search=Search(first=8, rounds=2, proposals=5, finalists=5),
    )
    assert "yes or no" in report.chosen
    assert any("Score: " in text and "better ones come last" in text for text in written)
    first = next(text for text in written if "Score: " in text)
    scores = [int(line.removeprefix("Score: ")) for line in first.splitlines() if line.startswith("Score: ")]
    assert scores == sorted(scores)
    assert len(written) == 5 + 20 and any(len(texts) > 5 for texts in seen)


def test_proposals_are_read() -> None:
    for text, found in (
        ("<instruction> Be brief. </instruction>", "Be brief."),
        ("Sure:\n<instruction>Be brief.", "Be brief."),
        ('Instruction: "Be brief."', "Be brief."),
        ("The instruction was: say “x”", "say “x”"),
        ("'a' or 'b'", "'a' or 'b'"),
        ("", ""),
    ):
        assert instruction_in(text) == found


def test_what_failed_for_good_is_worth_nothing_and_what_may_come_is_not_known(tmp_path: Path) -> None:
    from pilotfish.errors import ModelError

    def said(request: Request) -> Any:
        number = int(request.prompt.split()[1])
        return ModelError("too long") if number == 0 else UpstreamError("down") if number == 919 else "yes"

    found = asyncio.run(judge(ScriptedModel(said), tmp_path / "calls").scores([GOOD], [0, 1, 2]))
    assert [row["text"].split()[1] for row in ROWS[:3]] == ["0", "919", "838"]
    assert found[0, 0] == 0 and np.isnan(found[0, 1]) and found[0, 2] == 1


def test_likelihoods_are_read_once(tiny_lm: LocalModel, tmp_path: Path) -> None:
    rows = [{"text": "the cat", "label": "refund"}, {"text": "my card", "label": "card arrival"}]
    names = {"refund": "refund", "card arrival": "card arrival"}
    made = ByLikelihood(by_choices(tiny_lm, names), rows, "Text: {text}", "label", tmp_path / "read", "tiny")
    found = asyncio.run(made.scores([GOOD, ""], [0, 1]))
    for at, prompt in enumerate([GOOD, ""]):
        labeller = Labeller(instructed(tiny_lm, prompt), list(names))
        assert labeller.white_box
        for place, row in enumerate(rows):
            request = Instructed(tiny_lm, prompt).shown(Request.of(f"Text: {row['text']}"))
            raw = tiny_lm.choices([tiny_lm.render(request)], list(names))[0]
            share = np.exp(raw - np.logaddexp.reduce(raw))[list(names).index(row["label"])]
            assert found[at, place] == pytest.approx(share, abs=1e-4)
    (tmp_path / "read").open("a").write('{"key": "half a')
    refuse: Any = lambda asked: 1 / 0  # noqa: E731
    path = tmp_path / "read"
    again = ByLikelihood(refuse, rows, "Text: {text}", "label", path, "tiny")
    np.testing.assert_array_equal(asyncio.run(again.scores([GOOD, ""], [0, 1])), found)
    # Another model's figures are not these.
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ByLikelihood(refuse, rows, "Text: {text}", "label", path, "other").scores([GOOD], [0]))
    bare = ByLikelihood(by_choices(tiny_lm, names), [{"text": "x"}], "{text}", "label", tmp_path / "r", "tiny")
    with pytest.raises(DataError, match="no right answer"):
        asyncio.run(bare.scores(["x"], [0]))


def test_an_instruction_stands_before_or_in_the_question() -> None:
    large = ScriptedModel("ok")
    ask(Instructed(large, "Be brief."), "hello")
    ask(
        Instructed(large, "Be brief."),
        [{"role": "system", "content": "You are it."}, {"role": "user", "content": "hi"}],
    )
    ask(Instructed(large, "Be {brief}.", "{instruction}\n{prompt}"), "a {prompt}")
    ask(Instructed(large, " "), "hello")
    said = [[(one.role, one.text) for one in request.messages] for request in large.requests]
    assert said[0] == [("system", "Be brief."), ("user", "hello")]
    assert said[1] == [("system", "Be brief.\n\nYou are it."), ("user", "hi")]
    assert said[2] == [("user", "Be {brief}.\na {prompt}")]
    assert said[3] == [("user", "hello")]
    with pytest.raises(ConfigError, match="template"):
        Instructed(large, "x", "{instruction}")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    made = judge(ScriptedModel(answering), tmp_path / "calls")
    with pytest.raises(DataError, match="no other instruction"):
        searched(made, tmp_path, given=[])
    with pytest.raises(DataError, match="give 4 or more"):
        asyncio.run(optimise(made, EXAMPLES[:3], BAD, [GOOD], tmp_path))
    with pytest.raises(DataError, match="near-copies"):
        asyncio.run(optimise(made, [("the same", "x")] * 8, BAD, [GOOD], tmp_path))
    for settings in ({"held_out": 1.0}, {"rounds": 0}, {"proposals": -1}, {"most": 3}):
        with pytest.raises(ConfigError):
            Search(**settings)
