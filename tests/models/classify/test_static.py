"""Static vectors distilled from an encoder: kept once, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.models._fetch_store import MARKER
from pilotfish.models.classify import _static
from pilotfish.models.classify.features import StaticFeatures, load_features
from pilotfish.models.encoder import Encoder
from tests.tiny import TEXTS, write_encoder

distil = pytest.importorskip("model2vec.distill")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: Encoder) -> Path:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry a distillation."""
    made: list[int] = []
    original = distil.distill_from_model

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs["pca_dims"])
        return original(*args, **kwargs)

    monkeypatch.setattr(distil, "distill_from_model", counted)
    return made


def test_distilled_once_and_the_same_from_the_store_and_from_a_save(
    tiny_encoder: Encoder, runs: list[int], tmp_path: Path
) -> None:
    first = StaticFeatures(tiny_encoder, 16).fit(TEXTS)
    vectors = first.transform(TEXTS)
    assert vectors.shape == (len(TEXTS), 16)
    assert vectors.dtype == np.float32
    assert first.fit(TEXTS) is first
    np.testing.assert_array_equal(StaticFeatures(tiny_encoder, 16).fit([]).transform(TEXTS), vectors)
    assert runs == [16]
    first.save(tmp_path / "saved")
    again = load_features("static", tmp_path / "saved")
    np.testing.assert_array_equal(again.transform(TEXTS), vectors)
    assert isinstance(again, StaticFeatures)
    assert again.dimension == 16
    assert again.transform([]).shape == (0, 16)
    finished: list[int] = []
    again.transform(TEXTS, progress=finished.append)
    assert finished == [len(TEXTS)]


def test_no_more_components_than_the_encoder_has(tiny_encoder: Encoder, runs: list[int]) -> None:
    assert StaticFeatures(tiny_encoder, 256).fit([]).transform(["the cat"]).shape == (1, 48)
    assert runs == [48]


def test_a_store_that_was_not_finished_is_made_anew(
    tiny_encoder: Encoder, runs: list[int], own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _static.distilled(tiny_encoder, 8).encode(TEXTS)
    (folder,) = (own_home / "static").iterdir()
    (folder / MARKER).unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    np.testing.assert_allclose(_static.distilled(tiny_encoder, 8).encode(TEXTS), expected, atol=1e-5)
    assert runs == [8, 8]
    # Killed while writing: nothing is left that a later run would trust.
    shutil.rmtree(folder)

    def killed(self: Any, path: Path, **_: Any) -> None:
        (Path(path) / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("model2vec.StaticModel.save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            _static.distilled(tiny_encoder, 8)
    assert not folder.exists()
    np.testing.assert_allclose(_static.distilled(tiny_encoder, 8).encode(TEXTS), expected, atol=1e-5)


def test_another_encoder_is_another_store(tiny_encoder: Encoder, runs: list[int], tmp_path: Path) -> None:
    other = Encoder(write_encoder(tmp_path / "other", seed=4), device="cpu")
    one, two = _static.distilled(tiny_encoder, 8).encode(TEXTS), _static.distilled(other, 8).encode(TEXTS)
    assert runs == [8, 8]
    assert not np.allclose(one, two)
