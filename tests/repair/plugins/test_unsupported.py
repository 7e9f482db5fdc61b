"""Places that the evidence does not bear out, in sentences of an answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.repair import Context, Repaired
from pilotfish.repair.plugins.unsupported import Unsupported
from pilotfish.repair.tokens.detector import FIT, SpanDetector
from tests.fakes import ScriptedModel
from tests.repair.tokens.test_detector import made


@pytest.fixture(scope="module")
def detector(tiny_encoder: Encoder) -> SpanDetector:
    how = replace(FIT, epochs=6, rate=1e-3, batch_tokens=160)
    return SpanDetector(tiny_encoder, how, length=32).fit(made(60, 0), made(30, 1))


def test_what_it_was_not_told_is_marked(detector: SpanDetector) -> None:
    model = Repaired(ScriptedModel("the cat dog. The bird sea. `refund` and dog."), (Unsupported(detector),))
    asked = Request.of("q", extra={"context": "the cat and the dog and the sea"})
    reply = ask(model, asked)
    assert reply.text == "the cat dog. The bird [unverified] sea. `refund` and dog."
    assert reply.trace.decisions[0].verdict == "mended: borne out by nothing it was told"
    # Nothing was told: nothing is known to be wrong.
    assert ask(model, "q").text == "the cat dog. The bird sea. `refund` and dog."
    said = asyncio.run(_streamed(model, asked))
    assert said == reply.text


async def _streamed(model: Repaired, request: Request) -> str:
    return "".join([delta.text async for delta in model.stream(request)])


def test_places_are_those_of_the_sentence_whatever_stands_before_it(detector: SpanDetector) -> None:
    known = ("the cat and the dog and the bird",)
    text = "cat refund dog."
    plugin = Unsupported(detector)
    for before in ("", "dog bird. ", "cat dog bird. " * 100):
        (span,) = plugin.detect(text, Context("", known, before=before))
        assert text[span.start : span.end] == "refund"
        assert 0 < span.score <= 1
    assert plugin.detect(text, Context()) == []
    assert Unsupported(detector, alone=True).detect(text, Context())
    assert Unsupported(detector, above=1.0).detect(text, Context("", known)) == []
    with pytest.raises(ConfigError, match="above"):
        Unsupported(detector, above=0.0)
