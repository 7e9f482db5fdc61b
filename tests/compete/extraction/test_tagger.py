"""Fields read out of texts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.assemble import Collaboration
from pilotfish.compete.extraction import FieldTagger, TaggerReplies, found_in, labelled, teach
from pilotfish.compete.extraction.spans import read_out
from pilotfish.compete.extraction.tagger import words_in
from pilotfish.errors import DataError, ModelError
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit

FIELDS = ("name", "town")
NAMES = ["Ada", "Grace", "Alan Turing", "Barbara", "Donald", "Edsger", "Frances", "Ken"]
TOWNS = ["London", "New York", "Oslo", "Rome", "Lima", "Quito"]


def rows(count: int, seed: int = 0) -> list[tuple[str, dict[str, object]]]:
    rng = np.random.default_rng(seed)
    found: list[tuple[str, dict[str, object]]] = []
    for i in range(count):
        name, town = str(rng.choice(NAMES)), str(rng.choice(TOWNS))
        if i % 5 == 4:
            found.append((f"Nobody called on day {i}.", {"name": None, "town": None}))
        else:
            found.append((f"On day {i} {name} went to {town} by train.", {"name": name, "town": town}))
    return found


def test_values_are_found_as_whole_words_and_the_longer_stands() -> None:
    text = "Anna of New York met Ann in York; ann left."
    found = found_in(text, {"name": ["Ann", "Bob"], "town": ["New York", "York"]})
    assert [(field, text[a:b]) for field, a, b in found.places] == [
        ("town", "New York"),
        ("name", "Ann"),
        ("town", "York"),
    ]
    assert found.missing == 1
    assert found_in("ANN left", {"name": "Ann"}).places == (("name", 0, 3),)


def test_tags_read_back_as_the_values() -> None:
    text = "On day 3 Alan Turing went to New York, Oslo and New York."
    truth = {"name": "Alan Turing", "town": ["New York", "Oslo"]}
    words = words_in(text)
    tags = labelled(words, found_in(text, truth), FIELDS)
    assert read_out(text, words, tags, FIELDS) == truth


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12))
def test_any_tags_are_read(tags: list[int]) -> None:
    text = " ".join("ab"[i % 2] * (i + 1) for i in range(len(tags)))
    words = []
    start = 0
    for word in text.split():
        words.append((start, start + len(word)))
        start += len(word) + 1
    read = read_out(text, words, tags, FIELDS)
    said = [one for value in read.values() for one in ([value] if isinstance(value, str) else value or [])]
    marked = {text[a:b] for (a, b), tag in zip(words, tags, strict=True) if tag}
    assert all(any(word in one.split() for one in said) for word in marked)
    assert all(one in text for one in said)


def test_a_tagger_learns_is_kept_and_answers(tiny_encoder: Encoder, tmp_path: Path) -> None:
    taught = teach(
        tiny_encoder, rows(80), FIELDS, Fit(epochs=12, batch_tokens=512, rate=3e-3, dtype="float32"), before="Text: "
    )
    fresh = rows(40, seed=1)
    read = taught.read([text for text, _ in fresh])
    right = np.mean([one.values == truth for one, (_, truth) in zip(read, fresh, strict=True)])
    assert right > 0.8
    assert taught.report["missing"] == 0 and taught.report["values"] > 100
    taught.save(tmp_path / "tagger")
    again = FieldTagger.load(tmp_path / "tagger")
    assert [one.values for one in again.read([text for text, _ in fresh[:5]])] == [one.values for one in read[:5]]
    table = {"models": {"reads": {"use": "classifier", "path": "tagger"}}}
    model = Collaboration(table, folder=tmp_path).model("reads")
    assert isinstance(model, TaggerReplies)
    reply = asyncio.run(model.reply(Request.of("Text: " + fresh[0][0])))
    assert json.loads(reply.text) == read[0].values
    assert reply.logprobs is not None and reply.logprobs[0].logprob == pytest.approx(
        np.log(read[0].sure.min()), abs=1e-4
    )


def test_nothing_to_learn_is_told(tiny_encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8"):
        teach(tiny_encoder, rows(3), FIELDS)
    with pytest.raises(DataError, match="nothing to mark"):
        teach(tiny_encoder, [("a text without it", {"name": "Zed"})] * 10, FIELDS)
    with pytest.raises(ModelError):
        FieldTagger.load(tmp_path)
