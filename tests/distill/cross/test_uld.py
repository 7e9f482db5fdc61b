"""ULD: against its definition by loops, and against numerical gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.cross import uld


def _made(rows: int, ours: int, theirs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(rows, ours, generator=made, dtype=torch.float64)
    return z, (2 * torch.randn(rows, theirs, generator=made, dtype=torch.float64)).softmax(-1)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_it_is_that_of_the_definition(rows: int, ours: int, theirs: int, seed: int) -> None:
    z, q = _made(rows, ours, theirs, seed)
    found = uld(z, q, torch.empty_like(z))
    for row in range(rows):
        p = sorted(z[row].softmax(-1).tolist(), reverse=True)
        t = sorted(q[row].tolist(), reverse=True)
        size = max(ours, theirs)
        p, t = p + [0.0] * (size - ours), t + [0.0] * (size - theirs)
        assert found[row].item() == pytest.approx(sum(abs(a - b) for a, b in zip(p, t, strict=True)), abs=1e-12)


class _Uld(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx, z, q):  # type: ignore[no-untyped-def]
        dz = torch.empty_like(z)
        loss = uld(z, q, dz)
        ctx.save_for_backward(dz)
        return loss

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return ctx.saved_tensors[0] * grad[:, None], None


@pytest.mark.parametrize(("ours", "theirs"), [(7, 7), (5, 9), (9, 5), (2, 1)])
def test_gradients(ours: int, theirs: int) -> None:
    z, q = _made(4, ours, theirs)
    assert torch.autograd.gradcheck(lambda given: _Uld.apply(given, q), z.requires_grad_())


@given(st.permutations(range(6)))
def test_the_order_of_tokens_does_not_matter(order: list[int]) -> None:
    z, _ = _made(1, 6, 6)
    q = z.softmax(-1)[:, order]
    dz = torch.ones_like(z)
    assert uld(z, q, dz).item() == pytest.approx(0, abs=1e-12)


def test_the_logits_may_be_overwritten() -> None:
    z, q = _made(3, 8, 5)
    apart = torch.empty_like(z)
    loss = uld(z, q, apart)
    assert torch.equal(uld(z, q, z), loss) and torch.equal(z, apart)


def test_it_is_at_most_2_and_learning_lowers_it() -> None:
    z, q = _made(16, 30, 50)
    z.requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    losses = []
    for _ in range(200):
        loss = _Uld.apply(z, q).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] <= 2 and losses[-1] < 0.2 * losses[0]


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.booleans())
def test_float32_is_sorted_like_float64(rows: int, ours: int, theirs: int, seed: int, ties: bool) -> None:
    z, q = _made(rows, ours, theirs, seed)
    if ties:
        z, q = z.round(), (q * 8).round() / 8
    dz, low = torch.empty_like(z), torch.empty_like(z).float()
    assert torch.allclose(uld(z.float(), q.float(), low).double(), uld(z, q, dz), atol=1e-5)
    if not ties:  # of equal ones any may be the one that is above
        assert torch.allclose(low.double(), dz, atol=1e-5)
    extreme = z.float() * 100  # probabilities of 0 too
    assert uld(extreme, q.float(), low).isfinite().all() and low.isfinite().all()
    assert torch.allclose(low.sum(-1), torch.zeros(rows), atol=1e-5)
