"""Verified replies: accepted, drawn again, refined, withheld."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.measure.checks import Verdict
from pilotfish.model import Call, Reply, Request, ToolCall, Trace
from pilotfish.prompt.verify import SumsHold, Verified
from pilotfish.prompt.verify.verified import ABSTAINED
from tests.fakes import ScriptedModel


def good(request: Request, reply: Reply) -> Verdict:
    trace = Trace((Call("judge", "verifier"),))
    return Verdict("good" in reply.text, reply.text.count("o") / 10, trace, threshold=0.2, why="It lacks good.")


def test_what_is_trusted_is_given_at_once() -> None:
    model = ScriptedModel("good", name="large")
    reply = ask(Verified(model, good), "q")
    assert reply.text == "good" and [call.model for call in reply.trace.calls] == ["large", "judge"]
    (decision,) = reply.trace.decisions
    assert (decision.verdict, decision.score, decision.threshold) == ("accepted", 0.2, 0.2)
    assert not model.requests[0].logprobs


def test_other_draws_are_other_samples() -> None:
    model = ScriptedModel(["bad", "bad", "good"], name="large")
    reply = ask(Verified(model, good, tries=4), Request.of("q", seed=7))
    assert reply.text == "good" and reply.trace.decisions[-1].verdict == "accepted at try 3"
    assert [call.model for call in reply.trace.calls] == ["large", "judge"] * 3
    assert [one.temperature for one in model.requests] == [None, 0.7, 0.7]
    assert [one.seed for one in model.requests] == [7, 8, 9]
    assert [one.metadata.get("sample") for one in model.requests] == [None, 1, 2]


def test_a_refinement_is_told_what_is_wrong() -> None:
    model = ScriptedModel(["3 + 4 = 8", "3 + 4 = 7"], name="large")
    reply = ask(Verified(model, SumsHold(), on_reject="refine"), "Add 3 and 4.")
    assert reply.text == "3 + 4 = 7"
    turns = model.requests[1].messages
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[1].text == "3 + 4 = 8" and "it is 7" in turns[2].text


def test_what_nobody_trusts_is_withheld_or_the_best_of_it_given() -> None:
    def model() -> ScriptedModel:
        return ScriptedModel(["bad", "boo", "bad"], name="large")

    withheld = ask(Verified(model(), good), "q")
    assert withheld.text == ABSTAINED and len(withheld.trace.calls) == 6
    assert withheld.trace.decisions[-1].verdict == "none of 3 trusted: abstained"
    best = ask(Verified(model(), good, then="best"), "q")
    assert best.text == "boo" and len(best.trace.calls) == 6 and best.trace.decisions[-1].score == 0.2
    other = ask(Verified(model(), good, fallback=ScriptedModel("from afar", name="other")), "q")
    assert other.text == "from afar" and len(other.trace.calls) == 7
    assert other.trace.decisions[-1].verdict == "none of 3 trusted: other answers"
    once = ask(Verified(model(), good, on_reject="stop", otherwise="No."), "q")
    assert once.text == "No." and len(once.trace.calls) == 2
    assert once.trace.decisions[-1].verdict == "not trusted: abstained"


def test_a_verifiers_own_reply_is_taken() -> None:
    def better(request: Request, reply: Reply) -> Verdict:
        return Verdict(True, 1.0, reply=Reply("mended", trace=reply.trace))

    reply = ask(Verified(ScriptedModel("x"), better), "q")
    assert reply.text == "mended" and len(reply.trace.calls) == 1


def test_calls_of_tools_are_passed_on_and_streams_are_whole() -> None:
    called = Reply("", tool_calls=(ToolCall("1", "f", "{}"),), trace=Trace((Call("large"),)))
    model: Any = ScriptedModel(lambda request: called)
    assert ask(Verified(model, good), "q").trace.decisions[-1].verdict == "left: it calls tools"

    async def streamed() -> list[str]:
        return [delta.text async for delta in Verified(ScriptedModel(["bad", "good"]), good).stream(Request.of("q"))]

    assert asyncio.run(streamed()) == ["good"]


def test_log_probabilities_are_asked_for_where_a_verifier_needs_them() -> None:
    def sure(request: Request, reply: Reply) -> Verdict:
        assert reply.logprobs
        return Verdict(True, 1.0)

    model = ScriptedModel("good", logprob=-0.1)
    reply = ask(Verified(model, sure, logprobs=True), "q")
    assert model.requests[0].logprobs and reply.logprobs is None
    assert ask(Verified(model, sure, logprobs=True), Request.of("q", logprobs=True)).logprobs


@pytest.mark.parametrize(
    "settings",
    [{"on_reject": "hope"}, {"then": "cry"}, {"tries": 0}, {"temperature": 0}, {"temperature": -1}, {"refine": "no"}],
)
def test_settings_out_of_range_are_told(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Verified(ScriptedModel(), good, **settings)


def test_several_answers_are_refused() -> None:
    with pytest.raises(ConfigError, match="n = 2"):
        ask(Verified(ScriptedModel(), good), Request.of("q", n=2))


def test_passages_that_were_found_on_the_way_are_evidence() -> None:
    from pilotfish.measure.evidence import shown
    from pilotfish.measure.support import ByWords
    from pilotfish.model import WholeReplies
    from pilotfish.prompt.verify import Grounded

    class Finding(WholeReplies):
        """Tells of a passage, as what retrieves does, and answers."""

        name = "finding"

        def __init__(self, says: list[str]) -> None:
            self.says = says

        async def reply(self, request: Request) -> Reply:
            shown(request, ["Anna painted the bridge."])
            return Reply(self.says.pop(0))

    model = Finding(["Bob sold the bridge.", "Anna painted the bridge."])
    reply = ask(Verified(model, Grounded(ByWords(), 0.9)), "Who painted it?")
    assert reply.text == "Anna painted the bridge."
    assert reply.trace.decisions[-1].verdict == "accepted at try 2"
