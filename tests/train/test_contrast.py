"""Learning by pairs: how they are drawn, what the loss is, and that texts of one label come together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.models.encoder import Encoder
from pilotfish.train.contrast import FIT, contrasted, drawn_pairs, pairs_for, pairs_loss

torch = pytest.importorskip("torch")

TEXTS = ["my card is late", "the card has not arrived", "where is the card", "card not arrived yet",
         "refund the money", "I want a refund", "the top up failed, refund", "a refund for me"]  # fmt: skip
LABELS = ["card"] * 4 + ["refund"] * 4
FAST = replace(FIT, rate=2e-3, batch_tokens=256)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 90), st.integers(0, 5))
def test_pairs_are_of_one_label_and_each_text_has_its_turn(labels: list[int], count: int, seed: int) -> None:
    pairs = drawn_pairs(labels, count, seed)
    assert pairs.shape == (count, 2)
    sizes = Counter(labels)
    for a, b in pairs:
        assert labels[a] == labels[b]
        assert (a == b) == (sizes[labels[a]] == 1)
    turns = np.bincount(pairs[:, 0], minlength=len(labels))
    assert turns.max() - turns.min() <= 1
    np.testing.assert_array_equal(pairs, drawn_pairs(labels, count, seed))


def test_partners_are_drawn_evenly() -> None:
    pairs = drawn_pairs([0] * 5 + [1] * 3, 8000)
    counts = Counter(map(tuple, pairs.tolist()))
    assert len(counts) == 5 * 4 + 3 * 2
    for (a, _), count in counts.items():
        wanted = 1000 / (4 if a < 5 else 2)
        assert abs(count - wanted) < 5 * np.sqrt(wanted)


def test_the_loss_is_the_mean_over_pairs_of_each_kind() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    near, far = [], []
    for i in range(6):
        for j in range(6):
            cos = torch.nn.functional.cosine_similarity(vectors[i], vectors[j], dim=0).item()
            if i != j and labels[i] == labels[j]:
                near.append((1 - cos) ** 2)
            elif i != j:
                far.append(cos**2)
    assert pairs_loss(vectors, labels).item() == pytest.approx((np.mean(near) + np.mean(far)) / 2)
    assert torch.autograd.gradcheck(lambda x: pairs_loss(x, labels), (vectors,))
    alone = pairs_loss(vectors, torch.zeros(6, dtype=torch.long)).item()
    others = pairs_loss(vectors, torch.arange(6)).item()
    whole = [torch.nn.functional.cosine_similarity(vectors[i], vectors[j], dim=0).item()
             for i in range(6) for j in range(6) if i != j]  # fmt: skip
    assert alone == pytest.approx(np.mean([(1 - cos) ** 2 for cos in whole]))
    assert others == pytest.approx(np.mean([cos**2 for cos in whole]))


def apart(encoder: Encoder) -> float:
    """How much nearer texts of one label are than texts of two, in cosines."""
    vectors = encoder.encode(TEXTS).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = np.array(LABELS)[:, None] == np.array(LABELS)[None]
    cosines = vectors @ vectors.T
    return float(cosines[same & ~np.eye(8, dtype=bool)].mean() - cosines[~same].mean())


@pytest.mark.parametrize("rank", [0, 4])
def test_texts_of_one_label_come_together(tiny_encoder: Encoder, rank: int) -> None:
    if rank:
        pytest.importorskip("peft")
    before = tiny_encoder.encode(TEXTS)
    how = replace(FAST, rank=rank, rate=5e-3) if rank else FAST  # adapters take larger steps
    made = contrasted(tiny_encoder, TEXTS, LABELS, how, pairs=160)
    assert apart(made) > apart(tiny_encoder) + (0.05 if rank else 0.3)
    np.testing.assert_array_equal(tiny_encoder.encode(TEXTS), before)


def test_a_killed_run_goes_on_to_the_same_end(tiny_encoder: Encoder, tmp_path: Path) -> None:
    whole = contrasted(tiny_encoder, TEXTS, LABELS, replace(FAST, every=2), pairs=40, folder=tmp_path / "a")
    again = contrasted(tiny_encoder, TEXTS, LABELS, replace(FAST, every=2), pairs=40, folder=tmp_path / "a")
    np.testing.assert_allclose(whole.encode(TEXTS), again.encode(TEXTS), atol=1e-6)
    assert len(list((tmp_path / "a").iterdir())) == 1
    contrasted(tiny_encoder, TEXTS, LABELS[::-1], replace(FAST, every=2), pairs=40, folder=tmp_path / "a")
    assert len(list((tmp_path / "a").iterdir())) == 2  # other labels are another run


def test_how_many_pairs_and_what_cannot_be(tiny_encoder: Encoder) -> None:
    assert [pairs_for(n) for n in (2, 50, 80, 1000)] == [320, 500, 800, 1000]
    for labels in (["a"] * 8, LABELS[:3]):
        with pytest.raises(DataError, match="two labels"):
            contrasted(tiny_encoder, TEXTS, labels)
