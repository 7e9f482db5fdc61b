"""Embedding students: the loss against brute force, vectors that come nearer, and a folder that `Encoder` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.blackbox.students.embedding import EmbeddingStudent, vector_loss
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import EncoderFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.train.lm_encoder import encoder_of_lm
from pilotfish.train.settings import Fit
from tests.tiny import CORPUS, write_encoder

torch = pytest.importorskip("torch")

WORDS = sorted({word.strip(".,?;!") for text in CORPUS[:6] for word in text.split()})
FAST = Fit(epochs=15, batch_tokens=256, rate=2e-3, dtype="float32")


def texts(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(2, 7))) for _ in range(count)]


def test_the_loss_is_its_formula_and_its_gradient_is_right() -> None:
    torch.manual_seed(0)
    s, t = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), torch.randn(5, 3, dtype=torch.float64)
    a, b = s.detach().numpy(), t.numpy()
    ua, ub = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    for i in range(5):
        others = [j for j in range(5) if j != i]
        apart = np.mean([(ua[i] @ ua[j] - ub[i] @ ub[j]) ** 2 for j in others])
        expected = 0.5 * (1 - ua[i] @ ub[i]) + 2.0 * ((a[i] - b[i]) ** 2).sum() + 3.0 * apart
        assert vector_loss(s, t, 0.5, 2.0, 3.0)[i].item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda x: vector_loss(x, t, 0.5, 2.0, 3.0), (s,))
    assert float(vector_loss(t, t, 1, 1, 1).sum()) == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(vector_loss(s[:1], t[:1], 1, 1, 1)).all()
    # Rotating all vectors changes no similarity.
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    assert float(vector_loss(t @ turn, t, 0.0, 0.0, 1.0).sum()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("width", [48, 32])
def test_it_comes_nearer_and_loads_as_an_encoder(tiny_encoder: Encoder, tmp_path: Path, width: int) -> None:
    other = Encoder(write_encoder(tmp_path / "other", width=width, seed=11), name="other", device="cpu").load()
    some = texts(400)
    before = other.encode(some[:3])
    student = EmbeddingStudent(other, tiny_encoder, mse=0.1, fit=FAST).fit([*some, *some])
    told = student.report_
    assert (told.texts, told.held_out) == (360, 40)
    assert told.similarity_after > told.similarity_before + 0.1
    assert told.cosine_after is not None
    if width == 48:
        assert told.cosine_before is not None
        assert told.cosine_after > told.cosine_before + 0.1
    else:
        assert told.cosine_before is None
        assert told.cosine_after > 0.5
    np.testing.assert_array_equal(other.encode(some[:3]), before)
    student.save(tmp_path / "out")
    student.save(tmp_path / "out")
    again = EmbeddingStudent.load(tmp_path / "out")
    assert again.dimension == 48
    fresh = texts(20, seed=9)
    np.testing.assert_allclose(again.encode(fresh), student.encode(fresh), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(again.encode(fresh), axis=1), 1, atol=1e-5)


def test_language_models_may_be_student_and_teacher(tiny_lm: LocalModel, tiny_folder: Any, tmp_path: Path) -> None:
    some = texts(40)
    student = encoder_of_lm(tiny_folder("gpt2", "plain"), tmp_path / "lm", max_length=64)
    own = LocalModel(tiny_folder("gpt2", "plain"), dtype="float32", device="cpu")
    expected = EncoderFeatures(own).transform(some)
    np.testing.assert_allclose(student.encode(some), expected, atol=1e-4)
    taught = EmbeddingStudent(student, tiny_lm, fit=Fit(epochs=10, batch_tokens=512, rate=1e-3, dtype="float32"))
    told = taught.fit(some).report_
    assert told.cosine_before is not None
    assert told.cosine_after is not None
    assert told.cosine_after > told.cosine_before + 0.1
    taught.save(tmp_path / "taught")
    np.testing.assert_allclose(Encoder(tmp_path / "taught").encode(some), taught.encode(some), atol=1e-5)
    with pytest.raises(DataError, match="new folder"):
        encoder_of_lm(tiny_folder("gpt2", "plain"), tmp_path / "lm")


def test_what_is_wrong_is_said(tiny_encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="each loss"):
        EmbeddingStudent(tiny_encoder, tiny_encoder, cosine=0, similarity=0).fit(texts(9))
    with pytest.raises(DataError, match="four different"):
        EmbeddingStudent(tiny_encoder, tiny_encoder).fit(["a"] * 9)
    with pytest.raises(ModelError, match="not a saved"):
        EmbeddingStudent.load(tmp_path)
    (tmp_path / "mine").write_text("x")
    student = EmbeddingStudent(tiny_encoder, tiny_encoder, fit=Fit(steps=1, dtype="float32")).fit(texts(9))
    with pytest.raises(DataError, match="something else"):
        student.save(tmp_path)
