"""Tables of n-grams: what is left of a language model at training time is the same linear model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotfish.compete.explain import aug_keywords, aug_linear, coefficients, keywords_by, ngram_linear
from pilotfish.compete.explain.aug import embedded
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Price, Request
from pilotfish.models.classify import EncoderFeatures, NgramFeatures, TextClassifier
from pilotfish.models.classify.head import softmax
from tests.compete.help import made_rows
from tests.fakes import ScriptedModel

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

ROWS = made_rows(90, classes=3)
TEXTS, LABELS = [row["text"] for row in ROWS], [row["label"] for row in ROWS]


def test_the_table_is_the_linear_model_over_sums(tiny_encoder: Encoder, tmp_path: Path) -> None:
    made = aug_linear(TEXTS, LABELS, tiny_encoder, cs=(0.01, 1.0))
    features, head = made.classifier.features, made.classifier.head
    assert isinstance(features, NgramFeatures) and made.c in (0.01, 1.0)
    # The coefficients are linear in the vectors: n-grams' vectors times one matrix, by least squares without a rest.
    vectors = embedded(tiny_encoder, list(features.vocabulary_))
    vectors = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)  # they are taken less their mean
    matrix, *_ = np.linalg.lstsq(vectors, head.coef_.T.astype(np.float64), rcond=None)
    np.testing.assert_allclose(vectors @ matrix, head.coef_.T, atol=2e-3 * float(np.abs(head.coef_).max()))
    # And a text's logits are the sum over its n-grams, the encoder being away.
    made.classifier.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    assert not [path for path in tmp_path.iterdir() if "encoder" in path.name]
    counts = features.transform(TEXTS[:5]).toarray()
    logits = (counts @ head.coef_.T.astype(np.float64) + head.intercept_) / head.temperature_
    np.testing.assert_allclose(again.predict_proba(TEXTS[:5]), softmax(logits), atol=1e-6)
    fresh = made_rows(60, classes=3, seed=7)
    right = [a == row["label"] for a, row in zip(again.predict([row["text"] for row in fresh]), fresh, strict=True)]
    assert np.mean(right) > 0.8  # though most of these texts' n-grams are not in the table


def test_a_language_model_reads_ngrams_too(tiny_lm: LocalModel) -> None:
    made = aug_linear(TEXTS[:30], LABELS[:30], tiny_lm, ngrams=(1, 1), cs=(0.1,), also=["a new word"])
    assert isinstance(made.classifier.features, NgramFeatures) and "new" in made.classifier.features.vocabulary_
    assert made.ngrams == len(made.classifier.features.vocabulary_)


def test_coefficients_are_log_odds() -> None:
    two = [row for row in ROWS if row["label"] != LABELS[0]]
    made = ngram_linear([row["text"] for row in two], [row["label"] for row in two], least=1)
    names, table = coefficients(made.classifier)
    assert table.shape == (len(names), 1)
    head = made.classifier.head
    np.testing.assert_allclose(table[:, 0], (head.coef_[1] - head.coef_[0]) / head.temperature_, rtol=1e-5, atol=1e-7)
    three = ngram_linear(TEXTS, LABELS)
    assert coefficients(three.classifier)[1].shape[1] == 3
    with pytest.raises(ConfigError, match="no table"):
        coefficients(TextClassifier(EncoderFeatures(None)))  # type: ignore[arg-type]
    with pytest.raises(DataError):
        ngram_linear(["a", "b"], ["x", "x"])


def test_keywords_are_asked_for_once_and_count(tmp_path: Path) -> None:
    named = {
        "card": "- card\n- arrived\n- where\nno more than two words are allowed",
        "cat": "1. cat\n2) Sat",
        "refund": "refund",
    }

    def say(request: Request) -> str:
        wanted = request.prompt.partition("of the category ")[2].partition(" contain")[0]
        return named[wanted]

    model = ScriptedModel(say, price=Price(1.0, 1.0))
    found = keywords_by(model, TEXTS, LABELS, tmp_path / "asked", count=5)
    assert found.words == {"card": ("card", "arrived", "where"), "cat": ("cat", "sat"), "refund": ("refund",)}
    assert found.unread == 1 and found.bill.calls == 3 and (found.bill.cost or 0) > 0
    again = keywords_by(model, TEXTS, LABELS, tmp_path / "asked", count=5)
    assert model.calls == 3 and again.words == found.words
    made = aug_keywords(TEXTS, LABELS, found)
    assert made.ngrams == 6
    right = [a == b for a, b in zip(made.classifier.predict(TEXTS), LABELS, strict=True)]
    assert np.mean(right) > 0.8
    with pytest.raises(DataError, match="named no word"):
        keywords_by(ScriptedModel("one two three four five"), TEXTS, LABELS, tmp_path / "other")


def test_what_belongs_together_shares_a_coefficient() -> None:
    """A keyword that no row shows counts by its group."""
    texts = ["fine day", "bad day", "fine", "bad", "a fine one", "a bad one"] * 4
    labels = ["+", "-"] * 12
    groups = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    made = ngram_linear(texts, labels, vocabulary=["fine", "splendid", "bad", "awful"], groups=groups, cs=(1.0,))
    assert made.classifier.predict(["splendid", "awful"]) == ["+", "-"]
    alone = ngram_linear(texts, labels, vocabulary=["fine", "splendid", "bad", "awful"], cs=(1.0,))
    told = alone.classifier.predict_proba(["splendid", "awful"])
    np.testing.assert_allclose(told[0], told[1])
    with pytest.raises(ConfigError, match="vocabulary"):
        ngram_linear(texts, labels, groups=groups)
