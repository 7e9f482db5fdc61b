"""TF-IDF, encoder and static features: what they give, and their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify.features import (
    EncoderFeatures,
    Features,
    StaticFeatures,
    TfidfFeatures,
    load_features,
)
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.tiny import TEXTS

text = pytest.importorskip("sklearn.feature_extraction.text")


def test_tfidf_is_scikit_learns_and_the_same_after_saving(tmp_path: Path) -> None:
    theirs = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    expected = theirs.fit_transform(TEXTS).toarray()
    features = TfidfFeatures().fit(TEXTS)
    np.testing.assert_allclose(features.transform(TEXTS).toarray(), expected, atol=1e-12)
    features.save(tmp_path / "saved")
    again = load_features("tfidf", tmp_path / "saved")
    unseen = [*TEXTS, "the zebra wants a refund", "", "日本語 x"]
    np.testing.assert_array_equal(again.transform(unseen).toarray(), features.transform(unseen).toarray())
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == ["tfidf.json", "tfidf.safetensors"]


def test_words_of_one_letter_and_scripts_without_spaces_are_words() -> None:
    features = TfidfFeatures((1, 1)).fit(["plan b", "plan c", "日本語"])
    assert set(features.vectorizer_.vocabulary_) == {"plan", "b", "c", "日本語"}


def test_texts_without_words_are_one_line() -> None:
    with pytest.raises(DataError, match="no words in the 2 training texts"):
        TfidfFeatures().fit(["?!", ""])


def test_encoder_features_are_its_vectors(tiny_encoder: Encoder, tmp_path: Path) -> None:
    features = EncoderFeatures(tiny_encoder).fit(TEXTS)
    finished: list[int] = []
    vectors = features.transform(TEXTS, progress=finished.append)
    np.testing.assert_array_equal(vectors, tiny_encoder.encode(TEXTS))
    assert sum(finished) == len(TEXTS)
    features.save(tmp_path / "saved")
    again = load_features("encoder", tmp_path / "saved")
    assert isinstance(again, EncoderFeatures)
    assert isinstance(again.encoder, Encoder)
    np.testing.assert_allclose(again.transform(TEXTS), vectors, atol=1e-6)
    assert [p.name for p in (tmp_path / "saved").iterdir()] == ["encoder.json"]


def test_a_language_models_features_are_its_states_averaged(tiny_lm: LocalModel, tmp_path: Path) -> None:
    features = EncoderFeatures(tiny_lm)
    many = [*TEXTS * 10, "", "z" * 600]
    finished: list[int] = []
    vectors = features.transform(many, progress=finished.append)
    assert sum(finished) == len(many)
    assert vectors.shape == (len(many), 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for i in (0, 3, len(many) - 2):
        mean = tiny_lm.hidden([many[i]])[0].mean(axis=0)
        np.testing.assert_allclose(vectors[i], mean / np.linalg.norm(mean), atol=1e-5)
    # A text that is too long is cut, as an encoder cuts it.
    cut = tiny_lm.hidden(["z" * 600], truncate=True)[0].mean(axis=0)
    np.testing.assert_allclose(vectors[-1], cut / np.linalg.norm(cut), atol=1e-5)
    features.save(tmp_path)
    again = load_features("encoder", tmp_path)
    assert isinstance(again, EncoderFeatures)
    assert isinstance(again.encoder, LocalModel)
    np.testing.assert_allclose(again.transform(TEXTS), vectors[: len(TEXTS)], atol=1e-5)
    assert len(features.transform([])) == 0


def test_a_readers_features_are_saved_as_such(tiny_lm: LocalModel, tmp_path: Path) -> None:
    features = EncoderFeatures(Reader(tiny_lm.weights, dtype="float32"))
    vectors = features.transform(TEXTS)
    np.testing.assert_allclose(vectors, EncoderFeatures(tiny_lm).transform(TEXTS), atol=1e-4)
    features.save(tmp_path)
    again = load_features("encoder", tmp_path)
    assert isinstance(again, EncoderFeatures) and isinstance(again.encoder, Reader)
    np.testing.assert_allclose(again.transform(TEXTS), vectors, atol=1e-5)


def test_the_folder_of_an_encoder_is_kept_as_a_whole_path(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_encoder_folder.parent)
    EncoderFeatures(Encoder(tiny_encoder_folder.name)).save(tmp_path)
    monkeypatch.chdir(tmp_path)
    again = load_features("encoder", tmp_path)
    assert again.transform(["the cat"]).shape == (1, 48)


def saved_tfidf(folder: Path) -> Features:
    TfidfFeatures().fit(TEXTS).save(folder)
    return TfidfFeatures()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("tfidf", lambda f: (f / "tfidf.json").unlink()),
        ("tfidf", lambda f: (f / "tfidf.json").write_text("{")),
        ("tfidf", lambda f: (f / "tfidf.json").write_text('{"ngrams": [1], "vocabulary": {}}')),
        ("tfidf", lambda f: (f / "tfidf.json").write_text('{"ngrams": [1, 2], "vocabulary": {"a": 0}}')),
        ("tfidf", lambda f: (f / "tfidf.safetensors").write_bytes(b"12345678")),
        ("encoder", lambda f: (f / "encoder.json").write_text('{"use": "oracle", "weights": "x", "dtype": "auto"}')),
        ("encoder", lambda f: None),
        ("static", lambda f: None),
        ("static", lambda f: (f / "static").mkdir()),
    ],
)
def test_damaged_features_are_one_line(tmp_path: Path, kind: str, change: Callable[[Path], object]) -> None:
    saved_tfidf(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=f"not saved {kind} features") as caught:
        load_features(kind, tmp_path).transform(["the cat"])
    assert "\n" not in str(caught.value)


def test_features_of_an_unknown_kind_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown kind 'magic'; known: tfidf, ngrams, encoder, static"):
        load_features("magic", tmp_path)
    with pytest.raises(ModelError, match="need an encoder"):
        StaticFeatures(None).fit(TEXTS)
