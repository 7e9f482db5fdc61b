"""Losses by their formulas; what is no negative of what."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pilotfish.compete.phrases.losses as module
from pilotfish.compete.phrases.losses import Known, held_out_loss, pair_loss, shape_of, type_loss
from pilotfish.compete.phrases.pair import Pair, normal
from tests.compete.phrases.test_measured import Given

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "B"])


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8), st.integers(0, 99))
def test_the_same_and_the_near_are_no_negatives(ends: list[tuple[str, str]], seed: int) -> None:
    pairs = [Pair(a, b) for a, b in ends if normal(a) != normal(b)]
    if not pairs:
        return
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(pairs))[: rng.integers(1, len(pairs) + 1)].tolist()
    found = Known(pairs).left_out(rows)
    texts = [normal(pairs[i].a) for i in rows] + [normal(pairs[i].b) for i in rows]
    near = {frozenset((normal(pair.a), normal(pair.b))) for pair in pairs}
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            partner = (i + len(rows)) % len(texts) == j
            assert found[i, j] == (not partner and (one == other or frozenset((one, other)) in near))


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_pair_loss_is_its_formula(temperature: float) -> None:
    torch.manual_seed(0)
    found = torch.randn(4, 2, 5, dtype=torch.float64, requires_grad=True)
    left_out = torch.from_numpy(Known([Pair(f"a{i}", f"b{i}") for i in range(4)]).left_out(range(4)))
    left_out[0, 1] = left_out[1, 0] = True
    loss = pair_loss(found, left_out, temperature)
    texts = torch.nn.functional.normalize(torch.cat([found[:, 0], found[:, 1]]), dim=-1).detach().numpy()
    for pair in range(4):
        both = []
        for own, partner in ((pair, pair + 4), (pair + 4, pair)):
            scores = {j: math.exp(texts[own] @ texts[j] / temperature) for j in range(8) if not left_out[own, j]}
            assert partner in scores and own not in scores
            both.append(-math.log(scores[partner] / sum(scores.values())))
        assert float(loss.detach()[pair]) == pytest.approx(np.mean(both), rel=1e-9)
    loss.sum().backward()
    assert found.grad is not None and bool(torch.isfinite(found.grad).all())


def test_the_loss_of_pairs_that_are_kept_back_is_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pairs = [Pair(f"a{i}", f"b{i}") for i in range(5)]
    table = {text: rng.normal(size=4) for pair in pairs for text in (pair.a, pair.b)}
    known = Known(pairs)

    def wanted(rows: list[int]) -> float:
        found = torch.tensor(np.array([[table[pairs[i].a], table[pairs[i].b]] for i in rows], np.float32)).double()
        return float(pair_loss(found, torch.from_numpy(known.left_out(rows)), 0.1).sum())

    assert held_out_loss(Given(table), pairs, 0.1) == pytest.approx(wanted([0, 1, 2, 3, 4]) / 5, rel=1e-6)
    monkeypatch.setattr(module, "_BLOCK", 3)
    assert held_out_loss(Given(table), pairs, 0.1) == pytest.approx((wanted([0, 1, 2]) + wanted([3, 4])) / 5, rel=1e-6)


def test_one_pair_alone_teaches_nothing() -> None:
    found = torch.randn(1, 2, 3, requires_grad=True)
    loss = pair_loss(found, torch.from_numpy(Known([Pair("a", "b")]).left_out([0])), 0.05)
    loss.sum().backward()
    assert float(loss.detach()) == 0 and found.grad is not None and not found.grad.any()


def test_the_type_loss_counts_ends_that_have_one() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]], [[5.0, 0.0], [0.0, 5.0]]])
    types = torch.tensor([[0, 1], [1, -1], [-1, -1]])
    wanted = [(math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2, math.log(1 + math.exp(1)), 0.0]
    np.testing.assert_allclose(type_loss(logits, types).numpy(), wanted, atol=1e-6)


def test_letters_tell_a_type() -> None:
    told = {
        "7 May": "number",
        "NATO": "abbreviation",
        "Bank of England": "name",
        "bank": "term",
        "I": "name",
        "": "term",
    }
    assert {phrase: shape_of(phrase) for phrase in told} == told
