"""Verifiers: evidence, sums, tests, agreement on what is cited, and several together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.checks import ByFunction, FitsSchema, Matches, Verdict
from pilotfish.measure.support import ByWords
from pilotfish.model import Reply, Request
from pilotfish.prompt.verify import CitedAgreement, Grounded, PassesTests, SumsHold, Together, by_support
from pilotfish.prompt.verify.every import judged
from pilotfish.prompt.verify.evidence import evidence_of
from pilotfish.prompt.verify.tests_pass import examples_of
from tests.fakes import ScriptedModel


def verdict(verifier: Any, prompt: str | Request, said: str | Reply) -> Verdict:
    reply = Reply(said) if isinstance(said, str) else said
    return asyncio.run(judged(verifier, Request.of(prompt), reply))


def test_evidence_is_the_passages_where_there_are_any() -> None:
    asked = Request.of([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "The sky is red. Why?"}])
    assert evidence_of(asked) == ["Be kind.\n\nThe sky is red. Why?"]
    assert evidence_of(asked.with_(metadata={"passages": ["one", "two"]})) == ["one", "two"]


def test_a_sentence_that_nothing_bears_out_is_found() -> None:
    request = Request.of("Who?").with_(metadata={"passages": ["Anna painted the bridge in 1907.", "Bob slept."]})
    verifier = Grounded(ByWords(), above=0.6)
    assert verdict(verifier, request, "Anna painted the bridge [1]. Bob slept [2].").accepted
    wrong = verdict(verifier, request, "Anna painted the bridge [1]. She sold it in 1921.")
    assert not wrong.accepted and wrong.score == 0.0
    assert 'bear out: "She sold it in 1921."' in wrong.why
    mean = verdict(Grounded(ByWords(), 0.5, "mean"), request, "Anna painted the bridge. She sold it in 1921.")
    assert mean.accepted and mean.score == pytest.approx(0.5)
    assert not verdict(verifier, request, " [1] ").accepted


def test_a_function_that_gives_no_numbers_is_told() -> None:
    def short(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [0.5] * (len(pairs) - 1)

    with pytest.raises(ModelError, match="2 sentences need"):
        verdict(Grounded(short), "q", "One is here. Two is there.")
    with pytest.raises(ModelError, match="from 0 to 1"):
        verdict(Grounded(lambda pairs: [2.0] * len(pairs)), "q", "One is here.")
    with pytest.raises(ConfigError):
        Grounded(ByWords(), above=1.5)


def test_sums_are_computed_again() -> None:
    assert verdict(SumsHold(), "q", "3 + 4 = 7, so 7 * 2 = 14.").score == 1
    wrong = verdict(SumsHold(), "q", "3 + 4 = 8, so 8 * 2 = 16.")
    assert not wrong.accepted and wrong.score == 0.5 and wrong.why == '"3 + 4 = 8" is wrong: it is 7.'
    assert verdict(SumsHold(above=0.5), "q", "3 + 4 = 8, so 8 * 2 = 16.").accepted
    assert verdict(SumsHold(), "q", "It is seven.").accepted
    assert "no calculation" in verdict(SumsHold(needed=True), "q", "It is seven.").why
    assert "it is 0.33" in verdict(SumsHold(), "q", "1 / 3 = 0.50").why
    assert "it is -2" in verdict(SumsHold(), "q", "3 - 5 = 2").why


PROMPT = '''def twice(x):
    """Double a number.
    >>> twice(2)
    4
    >>> [twice(i)
    ...  for i in range(2)]
    [0, 2]
    """
'''


def test_examples_of_a_prompt_are_its_tests() -> None:
    assert examples_of("no examples") == examples_of(">>> a line without output\n") == ""
    assert examples_of(PROMPT) == ">>> twice(2)\n4\n\n>>> [twice(i)\n...  for i in range(2)]\n[0, 2]\n"
    assert verdict(PassesTests(), PROMPT, "```python\ndef twice(x):\n    return 2 * x\n```").accepted
    wrong = verdict(PassesTests(), PROMPT, "```python\ndef twice(x):\n    return x + 2\n```")
    assert not wrong.accepted and "does not come out" in wrong.why and "Expected" in wrong.why
    assert verdict(PassesTests(), PROMPT, "``` ```").why == "It holds no code."


def test_tests_are_given_or_come_with_the_request() -> None:
    code = "def twice(x): return 2 * x"
    assert verdict(PassesTests("assert twice(3) == 6"), "q", code).accepted
    assert not verdict(PassesTests("assert twice(3) == 7"), "q", code).accepted
    assert verdict(PassesTests(), Request.of("q").with_(metadata={"tests": "assert twice(3) == 6"}), code).accepted
    with pytest.raises(ConfigError, match="no tests"):
        verdict(PassesTests(), "q", code)


def test_an_answer_is_held_against_what_its_citations_say() -> None:
    def small(request: Request) -> str:
        return "Anna" if "Anna painted" in request.prompt else "nobody knows"

    model = ScriptedModel(small, name="small")
    request = Request.of("the whole prompt").with_(
        metadata={"passages": ["Anna painted it.", "Bob slept."], "question": "Who painted it?"}
    )
    right = verdict(CitedAgreement(model), request, "Anna [1].")
    assert right.accepted and right.score == 1 and len(right.trace.calls) == 1
    assert "Question: Who painted it?" in model.requests[0].prompt and "Bob" not in model.requests[0].prompt
    wrong = verdict(CitedAgreement(model), request, "Anna [2].")
    assert not wrong.accepted and '"nobody knows"' in wrong.why
    assert verdict(CitedAgreement(model), request, "Anna.").accepted  # all passages, for it cites none
    assert not verdict(CitedAgreement(model, all_if_none=False), request, "Anna [9].").accepted
    entails = by_support(lambda pairs: [float(one == "Anna") for one, _ in pairs])
    assert verdict(CitedAgreement(model, agreement=entails), request, "The painter is Anna [1].").accepted
    with pytest.raises(ConfigError, match="passages"):
        CitedAgreement(model, prompt="{question}")


def test_several_verifiers_are_one() -> None:
    asked: list[str] = []

    def noted(name: str, good: bool) -> Any:
        def verifier(request: Request, reply: Reply) -> Verdict:
            asked.append(name)
            return Verdict(good, float(good), why="" if good else f"{name} says no.")

        return verifier

    every = verdict(Together([noted("a", True), noted("b", False), noted("c", True)]), "q", "x")
    assert not every.accepted and every.why == "b says no." and asked == ["a", "b"]
    asked.clear()
    some = verdict(Together([noted("a", False), noted("b", True), noted("c", True)], "any"), "q", "x")
    assert some.accepted and some.why == "" and asked == ["a", "b"]
    assert verdict(Together([noted("a", False), noted("b", False)], "any"), "q", "x").why == "a says no. b says no."
    with pytest.raises(ConfigError):
        Together([])


def test_plain_checks_say_what_is_wrong() -> None:
    assert "not JSON" in verdict(FitsSchema({"type": "object"}), "q", "{").why
    told = verdict(FitsSchema({"type": "object", "required": ["a"]}), "q", "{}").why
    assert told == "It does not fit its JSON schema at $: 'a' is a required property."
    assert "pattern" in verdict(Matches("^x"), "q", "y").why and verdict(Matches("^x"), "q", "x").why == ""
    assert verdict(ByFunction("tests.prompt.verify.test_verifiers:_long"), "q", "long enough").accepted


def _long(request: Request, reply: Reply) -> bool:
    return len(reply.text) > 5
