"""A classifier of sentences from rows."""

from __future__ import annotations

import pytest

from pilotfish.errors import DataError
from pilotfish.models.classify import EncoderFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.repair.plugins import Toxic
from pilotfish.repair.sentences import taught_sentences
from pilotfish.repair.spans import Context

WORDS = ["the cat", "a dog", "the bird", "my card", "the song", "a refund", "the sea", "the mat"]


def test_it_is_taught_and_reported_beside_words(tiny_encoder: Encoder) -> None:
    texts = [f"{one} and {two} {end}" for one in WORDS for two in WORDS for end in ("is wrong", "did not sat")]
    labels = ["toxic" if "wrong" in text else "fine" for text in texts]
    classifier, report = taught_sentences([*texts, texts[0]], [*labels, labels[0]], EncoderFeatures(tiny_encoder))
    assert report.copies >= 1
    assert report.learnt + report.tested == len(texts) + 1
    ours, plain = report.areas["toxic"]
    assert ours.value > 0.9
    assert plain.value > 0.9
    assert set(report.to_json()["f1"]) == {"toxic", "fine"}
    assert "tf-idf" in str(report)
    spans = Toxic(classifier).detect("The cat and the sea is wrong. The cat and the sea did not sat.", Context())
    assert [(span.start, span.end) for span in spans] == [(0, 29)]


def test_what_teaches_nothing_is_told(tiny_encoder: Encoder) -> None:
    with pytest.raises(DataError, match="two labels"):
        taught_sentences(["a", "b"], ["x", "x"], EncoderFeatures(tiny_encoder))
    with pytest.raises(DataError, match="too few texts with the label 'y'"):
        taught_sentences(["a cat", "the sea", "my card", "no"], ["x", "x", "x", "y"], EncoderFeatures(tiny_encoder))
