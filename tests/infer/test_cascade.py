from __future__ import annotations

import asyncio

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.infer import Above, Cascade, Verdict
from pilotfish.model import Delta, Model, Price, Reply, Request
from tests.fakes import ScriptedModel


def sure(request: Request, _: str) -> float:
    return -0.1 if "easy" in request.prompt else -3.0


def pair() -> tuple[ScriptedModel, ScriptedModel, Cascade]:
    small = ScriptedModel("small says", name="small", logprob=sure, price=Price(1, 1))
    large = ScriptedModel("large says so", name="large", price=Price(100, 100))
    return small, large, Cascade(small, large, Above("mean-logprob", -1.0), name="both")


def deltas(model: Model, prompt: str) -> list[Delta]:
    async def collect() -> list[Delta]:
        return [delta async for delta in model.stream(Request.of(prompt))]

    return asyncio.run(collect())


def test_a_trusted_reply_never_reaches_the_large_model() -> None:
    _, large, both = pair()
    reply = ask(both, "an easy one")
    assert reply.text == "small says"
    assert large.calls == 0
    decision = reply.trace.decisions[-1]
    assert (decision.model, decision.verdict) == ("both", "accepted")
    assert decision.score == pytest.approx(-0.1)


def test_a_deferred_reply_pays_for_both_calls_in_order() -> None:
    small, large, both = pair()
    reply = ask(both, "a hard one")
    assert reply.text == "large says so"
    assert [call.model for call in reply.trace.calls] == ["small", "large"]
    assert reply.cost == pytest.approx((5 * 1 + 6 * 100) / 1e6)
    assert reply.trace.decisions[-1].verdict == "deferred"
    assert (small.calls, large.calls) == (1, 1)


def test_only_the_small_model_is_asked_for_log_probabilities() -> None:
    small, large, both = pair()
    assert ask(both, "an easy one").logprobs is None
    assert ask(both, "an easy one", logprobs=True).logprobs is not None
    ask(both, "a hard one")
    assert small.requests[-1].logprobs and small.requests[-1].top_logprobs >= 2
    assert not large.requests[-1].logprobs


def test_a_stream_is_one_models_answer_never_two_spliced() -> None:
    _, large, both = pair()
    easy = deltas(both, "an easy one")
    assert [delta.text for delta in easy] == ["small says"]
    assert large.calls == 0
    hard = deltas(both, "a hard one")
    assert "".join(delta.text for delta in hard) == "large says so"
    assert len(hard) > 2  # the large one streams
    last = hard[-1].reply
    assert last is not None and [call.model for call in last.trace.calls] == ["small", "large"]
    assert last.trace.decisions[-1].verdict == "deferred"
    assert all(delta.reply is None for delta in hard[:-1])


def test_a_cascade_is_a_model_and_nests() -> None:
    _, _, inner = pair()
    last = ScriptedModel("the last word", name="last")
    outer = Cascade(ScriptedModel("unsure", name="tiny", logprob=-9.0), inner, Above("mean-logprob", -1), name="outer")
    assert isinstance(inner, Model)
    reply = ask(outer, "a hard one")
    assert [call.model for call in reply.trace.calls] == ["tiny", "small", "large"]
    assert [decision.model for decision in reply.trace.decisions] == ["both", "outer"]
    assert last.calls == 0


def test_failures_are_not_hidden() -> None:
    silent = Cascade(ScriptedModel("no numbers"), ScriptedModel(), Above("confidence", 0.5))
    with pytest.raises(ModelError, match="log-probabilities"):
        ask(silent, "hello")
    broken = ScriptedModel(fail_first=9)
    with pytest.raises(UpstreamError):
        ask(Cascade(ScriptedModel("x", logprob=-9.0), broken, Above("confidence", 0.5)), "hello")


def test_three_models_in_order_ask_only_as_far_as_needed() -> None:
    models = [ScriptedModel(name, name=name, logprob=sure) for name in ("tiny", "small")]
    large = ScriptedModel("large", name="large")
    chain = Cascade.of([*models, large], [Above("mean-logprob", -1.0), Above("mean-logprob", -5.0)], "chain")
    assert [call.model for call in ask(chain, "an easy one").trace.calls] == ["tiny"]
    reply = ask(chain, "a hard one")
    assert reply.text == "small"
    assert [call.model for call in reply.trace.calls] == ["tiny", "small"]
    assert [decision.verdict for decision in reply.trace.decisions] == ["accepted", "deferred"]
    assert large.calls == 0
    with pytest.raises(ConfigError, match="one way to accept for each but the last"):
        Cascade.of([*models, large], [Above("mean-logprob", 0)])


@pytest.mark.parametrize("trusted", [True, False])
def test_judging_may_take_calls_which_are_paid_and_may_bring_a_better_reply(trusted: bool) -> None:
    small, large, judge = (ScriptedModel(name, name=name, price=Price(1, 1)) for name in ("small", "large", "judge"))

    async def accept(request: Request, reply: Reply) -> Verdict:
        looked = await judge.reply(request)
        return Verdict(trusted, 0.5, looked.trace, reply.with_(text="better"))

    both = Cascade(small, large, accept)
    reply = ask(both, "a question")
    assert reply.text == ("better" if trusted else "large")
    paid = ["small", "judge"] if trusted else ["small", "judge", "large"]
    assert [call.model for call in reply.trace.calls] == paid
    assert reply.cost == pytest.approx(sum(call.cost or 0 for call in reply.trace.calls))
    assert (reply.cost or 0) > 0
    last = deltas(both, "a question")[-1].reply
    assert last is not None
    assert [call.model for call in last.trace.calls] == paid
