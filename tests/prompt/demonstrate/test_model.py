"""Demonstrations before a question: how they stand there, within a budget, in any nesting."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.model import Message, Request
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel
from pilotfish.prompt.demonstrate import (
    ByWords,
    Chooser,
    Demonstrated,
    Demonstration,
    Form,
    Pool,
    demonstrated,
)
from tests.fakes import ScriptedModel

POOL = Pool(
    (
        Demonstration("the cat sat", "cat"),
        Demonstration("a cat sat on a mat", "mat"),
        Demonstration("the bird sang", "bird"),
    )
)


def chooser(k: int = 2) -> Chooser:
    return Chooser(ByWords(POOL), k)


def turns(request: Request) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in request.messages]


def test_turns_stand_between_the_system_and_the_conversation() -> None:
    large = ScriptedModel("yes", name="large")
    asked = Request.of(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "where is the cat?"},
        ],
        max_tokens=5,
    )
    reply = asyncio.run(Demonstrated(chooser(), large).reply(asked))
    (seen,) = large.requests
    assert turns(seen)[0] == ("system", "Be brief.")
    assert [role for role, _ in turns(seen)] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert turns(seen)[5:] == turns(asked)[1:]
    best = max(range(3), key=lambda at: ByWords(POOL).scores(["where is the cat?"])[0][at])
    assert turns(seen)[3] == ("user", POOL.inputs[best])
    assert seen.max_tokens == 5
    assert [call.model for call in reply.trace.calls] == ["bm25", "large"]
    assert reply.trace.decisions[-1].verdict == "2 demonstrations"
    assert reply.trace.decisions[-1].score == pytest.approx(ByWords(POOL).scores(["where is the cat?"])[0].max())


def test_text_stands_in_the_last_turn() -> None:
    large = ScriptedModel("yes")
    ask(
        Demonstrated(
            chooser(1), large, Form(how="text", example="{input} -> {output}", prompt="{demonstrations}\n{prompt} ->")
        ),
        "cat",
    )
    assert large.requests[0].prompt == "the cat sat -> cat\ncat ->"
    assert len(large.requests[0].messages) == 1


def test_what_stands_around_a_question_is_not_looked_for() -> None:
    form = Form(input="Text: {input} Label?", output="<{output}>")
    assert form.asked("Text: a cat Label?") == "a cat"
    assert form.asked("another form") == "another form"
    large = ScriptedModel("yes")
    ask(Demonstrated(chooser(1), large, form), "Text: bird Label?")
    assert turns(large.requests[0])[:2] == [("user", "Text: the bird sang Label?"), ("assistant", "<bird>")]


def test_braces_in_a_demonstration_are_no_places() -> None:
    odd = Pool((Demonstration("cat {output} {prompt}", "{input}"),))
    large = ScriptedModel("yes")
    ask(
        Demonstrated(Chooser(ByWords(odd), 1), large, Form(how="text", example="{input}={output}")),
        "cat {demonstrations}",
    )
    assert large.requests[0].prompt == "cat {output} {prompt}={input}\n\nInput: cat {demonstrations}\nOutput:"


def test_the_budget_is_by_the_models_own_tokens(tiny_lm: LocalModel) -> None:
    request = Request.of("where is the cat", max_tokens=2)
    whole = demonstrated(chooser(3), tiny_lm, budget=None)

    def size(one: Demonstrated) -> int:
        return tiny_lm.count(tiny_lm.render(one.shown(request))) - tiny_lm.count(tiny_lm.render(request))

    most = size(whole)
    for budget in range(1, most + 2):
        held = demonstrated(chooser(3), tiny_lm, budget=budget)
        assert size(held) <= budget
    assert size(demonstrated(chooser(3), tiny_lm, budget=most)) == most
    reply = ask(demonstrated(chooser(3), tiny_lm, budget=most - 1), "where is the cat", max_tokens=2)
    assert reply.trace.decisions[-1].verdict == "2 demonstrations, 1 left out by the budget"
    assert len(reply.trace.calls) == 2


def test_a_stream_has_the_whole_trace() -> None:
    async def last() -> tuple[str, int]:
        text, calls = "", 0
        async for delta in Demonstrated(chooser(), ScriptedModel("one two")).stream(Request.of("the cat")):
            text += delta.text
            if delta.reply is not None:
                calls = len(delta.reply.trace.calls)
        return text, calls

    assert asyncio.run(last()) == ("one two", 2)


def test_nothing_to_look_for_changes_nothing() -> None:
    large = ScriptedModel("yes")
    reply = ask(Demonstrated(chooser(), large), Request((Message("user", ({"type": "image_url"},)),)))
    assert len(large.requests[0].messages) == 1
    assert reply.trace.decisions[-1].verdict == "nothing to look for"


def test_a_labeller_goes_around_it_by_probability(tiny_lm: LocalModel) -> None:
    inner = demonstrated(chooser(), tiny_lm, Form(input="Text: {input}"))
    labeller = Labeller(inner, ["cat", "bird"])
    assert labeller.white_box
    found = labeller.predict(["where is the cat", "a bird"])
    assert found.logprobs is not None
    for row, text in zip(found.logprobs, ["where is the cat", "a bird"], strict=True):
        plain = Labeller(tiny_lm, ["cat", "bird"]).request(text)
        context = tiny_lm.render(inner.shown(plain))
        assert "Text: the cat sat" in context or "Text: a cat sat on a mat" in context or "bird sang" in context
        raw = tiny_lm.choices([context], ["cat", "bird"])[0]
        np.testing.assert_allclose(row, raw - np.logaddexp.reduce(raw), atol=1e-4)
    assert not Labeller(demonstrated(chooser(), ScriptedModel("cat")), ["cat", "bird"]).white_box


@pytest.mark.parametrize(
    "settings",
    [{"how": "rows"}, {"input": "no place"}, {"example": "{input}"}, {"prompt": "{prompt}"}, {"output": "{label}"}],
)
def test_what_is_wrong_is_told(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Form(**settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="budget"):
        Demonstrated(chooser(), ScriptedModel(), budget=0)
