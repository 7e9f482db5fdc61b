"""The books of the gateway: who may ask, what is counted, what is logged, what is answered from memory."""

from __future__ import annotations

import re

import pytest

from pilotfish.infer import Cascade
from pilotfish.infer.accept import Above
from pilotfish.model import Model, Price, Request
from pilotfish.serve._metrics import Metrics
from pilotfish.serve.answers import ResponseCache
from pilotfish.serve.keys import Keys, new_key
from pilotfish.serve.record import Served
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running, until
from tests.serve.test_cancel import Kept


def two() -> dict[str, Model]:
    small = ScriptedModel("a b", name="small", logprob=-0.5, price=Price(1, 2))
    large = ScriptedModel("c d e", name="large", price=Price(10, 20))
    return {"small": small, "large": large, "both": Cascade(small, large, Above("mean-logprob", -0.1), name="both")}


def test_a_key_lets_in_and_is_told_apart() -> None:
    secret, digest = new_key()
    keys = Keys([{"name": "ann", "sha256": digest, "models": ["small"], "rate": 1, "burst": 2}])
    log = Kept()
    with running(two(), keys=keys, log=log) as gateway:
        bearer = {"authorization": f"Bearer {secret}"}
        body = {"model": "small", "messages": [{"role": "user", "content": "x"}]}
        assert gateway.chat("x").status_code == 401
        assert gateway.post("chat/completions", body, authorization="Bearer wrong").status_code == 401
        denied = gateway.post("chat/completions", body | {"model": "large"}, **bearer)
        first = gateway.post("chat/completions", body, **bearer)
        second = gateway.post("chat/completions", body | {"stream": True}, **bearer)
        third = gateway.post("chat/completions", body, **bearer)
        listed = gateway.client.get("/v1/models", headers=bearer).json()["data"]
        assert gateway.client.get("/v1/models").status_code == 401
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "model_not_allowed")
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert third.headers["retry-after"] == "1"
    assert [row["id"] for row in listed] == ["small"]
    assert {served.key for served in log.records} == {"ann"}
    assert secret not in str(log.records)


def test_a_budget_counts_every_attempt_and_streams_too() -> None:
    secret, digest = new_key()
    keys = Keys([{"name": "ann", "sha256": digest, "budget": 100e-6}])
    with running(two(), keys=keys) as gateway:
        bearer = {"authorization": f"Bearer {secret}"}
        body = {"model": "both", "messages": [{"role": "user", "content": "x"}]}
        cost = (1 + 2 * 2 + 10 + 20 * 3) / 1e6
        first = gateway.post("chat/completions", body | {"stream": True}, **bearer)
        assert keys.ledger.spent("ann", "ever") == pytest.approx(cost)
        second = gateway.post("chat/completions", body, **bearer)
        third = gateway.post("chat/completions", body, **bearer)
    assert (first.status_code, second.status_code) == (200, 200)
    assert (third.status_code, third.json()["error"]["code"]) == (429, "insufficient_quota")
    assert third.json()["error"]["type"] == "insufficient_quota"


def test_a_record_of_each_request() -> None:
    log = Kept()
    with running(two(), log=log) as gateway:
        whole = gateway.chat("x", "both")
        gateway.chat("x", "both", stream=True)
        gateway.chat("x", "both", n="many")
        assert until(lambda: len(log.records) == 2)  # one that was not even a request is counted, not logged
    first, second = log.records
    assert first.id == whole.headers["x-request-id"]
    assert (first.model, first.answered_by, first.attempts, first.status) == ("both", "large", 2, 200)
    assert first.decisions[-1].verdict == "deferred"
    assert first.request == Request.of("x")
    assert (first.streamed, first.first_byte) == (False, None)
    assert second.streamed
    assert second.first_byte is not None
    assert 0 <= second.overhead <= second.seconds
    assert 0 < second.first_byte <= second.seconds


def test_answers_given_before_are_given_again() -> None:
    models = {"small": ScriptedModel("a b", name="small", price=Price(1, 2))}
    log = Kept()
    with running(dict(models), answers=ResponseCache(), log=log) as gateway:
        first, again = gateway.chat("x"), gateway.chat("x")
        streamed = events(gateway.chat("x", stream=True, stream_options={"include_usage": True}))
        gateway.chat("y", stream=True)
        after = gateway.chat("y")
        metrics = gateway.metrics()
    assert models["small"].calls == 2
    assert again.json()["choices"] == first.json()["choices"]
    assert again.headers["x-pilotfish-cost"] == "0.000000000"
    assert streamed[1]["choices"][0]["delta"]["content"] == "a b"
    assert streamed[-2]["pilotfish"]["cost"] == 0
    assert after.json()["choices"][0]["message"]["content"] == "a b"
    assert [served.cached for served in log.records] == [False, True, True, False, True]
    assert metrics['pilotfish_cached_total{model="small"}'] == 3


def test_each_key_has_answers_of_its_own() -> None:
    (ann, one), (bob, two_) = new_key(), new_key()
    keys = Keys([{"name": "ann", "sha256": one}, {"name": "bob", "sha256": two_}])
    model = ScriptedModel("a", name="small")
    body = {"model": "small", "messages": [{"role": "user", "content": "my secret"}]}
    with running({"small": model}, keys=keys, answers=ResponseCache()) as gateway:
        for secret in (ann, bob, ann):
            gateway.post("chat/completions", body, authorization=f"Bearer {secret}")
    assert model.calls == 2


def test_metrics_are_prometheus_text() -> None:
    with running(two()) as gateway:
        for _ in range(3):
            gateway.chat("x", "both")
        gateway.chat("x", "small", stream=True)
        gateway.chat("x", "nobody")
        response = gateway.client.get("/metrics")
        values = gateway.metrics()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
    lines = response.text.splitlines()
    assert all(line.fullmatch(one) for one in lines if not one.startswith("#"))
    names = [one.split()[2] for one in lines if one.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert values['pilotfish_requests_total{path="/v1/chat/completions",model="both",status="200"}'] == 3
    assert values['pilotfish_requests_total{path="/v1/chat/completions",model="",status="404"}'] == 1
    assert values['pilotfish_decisions_total{model="both",verdict="deferred"}'] == 3
    assert values['pilotfish_calls_total{model="small"}'] == 4
    assert values['pilotfish_tokens_total{model="large",direction="output"}'] == 9
    assert values['pilotfish_cost_dollars_total{model="large"}'] == pytest.approx(3 * 70e-6)
    assert values['pilotfish_request_seconds_count{model="both"}'] == 3
    assert values['pilotfish_request_seconds_bucket{model="both",le="+Inf"}'] == 3
    assert values['pilotfish_first_byte_seconds_count{model="small"}'] == 1
    assert values["pilotfish_requests_in_flight"] == 0


def test_buckets_count_all_below_and_labels_are_escaped() -> None:
    metrics = Metrics()
    for seconds in (0.003, 0.02, 0.02, 1000.0):
        metrics.count("/p", Served("i", 0.0, "", 'a"b\\', Request.of("x"), None, seconds=seconds))
    text = metrics.render(0)
    label = 'model="a\\"b\\\\"'
    for bound, count in (("0.005", 1), ("0.01", 1), ("0.025", 3), ("300", 3), ("+Inf", 4)):
        assert f'pilotfish_request_seconds_bucket{{{label},le="{bound}"}} {count}\n' in text
