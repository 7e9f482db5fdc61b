"""Classifiers of texts that the tests explain: a table of n-grams, heads over tiny networks, a labeller."""

from __future__ import annotations

from typing import Any

from pilotfish.models.classify import EncoderFeatures, NgramFeatures, TextClassifier, TfidfFeatures
from tests.compete.help import made_rows

ROWS = made_rows(60, classes=3)
TEXTS, LABELS = [row["text"] for row in ROWS], [row["label"] for row in ROWS]
ASKED = ["my card has not arrived", "the cat sat, on the mat", "I want a refund", "wait"]


def table(kind: str = "ngrams", classes: int = 3) -> TextClassifier:
    """Return a linear head over n-grams."""
    features = NgramFeatures() if kind == "ngrams" else TfidfFeatures()
    return taught(features, classes)


def headed(network: Any, classes: int = 3) -> TextClassifier:
    """Return a head over an encoder or a language model."""
    return taught(EncoderFeatures(network), classes)


def taught(features: Any, classes: int) -> TextClassifier:
    """Return a classifier of the first labels."""
    kept = sorted(set(LABELS))[:classes]
    some = [(text, label) for text, label in zip(TEXTS, LABELS, strict=True) if label in kept]
    return TextClassifier(features).fit([text for text, _ in some], [label for _, label in some])
