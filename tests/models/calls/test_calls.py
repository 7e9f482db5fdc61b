"""Calls: each paid for once, whatever is stopped; budgets kept while many are under way; what may be used again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.model import Call, Price, Reply, Request, Trace, WholeReplies
from pilotfish.models.calls import Budget, Calls, Failure, Purse
from pilotfish.rows.asking import Bill
from tests.fakes import ScriptedModel


def asked(count: int, **settings: Any) -> list[Request]:
    return [Request.of(f"question {i}", **settings) for i in range(count)]


def replies(calls: Calls, requests: list[Request]) -> list[Reply | Failure]:
    return asyncio.run(calls.replies(requests, progress=False))


def texts(found: list[Reply | Failure]) -> list[str | None]:
    return [one.text if isinstance(one, Reply) else None for one in found]


def test_answers_come_in_order_and_are_asked_once(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: request.prompt.upper(), price=Price(1.0, 1.0), delay=0.001)
    calls = Calls(model, tmp_path / "calls", concurrency=4)
    wanted = [f"QUESTION {i}" for i in range(20)]
    assert texts(replies(calls, asked(20) + asked(20))) == wanted * 2
    assert model.calls == 20 and 1 < model.peak <= 4 and (calls.asked, calls.taken) == (20, 0)
    again = Calls(model, tmp_path / "calls")
    assert texts(replies(again, asked(25))) == [*wanted, *(f"QUESTION {i}" for i in range(20, 25))]
    assert model.calls == 25 and (again.asked, again.taken) == (5, 20)
    assert again.bill.calls == 25 and again.bill.tokens_in == 50 and again.bill.cost == pytest.approx(100e-6)


def test_samples_of_one_request_are_told_apart_and_models_too(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "x", name="one")
    requests = [Request.of("q", metadata={"sample": i}) for i in range(3)]
    replies(Calls(model, tmp_path / "calls"), requests)
    assert model.calls == 3
    other = ScriptedModel("y", name="two")
    assert texts(replies(Calls(other, tmp_path / "calls"), requests)) == ["y", "y", "y"]


@dataclass(frozen=True)
class Pair(WholeReplies):
    small: ScriptedModel
    above: float
    name: str = "pair"

    async def reply(self, request: Request) -> Reply:
        return await self.small.reply(request)


def test_another_threshold_of_a_collaboration_is_another_model(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "x", name="small")
    for above, made in ((0.5, 3), (0.5, 3), (0.6, 6)):
        replies(Calls(Pair(model, above), tmp_path / "calls"), asked(3))
        assert model.calls == made


def test_another_limit_is_another_request_unless_finished_answers_may_be_used(tmp_path: Path) -> None:
    def said(request: Request) -> Reply:
        cut = request.prompt == "question 1"
        return Reply("a b c", finish_reason="length" if cut else "stop", trace=Trace((Call("m", "model", 2, 3),)))

    model = ScriptedModel(said)
    replies(Calls(model, tmp_path / "calls"), asked(2, max_tokens=10))
    replies(Calls(model, tmp_path / "calls"), asked(2, max_tokens=20))
    assert model.calls == 4
    finished = Calls(model, tmp_path / "calls", reuse="finished")
    replies(finished, asked(2, max_tokens=30))  # the one that was cut is asked again
    assert model.calls == 5 and finished.taken == 1
    replies(Calls(model, tmp_path / "calls", reuse="finished"), asked(1, max_tokens=2))  # it would have been cut
    assert model.calls == 6
    with pytest.raises(ConfigError, match="reuse"):
        Calls(model, tmp_path / "calls", reuse="all")  # type: ignore[arg-type]


def test_failures_are_told_and_asked_again(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        if request.prompt.endswith("3"):
            raise UpstreamError("down", status=500)
        if request.prompt.endswith("4"):
            raise ModelError("too long")
        return "fine"

    found = replies(Calls(ScriptedModel(said), tmp_path / "calls"), asked(6))
    assert found[3] == Failure("down", again=True) and found[4] == Failure("too long", again=False)
    well = ScriptedModel("well")
    assert texts(replies(Calls(well, tmp_path / "calls"), asked(6))) == ["fine", "fine", "fine", "well", "well", "fine"]
    assert well.calls == 2


def test_an_endpoint_that_is_down_stops_the_run_and_keeps_what_was_said(tmp_path: Path) -> None:
    model = ScriptedModel(["fine"] * 5 + [UpstreamError("down", status=500)] * 200)
    with pytest.raises(UpstreamError, match="20 calls failed one after another"):
        replies(Calls(model, tmp_path / "calls", concurrency=1), asked(100))
    assert model.calls == 25
    assert Calls(model, tmp_path / "calls").bill.calls == 5


@pytest.mark.parametrize("limit", [{"calls": 7}, {"tokens": 28}, {"dollars": 28e-6}])
def test_a_budget_holds_with_many_calls_under_way(tmp_path: Path, limit: dict[str, Any]) -> None:
    model = ScriptedModel("a b", price=Price(1.0, 1.0), delay=0.001)  # four tokens a call
    calls = Calls(model, tmp_path / "calls", budget=Budget(**limit), concurrency=16)
    found = replies(calls, asked(30))
    assert model.calls == 7 and calls.spent
    assert sum(isinstance(one, Failure) and one.again for one in found) == 23
    more = Calls(model, tmp_path / "calls", budget=Budget(**limit), concurrency=16)
    replies(more, asked(30))
    assert model.calls == 7  # earlier sessions count
    wider = {name: 2 * value for name, value in limit.items()}
    replies(Calls(model, tmp_path / "calls", budget=Budget(**wider)), asked(30))
    assert model.calls == 14


def test_a_budget_that_is_just_enough_has_stopped_nothing(tmp_path: Path) -> None:
    calls = Calls(ScriptedModel("a b", delay=0.001), tmp_path / "calls", budget=Budget(calls=7), concurrency=3)
    assert texts(replies(calls, asked(7))) == ["a b"] * 7 and not calls.spent


def test_requests_that_a_model_cannot_answer_stop_nothing_once_others_were(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        if int(request.prompt.split()[1]) > 0:
            raise ModelError("too long")
        return "fine"

    found = replies(Calls(ScriptedModel(said), tmp_path / "calls", concurrency=1), asked(60))
    assert texts(found) == ["fine"] + [None] * 59
    with pytest.raises(ModelError, match="the first 20 calls all failed"):
        replies(Calls(ScriptedModel(ModelErrors()), tmp_path / "none", concurrency=1), asked(60))


class ModelErrors:
    """Answers nothing."""

    def __call__(self, request: Request) -> str:
        raise ModelError("no such thing")


def test_a_budget_in_dollars_needs_a_price(tmp_path: Path) -> None:
    free = ScriptedModel(lambda request: Reply("x", trace=Trace((Call("m", "model", 1, 1, 0.1, None),))))
    with pytest.raises(ConfigError, match="the price of the model is not known"):
        replies(Calls(free, tmp_path / "calls", budget=Budget(dollars=1.0)), asked(3))
    for wrong in ({"calls": 0}, {"tokens": -1}, {"dollars": 0.0}):
        with pytest.raises(ConfigError, match="above 0"):
            Budget(**wrong)


def test_a_purse_reckons_with_the_dearest_call() -> None:
    purse = Purse(Budget(tokens=100), Bill())
    assert purse.allows
    purse.begin()
    assert not purse.allows and purse.waits  # of the first call nothing is known yet
    purse.end(Bill(1, 10, 10))
    for _ in range(4):
        assert purse.allows
        purse.begin()
    assert not purse.allows
    purse.end(Bill(1, 30, 10))  # dearer than thought: 60 spent, three under way at up to 40
    assert not purse.allows


@pytest.mark.parametrize("limit", [{"tokens": 2000}, {"dollars": 2000e-6}])
def test_calls_of_a_known_size_need_not_wait_for_the_first(tmp_path: Path, limit: dict[str, Any]) -> None:
    model = ScriptedModel("a b", price=Price(1.0, 1.0), delay=0.01)
    model.price = Price(1.0, 1.0)  # type: ignore[attr-defined]
    requests = asked(12, max_tokens=50)
    calls = Calls(model, tmp_path / "calls", budget=Budget(**limit), concurrency=16)
    assert texts(replies(calls, requests)) == ["a b"] * 12 and model.peak >= 8
    tight = ScriptedModel("a b", price=Price(1.0, 1.0), delay=0.01)
    replies(Calls(tight, tmp_path / "tight", budget=Budget(tokens=30), concurrency=16), requests)
    assert tight.calls == 7  # the first alone, which tells that a call takes four


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    from pilotfish.errors import DataError

    (tmp_path / "calls").write_text("no database " * 100)
    with pytest.raises(DataError, match="store of calls"):
        Calls(ScriptedModel(), tmp_path / "calls")
