"""What a provider's batch API may do wrong: every status, every call, every kind of line."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from pilotfish import ask
from pilotfish.errors import DataError, ModelError, UpstreamError
from pilotfish.model import Reply
from pilotfish.models._batch_desks import desk_of
from pilotfish.models.batch import BatchModel
from tests.fakes_batch import FakeBatches, batch_model, failing, prompts

Said = Reply | BaseException


def outcomes(model: BatchModel, count: int, start: int = 0) -> list[Said]:
    async def run() -> list[Said]:
        works = (model.reply(request) for request in prompts(count, start))
        return await asyncio.gather(*works, return_exceptions=True)

    return asyncio.run(run())


def again(found: Said) -> bool:
    assert isinstance(found, ModelError), found
    return isinstance(found, UpstreamError)


def texts(found: list[Said]) -> list[str]:
    assert all(isinstance(one, Reply) for one in found), found
    return [one.text for one in found if isinstance(one, Reply)]


@pytest.mark.parametrize("end", ["completed", "failed", "expired", "cancelled"])
def test_every_end_of_a_batch(tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBatches() as provider:
        provider.ends.append(end)
        model = batch_model(provider, tmp_path, progress=True)
        found = outcomes(model, 4)
        here = {"completed": 4, "failed": 0}.get(end, 2)
        assert texts(found[:here]) == [f"echo n{i}" for i in range(here)]
        assert all(again(one) for one in found[here:])
        said = {"failed": "batch_0 failed: Billing hard limit reached; run again"}.get(end, f"was not done: {end}")
        assert all(said in str(one) for one in found[here:])
        # Another run asks for what is missing, and for no more.
        assert texts(outcomes(model, 4)) == [f"echo n{i}" for i in range(4)]
        assert [len(one["lines"]) for one in provider.batches.values()] == [4, *([4 - here] if here < 4 else [])]
    told = capsys.readouterr().err
    assert "batch batch_0: 4 requests at the endpoint, validating" in told
    assert f"batch batch_0: {end}" in told


def test_every_status_on_the_way(tmp_path: Path) -> None:
    """Words that nobody has heard of are waited for, too."""
    with FakeBatches(way=("validating", "queued_by_the_moon", "in_progress", "finalizing")) as provider:
        assert texts(outcomes(batch_model(provider, tmp_path), 2)) == ["echo n0", "echo n1"]
        assert provider.count("get") == 4


def test_cancelling(tmp_path: Path) -> None:
    with FakeBatches(way=("validating", *["in_progress"] * 1000)) as provider:
        model = batch_model(provider, tmp_path)

        async def run() -> list[Said]:
            works = [asyncio.ensure_future(model.reply(request)) for request in prompts(4)]
            await asyncio.to_thread(provider.wait_for, lambda: provider.count("get") > 1)
            assert await model.cancel() == ["batch_0"]
            return await asyncio.gather(*works, return_exceptions=True)

        found = asyncio.run(run())
        assert texts(found[:2]) == ["echo n0", "echo n1"] and all(again(one) for one in found[2:])
        assert [one.state for one in asyncio.run(model.batches())] == ["cancelled"]


def test_lines_in_any_order_double_missing_or_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def edit(out: list[Any], bad: list[Any]) -> tuple[list[Any], list[Any]]:
        kept = out[1:]
        strange = {**kept[0], "custom_id": "ab" * 32}
        broken = ["{", "[]", '{"custom_id": 7}', '{"custom_id": "xyz"}', ""]
        mixed = [*kept, kept[1], strange, *broken]
        random.Random(0).shuffle(mixed)
        return mixed, [{"custom_id": kept[2]["custom_id"], "response": None, "error": {"message": "late"}}]

    with FakeBatches() as provider:
        provider.edit = edit
        model = batch_model(provider, tmp_path, progress=True)
        missing, *found = outcomes(model, 5)
        assert texts(found) == [f"echo n{i}" for i in range(1, 5)]
        assert again(missing) and "batch_0 has no line for this request; run again" in str(missing)
    told = capsys.readouterr().err
    assert "lines: 2 double, 1 missing, 1 of no request of ours, 4 unreadable" in told


def test_requests_that_fail_one_by_one(tmp_path: Path) -> None:
    """A request that is wrong stays so; one that the provider failed is asked again, and its answer is had then."""
    bodies: dict[str, tuple[int, Any]] = {
        "n0": (400, {"error": {"message": "too long", "code": "context_length"}}),
        "n1": (500, {"error": {"message": "oops"}}),
        "n2": (429, {}),
        "n3": (200, {"choices": []}),
        "n4": (200, "nothing"),
        "n5": (200, {"error": {"message": "no"}}),
    }
    with FakeBatches() as provider:
        usual = provider.answer
        provider.answer = lambda body: bodies.get(body["messages"][-1]["content"]) or usual(body)
        model = batch_model(provider, tmp_path)
        *bad, good = outcomes(model, 7)
        assert texts([good]) == ["echo n6"]
        assert [again(one) for one in bad] == [False, True, True, True, True, True]
        assert [getattr(one, "status", 400) for one in bad[:3]] == [400, 500, 429]
        assert "answered 400: too long" in str(bad[0]) and "empty choices" in str(bad[3])
        bodies.clear()
        assert texts(outcomes(model, 7)) == [f"echo n{i}" for i in range(7)]
        assert [len(one["lines"]) for one in provider.batches.values()] == [7, 6]


def test_a_batch_without_any_answer(tmp_path: Path) -> None:
    """Then there is no file of answers, and the id of it is null."""
    with FakeBatches() as provider:
        provider.answer = lambda body: (422, {"error": "no"})
        assert [again(one) for one in outcomes(batch_model(provider, tmp_path), 2)] == [False, False]


def test_a_line_that_is_blamed(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.ends.append("blamed")
        first, *others = outcomes(batch_model(provider, tmp_path), 3)
        assert not again(first) and "failed for this request: Bad line" in str(first)
        assert all(again(one) for one in others)


@pytest.mark.parametrize("route", ["upload", "create", "get", "content"])
def test_failing_calls_are_tried_again(tmp_path: Path, route: str) -> None:
    cut = Response(b'{"custom_id": ', headers={"content-length": "9999"})  # and the connection is closed
    with FakeBatches() as provider:
        provider.fail(route, failing(429, "slow down", **{"Retry-After": "0"}), failing(503), cut, failing(500))
        assert texts(outcomes(batch_model(provider, tmp_path), 3)) == ["echo n0", "echo n1", "echo n2"]
        assert provider.count(route) >= 5 and len(provider.batches) == 1 and max(provider.asked.values()) == 1


@pytest.mark.parametrize(("route", "end"), [("upload", "/files"), ("create", "/batches")])
def test_calls_that_fail_for_good(tmp_path: Path, route: str, end: str) -> None:
    """Nothing was made, so the same question makes it when the provider is well again."""
    with FakeBatches() as provider:
        provider.fail(route, failing(403, "not for you"))
        model = batch_model(provider, tmp_path)
        found = outcomes(model, 2)
        assert all(again(one) and f"{end} refused" in str(one) for one in found) and provider.count(route) == 1
        assert asyncio.run(model.batches()) == []
        provider.fail(route, *[failing(429)] * 2)
        found = outcomes(batch_model(provider, tmp_path, retries=1), 2)
        assert all("answered 429: no (2 attempts)" in str(one) for one in found)
        assert texts(outcomes(model, 2)) == ["echo n0", "echo n1"] and len(provider.batches) == 1


@pytest.mark.parametrize("metadata", [True, False])
def test_a_batch_whose_making_was_not_answered_is_found(tmp_path: Path, metadata: bool) -> None:
    with FakeBatches() as provider:
        provider.metadata = metadata
        other = batch_model(provider, tmp_path / "other")
        outcomes(other, 1, 90)
        provider.lost["create"] = 1
        for _ in range(3):  # the list is in pages of two
            outcomes(other, 1, 91 + _)
        provider.lost["create"] = 1
        assert texts(outcomes(batch_model(provider, tmp_path / "b"), 3)) == ["echo n0", "echo n1", "echo n2"]
        assert max(provider.asked.values()) == 1 and len(provider.batches) == 5 and provider.count("list") >= 1


def test_a_batch_that_is_made_after_we_hung_up_is_found(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.slow["create"] = 0.5
        model = batch_model(provider, tmp_path, timeout=0.3, settle=1.5, poll=0.05)
        assert texts(outcomes(model, 2)) == ["echo n0", "echo n1"]
        assert len(provider.batches) == 1 and provider.count("create") == 1


def test_an_unanswered_making_is_looked_for_by_the_next_run(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.lost["create"] = 1
        found = outcomes(batch_model(provider, tmp_path, retries=0), 3)
        assert all(again(one) and "answered 502" in str(one) for one in found)
        model = batch_model(provider, tmp_path)
        (state,) = asyncio.run(model.batches())
        assert (state.id, state.state, state.open) == ("batch_0", "validating", True)
        assert texts(outcomes(model, 4)) == [f"echo n{i}" for i in range(4)]
        assert [len(one["lines"]) for one in provider.batches.values()] == [3, 1]


def test_one_that_was_never_made_is_made_by_the_next_run(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.fail("create", failing(500))
        assert all(again(one) for one in outcomes(batch_model(provider, tmp_path, retries=0), 3))
        model = batch_model(provider, tmp_path)
        (state,) = asyncio.run(model.batches())
        assert (state.state, state.open) == ("not made", False) and asyncio.run(model.cancel()) == []
        assert len(texts(outcomes(model, 3))) == 3 and len(provider.batches) == 1


def test_a_provider_that_is_away_for_long(tmp_path: Path) -> None:
    """Looking is not given up for a bad minute; past the deadline the wait ends, and the next one goes on."""
    with FakeBatches() as provider:
        provider.fail("get", *[failing(503)] * 20)
        assert len(texts(outcomes(batch_model(provider, tmp_path, retries=1), 2))) == 2
        provider.fail("get", *[failing(503)] * 10_000)
        model = batch_model(provider, tmp_path, deadline=0.3)
        start = time.monotonic()
        found = outcomes(model, 2, 10)
        assert all(again(one) and "answered 503" in str(one) for one in found) and time.monotonic() - start < 5
        with pytest.raises(UpstreamError, match="answered 503"):
            asyncio.run(model.finish())
        provider.faults.clear()
        assert texts(outcomes(model, 2, 10)) == ["echo n10", "echo n11"] and len(provider.batches) == 2


def test_answers_that_are_gone_are_not_paid_for_again(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.fail("content", *[failing(404, "expired")] * 2)
        model = batch_model(provider, tmp_path)
        for _ in range(2):
            (found,) = outcomes(model, 1)
            assert again(found) and "content answered 404" in str(found)
        assert texts(outcomes(model, 1)) == ["echo n0"] and len(provider.batches) == 1
        provider.fail("get", failing(401))
        outcomes(model, 1, 5)
        del provider.batches["batch_1"]
        assert [one.state for one in asyncio.run(model.batches())] == ["completed", "not found"]
        (found,) = outcomes(model, 1, 5)
        assert again(found) and "no key sees another project's batches" in str(found) and len(provider.batches) == 1


def test_an_endpoint_without_batches(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        model = batch_model(provider, tmp_path, base_url=provider.url + "/none")
        with pytest.raises(UpstreamError, match=r"404: check base_url .*not every endpoint has a batch API"):
            ask(model, "a")
        provider.fail(
            "upload", Response("hello", media_type="text/html"), Response("{}", media_type="application/json")
        )
        for said in ("sent no JSON", "sent JSON that is no file"):
            with pytest.raises(UpstreamError, match=said):
                ask(batch_model(provider, tmp_path / "b"), "a")
        provider.fail("create", Response("[]", media_type="application/json"))
        with pytest.raises(UpstreamError, match="sent JSON that is no batch"):
            ask(batch_model(provider, tmp_path / "c"), "a")


def test_an_answer_without_end(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        provider.answer = lambda body: (200, {"choices": [{"message": {"content": "x" * 200_000}}]})
        with pytest.raises(UpstreamError, match="a line of more than 1000 bytes"):
            ask(batch_model(provider, tmp_path, max_bytes=1000), "a")


def test_a_full_queue_takes_smaller_batches_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBatches() as provider:
        provider.room = 5
        model = batch_model(provider, tmp_path, progress=True)
        assert texts(outcomes(model, 12)) == [f"echo n{i}" for i in range(12)]
        assert max(provider.asked.values()) == 1
        taken = [len(one["lines"]) for one in provider.batches.values() if one["end"] != "crowded"]
        assert sum(taken) == 12 and max(taken) <= 5
        states = asyncio.run(model.batches())
        assert [one.state for one in states][:2] == ["failed", "failed"] and {one.state for one in states} == {
            "failed",
            "completed",
        }
    assert "no room for 12 requests (Enqueued token limit reached); next 6 at a time" in capsys.readouterr().err


def test_a_queue_that_says_so_at_once_or_stays_full(tmp_path: Path) -> None:
    full = failing(400, "Enqueued token limit reached for tiny")
    with FakeBatches() as provider:
        provider.fail("create", full, full)
        assert len(texts(outcomes(batch_model(provider, tmp_path), 4))) == 4
        provider.room = 0
        found = outcomes(batch_model(provider, tmp_path, retries=1), 2, 10)
        assert all(again(one) and "no room for a single request (Enqueued" in str(one) for one in found)
        provider.room = None
        assert len(texts(outcomes(batch_model(provider, tmp_path), 2, 10))) == 2


def test_a_journal_that_cannot_be_written_is_told_to_all(tmp_path: Path) -> None:
    """As with a full disk: nobody waits for ever, and a later run goes on."""
    with FakeBatches(way=("validating", *["in_progress"] * 1000)) as provider:
        model = batch_model(provider, tmp_path, most_requests=2)

        async def fill() -> list[Said]:
            works = [asyncio.ensure_future(model.reply(request)) for request in prompts(5)]
            await asyncio.to_thread(provider.wait_for, lambda: provider.count("get") > 3)
            with desk_of(model.settings) as desk:
                desk.loop.call_soon_threadsafe(desk.journal._db.execute, "PRAGMA query_only = ON")
            return await asyncio.gather(*works, return_exceptions=True)

        found = asyncio.run(fill())
        assert all(isinstance(one, DataError) and "batch journal" in str(one) for one in found), found
        provider.hurry()
        assert texts(outcomes(model, 5)) == [f"echo n{i}" for i in range(5)] and max(provider.asked.values()) == 1


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / ("a" * 32 + ".requests.jsonl")).write_text("what a killed process left")
    with FakeBatches() as provider:
        assert texts(outcomes(batch_model(provider, tmp_path), 1)) == ["echo n0"]
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["rows.jsonl"]


def test_who_leaves_is_told_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBatches(way=("validating", *["in_progress"] * 1000)) as provider:
        model = batch_model(provider, tmp_path, progress=True)

        async def leave(until: Any) -> None:
            works = [asyncio.ensure_future(model.reply(request)) for request in prompts(4)]
            await asyncio.sleep(0.01)
            works[3].cancel()  # before it is sent: it is not asked at all
            await asyncio.to_thread(provider.wait_for, until)
            for work in works:
                work.cancel()

        asyncio.run(leave(lambda: provider.count("get") > 2))
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("no longer waiting: batch batch_0 (1 of 3 done) goes on at the endpoint; run again")
        provider.hurry()
        assert texts(outcomes(model, 3)) == ["echo n0", "echo n1", "echo n2"]
        assert [len(one["lines"]) for one in provider.batches.values()] == [3]


def test_nothing_is_sent_for_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBatches() as provider:
        provider.slow["upload"] = 0.2
        model = batch_model(provider, tmp_path, progress=True)

        async def leave(until: Any) -> None:
            work = asyncio.ensure_future(model.reply(prompts(1)[0]))
            await asyncio.to_thread(provider.wait_for, until)
            work.cancel()

        asyncio.run(leave(lambda: provider.count("upload") == 1))
        time.sleep(0.6)
        assert "a batch was being sent; run again" in capsys.readouterr().err
        assert provider.count("create") == 0 and asyncio.run(model.batches()) == []
        assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.parametrize("fault", [None, "refused", "crowded", "lost"])
def test_who_comes_back_while_the_batch_is_sent_is_in_it(tmp_path: Path, fault: str | None) -> None:
    with FakeBatches() as provider:
        provider.slow["upload"] = 0.15
        if fault == "lost":
            provider.lost["create"] = 1
        elif fault is not None:
            provider.fail("create", failing(400, "enqueued token limit" if fault == "crowded" else "no"))
        model = batch_model(provider, tmp_path)

        async def leave_and_return() -> Said:
            work = asyncio.ensure_future(model.reply(prompts(1)[0]))
            await asyncio.to_thread(provider.wait_for, lambda: provider.count("upload") == 1)
            work.cancel()
            await asyncio.sleep(0.05)
            (found,) = await asyncio.gather(model.reply(prompts(1)[0]), return_exceptions=True)
            return found

        found = asyncio.run(leave_and_return())
        assert again(found) if fault == "refused" else texts([found]) == ["echo n0"]
        assert max(provider.asked.values(), default=1) == 1
