"""Counts of n-grams, beside scikit-learn's; a classifier over them is kept as any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify import NgramFeatures, TextClassifier

TEXTS = ["The card did not come.", "the card, THE card", "Où est l'été ? Ça va.", "日本語の文", ""]


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 2), (2, 3)])
def test_counts_are_those_of_scikit_learn(ngrams: tuple[int, int]) -> None:
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    own = NgramFeatures(ngrams).fit(TEXTS)
    peer = sklearn.CountVectorizer(ngram_range=ngrams, token_pattern=r"(?u)\b\w+\b").fit(TEXTS)
    assert set(own.vocabulary_) == set(peer.vocabulary_)
    order = [own.vocabulary_[name] for name in peer.get_feature_names_out()]
    np.testing.assert_array_equal(own.transform(TEXTS).toarray()[:, order], peer.transform(TEXTS).toarray())


def test_the_commonest_are_kept() -> None:
    features = NgramFeatures((1, 1), most=2, least=2).fit(["a b", "a c", "b d"])
    assert list(features.vocabulary_) == ["a", "b"]
    given = NgramFeatures((1, 2), ["not good", "good", "good"]).fit(["whatever"])
    assert given.transform(["not good, good"]).toarray().tolist() == [[1.0, 2.0]]
    with pytest.raises(DataError, match="no n-gram"):
        NgramFeatures(least=3).fit(["a", "b"])


def test_a_classifier_over_them_is_kept(tmp_path: Path) -> None:
    made = TextClassifier(NgramFeatures()).fit(["a good one", "good", "bad one", "a bad bad"], ["+", "+", "-", "-"])
    made.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    asked = ["good and bad", "bad", "neither"]
    np.testing.assert_allclose(again.predict_proba(asked), made.predict_proba(asked))
    assert again.features.kind == "ngrams" and again.predict(["a bad one"]) == ["-"]
    (tmp_path / "ngrams.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="ngrams"):
        TextClassifier.load(tmp_path)
