"""A model in several workers of Ray: the model's own answers, errors and traces, whoever of them answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, DataError, ModelError, UpstreamError
from pilotfish.infer import Cascade
from pilotfish.model import Call, Reply, Request, TokenLogprob
from pilotfish.models.calls import Calls
from pilotfish.models.local import LocalModel
from pilotfish.models.spread import Spread
from pilotfish.rows import Ray
from pilotfish.rows._describe import describe, known_as
from pilotfish.rows.asking import asked
from tests.models.says import Says
from tests.ray_up import gone, kill_one, ray_up

if TYPE_CHECKING:
    from tests.conftest import TinyFolder

__all__ = ["ray_up"]

pytestmark = pytest.mark.usefixtures("ray_up")
TWO = Ray(workers=2, cpus=0.5)


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[Spread]:
    made = Spread(Says(tmp_path), TWO)
    yield made
    asyncio.run(made.aclose())


def all_of(model: Spread, prompts: list[str]) -> list[Reply | BaseException]:
    async def go() -> list[Reply | BaseException]:
        try:
            return await asyncio.gather(*(model.reply(Request.of(one)) for one in prompts), return_exceptions=True)
        finally:
            await model.aclose()

    return asyncio.run(go())


def test_both_workers_answer_and_a_trace_comes_whole(spread: Spread, tmp_path: Path) -> None:
    replies = all_of(spread, [f"say {n}" for n in range(40)])
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [str(n) for n in range(40)]
    first = replies[0]
    assert isinstance(first, Reply)
    assert first.trace.calls == (Call("says", "model", 3, 1, 0.05, 0.25),)
    assert first.logprobs == (TokenLogprob("0", -0.5, (("0", -0.5),)),)
    assert len(list(tmp_path.glob("say-*"))) == 2
    assert not (tmp_path / f"say-{os.getpid()}").exists()
    assert spread.concurrency == 8
    assert gone()


def test_errors_are_the_model_s(spread: Spread) -> None:
    upstream, data, fine = all_of(spread, ["upstream is down", "data is odd", "say yes"])
    assert isinstance(upstream, UpstreamError)
    assert (str(upstream), upstream.status, upstream.retry_after) == ("is down", 503, 2.5)
    assert isinstance(data, DataError)
    assert isinstance(fine, Reply)


def test_a_worker_that_dies_is_replaced_and_its_calls_are_made_again(spread: Spread, tmp_path: Path) -> None:
    replies = all_of(spread, ["once more", *(f"say {n}" for n in range(20))])
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == ["more", *map(str, range(20))]
    assert len(list(tmp_path.glob("once-*"))) == 2


def test_what_kills_every_worker_is_told(spread: Spread) -> None:
    (found,) = all_of(spread, ["die"])
    assert isinstance(found, ModelError)
    assert "workers died" in str(found)


def test_calls_that_nobody_waits_for_any_more_leave_room(spread: Spread) -> None:
    async def go() -> str:
        asking = [asyncio.ensure_future(spread.reply(Request.of(f"say {n}"))) for n in range(40)]
        await asyncio.sleep(0)
        await spread.reply(Request.of("say first"))
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        return (await asyncio.wait_for(spread.reply(Request.of("say last")), 20)).text

    assert asyncio.run(go()) == "last"


def test_killed_from_outside_nothing_is_lost(spread: Spread) -> None:
    async def go() -> list[Reply]:
        await spread.reply(Request.of("say first"))
        asking = [asyncio.ensure_future(spread.reply(Request.of(f"say {n}"))) for n in range(60)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(kill_one)
        return list(await asyncio.gather(*asking))

    assert [reply.text for reply in asyncio.run(go())] == list(map(str, range(60)))


def test_it_answers_in_one_loop_after_another(spread: Spread) -> None:
    assert ask(spread, "say a").text == "a"
    assert asyncio.run(spread.reply(Request.of("say b"))).text == "b"


def test_its_answers_are_the_model_s_own(tmp_path: Path, tiny_folder: TinyFolder) -> None:
    model = LocalModel(tiny_folder(), name="tiny", dtype="float32", device="cpu", max_tokens=5)
    made = Spread(model, Ray(workers=1, cpus=0.5))  # which has torch to load
    here = [ask(model, text).text for text in ("one", "two", "three")]
    replies = all_of(made, ["one", "two", "three"])
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == here
    assert known_as(made) == known_as(model)
    assert describe(made) == describe(model)


def test_what_was_asked_here_is_not_asked_there(tmp_path: Path) -> None:
    one, said = Says(tmp_path), tmp_path / f"say-{os.getpid()}"
    requests = [Request.of(f"say {n}") for n in range(6)]
    calls = Calls(one, tmp_path / "calls.sqlite")
    asyncio.run(calls.replies(requests[:4], progress=False))
    calls.close()
    made = Spread(one, TWO)
    calls = Calls(made, tmp_path / "calls.sqlite")
    try:
        found = asyncio.run(calls.replies(requests, progress=False))
    finally:
        calls.close()
        asyncio.run(made.aclose())
    assert [reply.text for reply in found if isinstance(reply, Reply)] == list(map(str, range(6)))
    assert (calls.taken, calls.asked) == (4, 2)
    assert len(said.read_text().splitlines()) == 4
    told = asked(one, [(request, 0) for request in requests], tmp_path / "asked", progress=False)
    again = Spread(one, TWO)
    assert asked(again, [(request, 0) for request in requests], tmp_path / "asked", progress=False) == told


def test_a_file_spreads_a_model_and_nests_it(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"prompt": "a", "reply": "b"}\n')
    models = {
        "one": {"use": "recorded", "path": "log.jsonl"},
        "many": {"use": "spread", "model": "one", "workers": 2, "cpus": 0.5},
        "both": {
            "use": "cascade",
            "small": "many",
            "large": "one",
            "accept": {"score": "confidence", "above": 0.5},
        },
    }
    file = Collaboration({"models": models, "default": "both"}, folder=tmp_path)
    both = file.model("both")
    assert isinstance(both, Cascade)
    assert isinstance(both.small, Spread)
    assert both.small.workers == Ray(workers=2, cpus=0.5)
    reply = ask(file.model("many"), "a")
    assert reply.text == "b"
    asyncio.run(file.aclose())


@pytest.mark.parametrize(
    ("change", "told"),
    [({"workers": 0}, "workers"), ({"cpus": -1}, "cpus"), ({"address": "ray://x:1"}, "Ray's client"), ({"x": 1}, "x")],
)
def test_what_is_wrong_is_told(change: dict[str, object], told: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"prompt": "a", "reply": "b"}\n')
    models = {
        "one": {"use": "recorded", "path": "log.jsonl"},
        "many": {"use": "spread", "model": "one", **change},
    }
    with pytest.raises(ConfigError, match=told):
        Collaboration({"models": models, "default": "many"}, folder=tmp_path).model()


def test_more_than_the_machine_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Ray has 2 CPU, and a worker needs 64"):
        ask(Spread(Says(tmp_path), Ray(cpus=64)), "say a")
