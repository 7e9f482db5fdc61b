from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish import ask
from pilotfish.adapt.knowledge import AskedCards, Card, Knowing, NearestCards, Relevance
from pilotfish.errors import ConfigError
from pilotfish.model import Delta, Model, Request
from tests.fakes import ScriptedModel


class Letters:
    """Encodes a text by its letters."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)


def card(said: str | list[str], name: str, **more: object) -> Card:
    return Card(ScriptedModel(said, name=name), **more)  # type: ignore[arg-type]


def test_cards_write_and_the_model_is_told() -> None:
    large = ScriptedModel("because", name="large")
    made = Knowing(large, (card("Wind is air.", "weather"), card("Boats float.", "sea")), name="knows")
    assert isinstance(made, Model)
    reply = ask(made, "Why does it blow?", max_tokens=5)
    assert reply.text == "because"
    shown = large.requests[0]
    assert "- Wind is air.\n\n- Boats float." in shown.prompt and shown.prompt.endswith("Why does it blow?")
    assert shown.max_tokens == 5
    assert [(call.model, call.role) for call in reply.trace.calls] == [
        ("weather", "card"),
        ("sea", "card"),
        ("large", "model"),
    ]
    assert reply.trace.decisions[-1].verdict == "told 2 notes of weather, sea"


def test_several_notes_are_draws_of_their_own_and_equal_ones_are_one() -> None:
    model = ScriptedModel(["one", "two", "one"], name="c")
    notes, trace = asyncio.run(Card(model, notes=3).write(Request.of("q")))
    assert [note.text for note in notes] == ["one", "two"] and len(trace.calls) == 3
    assert len({str(request.metadata["sample"]) for request in model.requests}) == 3
    assert model.requests[0].temperature == 0.7
    single = ScriptedModel("one")
    asyncio.run(Card(single).write(Request.of("q {knowledge}")))
    assert single.requests[0].temperature == 0.0 and "q {knowledge}" in single.requests[0].prompt


def test_where_no_note_is_kept_the_request_stays_as_it_is() -> None:
    large = ScriptedModel("x")
    made = Knowing(large, (card("zzz", "a"),), (Relevance(Letters(), least=0.9),))
    reply = ask(made, "about boats")
    assert large.requests[0].prompt == "about boats"
    assert reply.trace.decisions[-1].verdict == "no knowledge kept" and len(reply.trace.calls) == 2
    assert ask(Knowing(ScriptedModel("x"), (card(" ", "a"),)), "q").trace.decisions[-1].verdict == "no knowledge kept"


def test_the_card_of_the_nearest_domain_is_asked() -> None:
    sea, air = card("Boats float.", "sea", domain="boats"), card("Wind is air.", "air", domain="wind")
    made = Knowing(ScriptedModel("x"), (air, sea), route=NearestCards(Letters()))
    assert [call.model for call in ask(made, "boat").trace.calls] == ["sea", "scripted"]
    far = Knowing(ScriptedModel("x"), (air, sea), route=NearestCards(Letters(), least=0.99))
    assert [call.model for call in ask(far, "qqq").trace.calls] == ["scripted"]


@pytest.mark.parametrize(
    ("said", "asked"), [("2", ["sea"]), (" 1.", ["air"]), ("0", []), ("none", []), ("7", []), ("", [])]
)
def test_the_large_model_names_the_card_it_needs(said: str, asked: list[str]) -> None:
    cards = (card("Wind is air.", "air", domain="wind"), card("Boats float.", "sea", domain="boats"))
    router = ScriptedModel(said, name="router")
    reply = ask(Knowing(ScriptedModel("x", name="large"), cards, route=AskedCards(router)), "{cards}?")
    assert [call.model for call in reply.trace.calls] == ["router", *asked, "large"]
    assert "1: wind\n2: boats" in router.requests[0].prompt and "Question: {cards}?" in router.requests[0].prompt


def test_a_stream_has_the_same_answer_and_trace() -> None:
    made = Knowing(ScriptedModel("a b c", name="large"), (card("Wind.", "air"),))

    async def collect() -> list[Delta]:
        return [delta async for delta in made.stream(Request.of("q"))]

    found = asyncio.run(collect())
    assert "".join(delta.text for delta in found) == "a b c"
    reply = found[-1].reply
    assert reply is not None and [call.model for call in reply.trace.calls] == ["air", "large"]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is no card"):
        Knowing(ScriptedModel(), ())
    with pytest.raises(ConfigError, match="one name"):
        Knowing(ScriptedModel(), (card("x", "a"), card("x", "a")))
    with pytest.raises(ConfigError, match=r"needs the place \{knowledge\}"):
        Knowing(ScriptedModel(), (card("x", "a"),), prompt="{question}")
    with pytest.raises(ConfigError, match=r"needs the place \{question\}"):
        card("x", "a", prompt="Write.")
    with pytest.raises(ConfigError, match="one note or more"):
        card("x", "a", notes=0)
