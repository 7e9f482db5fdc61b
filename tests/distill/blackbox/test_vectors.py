"""An embedding student taught and saved once: the folder, the report, and what a second call does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.blackbox.students import EmbeddingStudent
from pilotfish.distill.blackbox.vectors import teach_vectors
from pilotfish.errors import DataError
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit
from tests.tiny import TEXTS, write_encoder


def test_a_finished_run_is_not_repeated(tiny_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Encoder(write_encoder(tmp_path / "small", width=16, seed=5), device="cpu")
    how = Fit(epochs=2, batch_tokens=128, rate=1e-3, dtype="float32")

    def student(**more: Any) -> EmbeddingStudent:
        return EmbeddingStudent(small, tiny_encoder, fit=how, held_out=0.3, folder=tmp_path / "run", **more)

    texts = [f"{text} {i}" for i in range(3) for text in TEXTS]
    told = teach_vectors(student(), texts, tmp_path / "out")
    assert told.near.texts + told.near.held_out == len(texts)
    assert told.near.cosine_before is None and f"is {told.near.cosine_after:.3f}," in str(told)
    assert Encoder(tmp_path / "out", device="cpu").encode(["a"]).shape == (1, 48)
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match="another run"):
        teach_vectors(student(mse=1.0), texts, tmp_path / "out")
    # Killed between the weights and the report, it is done again.
    (tmp_path / "out" / "pilotfish-vectors.json").unlink()
    assert teach_vectors(student(), texts, tmp_path / "out") == told
    monkeypatch.setattr(EmbeddingStudent, "fit", lambda *_: pytest.fail("fitted again"))
    assert teach_vectors(student(), texts, tmp_path / "out") == told
