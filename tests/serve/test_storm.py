"""An endpoint that goes wrong in seven ways at once: every reply is right or a clear error, and the books add up."""

from __future__ import annotations

import asyncio

from pilotfish.model import Model, Price
from tests.fakes import ScriptedUpstream
from tests.models.remote_help import model_at
from tests.serve.gateways import started
from tests.serve.storm import FAULTS, ask_all, faulty
from tests.serve.test_cancel import Kept

COUNT = 400


def test_every_reply_is_right_or_a_clear_error() -> None:
    log = Kept()
    with ScriptedUpstream(faulty(0.1, seed=1)) as upstream:
        model = model_at(upstream, timeout=1.5, retries=0, concurrency=64, price=Price(1, 10), name="small")
        models: dict[str, Model] = {"small": model}
        with started(models, log=log) as gateway:
            storm = asyncio.run(ask_all(gateway.url, COUNT, clients=32))
            metrics = gateway.metrics()
        assert upstream.calls == COUNT
    assert not storm.wrong
    assert storm.right + sum(storm.errors.values()) + storm.broken == COUNT
    faults = COUNT - storm.right
    assert 0.55 * COUNT < faults < 0.85 * COUNT  # seven faults of a tenth each
    assert set(storm.errors) == {429, 502, 504}
    assert storm.broken > 5
    # What clients were told, what the log holds and what the metrics count is the same.
    served = [one for one in log.records if one.status == 200]
    assert len(log.records) == COUNT
    assert len(served) == storm.right
    assert sum(one.usage.tokens_in for one in served) == storm.tokens_in
    assert sum(one.usage.tokens_out for one in served) == storm.tokens_out
    # A stream that broke off is paid for as well: what it took is guessed, and said to be.
    broken = [one for one in log.records if one.attempts and one.status != 200]
    assert len(broken) == storm.broken
    assert {one.calls[0].why for one in broken} == {"broken off; tokens guessed"}
    guessed = sum(one.usage.tokens_out for one in broken)
    assert metrics['pilotfish_tokens_total{model="small",direction="output"}'] == storm.tokens_out + guessed
    dollars = metrics['pilotfish_cost_dollars_total{model="small"}']
    tokens_in = storm.tokens_in + sum(one.usage.tokens_in for one in broken)
    assert abs(dollars - (tokens_in + 10 * (storm.tokens_out + guessed)) / 1e6) < 1e-9
    assert metrics["pilotfish_requests_in_flight"] == 0


def test_with_retries_nearly_all_are_right() -> None:
    with ScriptedUpstream(faulty(0.1 / len(FAULTS), seed=2)) as upstream:
        model = model_at(upstream, timeout=1.5, retries=4, longest_wait=0.01, concurrency=64)
        models: dict[str, Model] = {"small": model}
        with started(models) as gateway:
            storm = asyncio.run(ask_all(gateway.url, 200, clients=32))
    assert not storm.wrong
    # Malformed JSON, a wrong type and a stream that has begun are not tried again; nothing else is left over.
    assert storm.right > 180
    assert set(storm.errors) <= {502}
