"""Attention matching: probabilities of real queries over real keys."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pilotfish.distill.match import AttentionMatch, layer_map
from pilotfish.errors import ConfigError
from tests.distill.init.models import tiny

LENGTHS = torch.tensor([5, 2, 0])


def _attention(heads: int, seed: int = 0, *, causal: bool = True, dtype: Any = torch.float64) -> Any:
    made = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, heads, 5, 5, generator=made, dtype=torch.float64)
    if causal:
        scores = scores.masked_fill(~torch.ones(5, 5, dtype=torch.bool).tril(), float("-inf"))
    return scores.softmax(-1).to(dtype)


def _rows() -> list[tuple[int, int]]:
    return [(b, t) for b in range(3) for t in range(int(LENGTHS[b]))]


def _brute(ours: Any, theirs: Any, loss: str) -> Any:
    """By loops: each real query, each head, over real keys."""
    total = torch.zeros((), dtype=torch.float64)
    for b, t in _rows():
        for h in range(ours.shape[1]):
            n = int(LENGTHS[b])
            p, q = (x[b, h, t, :n] / x[b, h, t, :n].sum() for x in (ours, theirs))
            live = q > 0
            part = (q[live] * (q[live] / p[live]).log()).sum() if loss == "kl" else ((p - q) ** 2).sum()
            total += part / ours.shape[1]
    return total / len(_rows())


@pytest.mark.parametrize("loss", ["kl", "mse"])
@pytest.mark.parametrize("causal", [True, False])
def test_it_is_that_of_the_definition(loss: Any, causal: bool) -> None:
    ours, theirs = _attention(4, causal=causal), _attention(4, 1, causal=causal)
    value = AttentionMatch({1: 1}, loss=loss)((ours,), (theirs,), LENGTHS)
    assert torch.allclose(value, _brute(ours, theirs, loss))
    assert AttentionMatch({1: 1}, loss=loss)((ours,), (ours,), LENGTHS).abs() < 1e-12


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_unequal_heads_are_matched_by_their_means(loss: Any) -> None:
    ours, theirs = _attention(4), _attention(6, 1)
    expected = _brute(ours.mean(1, keepdim=True), theirs.mean(1, keepdim=True), loss)
    assert torch.allclose(AttentionMatch({1: 1}, loss=loss)((ours,), (theirs,), LENGTHS), expected)
    with pytest.raises(ConfigError, match="4 and 6 heads"):
        AttentionMatch({1: 1}, loss=loss, heads="each")((ours,), (theirs,), LENGTHS)
    same = _attention(4, 1)
    by_means = AttentionMatch({1: 1}, loss=loss, heads="mean")((ours,), (same,), LENGTHS)
    assert torch.allclose(by_means, _brute(ours.mean(1, keepdim=True), same.mean(1, keepdim=True), loss))


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_gradients(loss: Any) -> None:
    match = AttentionMatch({1: 2, 2: 3}, loss=loss)
    ours = [_attention(2, seed, causal=False).requires_grad_() for seed in range(2)]
    theirs = [_attention(2, seed, causal=False).requires_grad_() for seed in range(5, 8)]
    assert torch.autograd.gradcheck(lambda *given: match(given, theirs, LENGTHS), ours)
    match(ours, theirs, LENGTHS).backward()
    assert all(attention.grad is None for attention in theirs)


@pytest.mark.parametrize("loss", ["kl", "mse"])
@pytest.mark.parametrize("content", [0.7, float("nan"), float("inf")])
def test_padding_does_not_count(loss: Any, content: float) -> None:
    match = AttentionMatch({1: 1}, loss=loss)
    mask = torch.arange(5) < LENGTHS[:, None]
    unreal = ~(mask[:, None, :, None] & mask[:, None, None, :]).expand(-1, 4, -1, -1)
    ours, theirs = _attention(4), _attention(4, 1)
    before = match((ours,), (theirs,), LENGTHS)
    ours, theirs = ours.masked_fill(unreal, content).requires_grad_(), theirs.masked_fill(unreal, content)
    for real in (LENGTHS, mask):
        assert torch.allclose(match((ours,), (theirs,), real), before, atol=1e-15)
    match((ours,), (theirs,), LENGTHS).backward()
    assert ours.grad is not None and ours.grad.isfinite().all() and (ours.grad[unreal] == 0).all()


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_a_fully_masked_batch_gives_0(loss: Any) -> None:
    ours = _attention(4).requires_grad_()
    value = AttentionMatch({1: 1}, loss=loss)((ours,), (_attention(4, 1),), torch.zeros(3, dtype=torch.long))
    value.backward()
    assert value == 0 and ours.grad is not None and (ours.grad == 0).all()


def test_real_models_attention() -> None:
    teacher, student = tiny("llama", 6), tiny("qwen2", 2)
    for model in (teacher, student):
        model.set_attn_implementation("eager")
    ids = torch.randint(0, 400, (3, 5), generator=torch.Generator().manual_seed(1))
    match = AttentionMatch(layer_map(2, 6))
    assert match.layers == {1: 3, 2: 6}
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    with torch.no_grad():
        theirs = teacher(input_ids=ids, output_attentions=True).attentions
    losses = []
    for _ in range(30):
        value = match(student(input_ids=ids, output_attentions=True).attentions, theirs, LENGTHS)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]


def test_what_cannot_be_matched_is_said() -> None:
    with pytest.raises(ConfigError, match="kl or mse"):
        AttentionMatch({1: 1}, loss="js")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="auto, each or mean"):
        AttentionMatch({1: 1}, heads="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no attention"):
        AttentionMatch({0: 0})
    with pytest.raises(ConfigError, match="student gave nothing for layer 1"):
        AttentionMatch({2: 1})((_attention(4),), (_attention(4),), LENGTHS)
