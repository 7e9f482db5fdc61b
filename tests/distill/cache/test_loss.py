"""The loss over k tokens and a tail bucket: against brute force in float64, and its gradient against autograd's."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.cache import bucketed
from pilotfish.distill.cache._codec import TAIL
from pilotfish.distill.divergence import divergence

torch = pytest.importorskip("torch")


class ForwardKL:
    """KL(q || p), with its gradient p - q."""

    name: ClassVar[str] = "forward-kl"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        grad.copy_(p - q)
        return (q * (log_q - log_p)).sum(-1)


class ReverseKL:
    """KL(p || q), with its gradient p (log p - log q - KL)."""

    name: ClassVar[str] = "reverse-kl"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        loss = (p * (log_p - log_q)).sum(-1)
        grad.copy_(p * (log_p - log_q - loss[:, None]))
        return loss


class Through(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """The loss as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, z: Any, ids: Any, logprobs: Any, divergence: Any) -> Any:
        dz = torch.empty_like(z)
        loss = bucketed(z, ids, logprobs, divergence, dz)
        ctx.save_for_backward(dz)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return ctx.saved_tensors[0] * grads[0][:, None], None, None, None


def case(rows: int, vocabulary: int, k: int, scale: float, seed: int, dtype: Any = torch.float64) -> tuple[Any, ...]:
    """Logits of a student, and the k likeliest tokens of another distribution with their log-probabilities."""
    torch.manual_seed(seed)
    z = scale * torch.randn(rows, vocabulary, dtype=torch.float64)
    top = (scale * torch.randn(rows, vocabulary, dtype=torch.float64)).log_softmax(-1).topk(k)
    order = torch.randperm(k)  # the order of the k means nothing
    return z.to(dtype), top.indices[:, order], top.values[:, order].to(dtype)


def brute(z: Any, ids: Any, logprobs: Any, divergence: Any) -> Any:
    """The loss written out row by row, its gradient by autograd: (losses, gradients)."""
    z = z.double().clone().requires_grad_()
    losses = []
    for row in range(len(z)):
        p = z[row].softmax(-1)
        named = ids[row].tolist()
        rest = [i for i in range(z.shape[1]) if i not in named]
        q = logprobs[row].double().exp()
        if rest:
            p = torch.cat([p[named], p[rest].sum()[None]])
            q = torch.cat([q, (1 - q.sum()).clamp_min(TAIL)[None]])
            q = q / q.sum()
        else:
            p = p[named]
        if divergence.name == "forward-kl":
            losses.append((q * (q.log() - p.log())).sum())
        else:
            losses.append((p * (p.log() - q.log())).sum())
    loss = torch.stack(losses)
    return loss.detach(), torch.autograd.grad(loss.sum(), z)[0]


@pytest.mark.parametrize("divergence", [ForwardKL(), ReverseKL()], ids=lambda d: d.name)
@given(
    rows=st.integers(1, 4),
    vocabulary=st.integers(1, 40),
    share=st.floats(0, 1),
    scale=st.sampled_from([0.0, 0.5, 2.0, 6.0]),
    seed=st.integers(0, 10**6),
)
def test_loss_and_gradient_are_those_of_brute_force(
    divergence: Any, rows: int, vocabulary: int, share: float, scale: float, seed: int
) -> None:
    k = max(1, round(share * vocabulary))
    z, ids, logprobs = case(rows, vocabulary, k, scale, seed)
    dz = torch.full_like(z, torch.nan)
    loss = bucketed(z, ids, logprobs, divergence, dz)
    wanted, grad = brute(z, ids, logprobs, divergence)
    torch.testing.assert_close(loss, wanted, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(dz, grad, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(dz.sum(-1), torch.zeros(rows, dtype=torch.float64), atol=1e-8, rtol=0)


@pytest.mark.parametrize("divergence", [ForwardKL(), ReverseKL()], ids=lambda d: d.name)
@pytest.mark.parametrize("k", [1, 3, 9])
def test_gradcheck(divergence: Any, k: int) -> None:
    z, ids, logprobs = case(3, 9, k, 1.0, 5)
    assert torch.autograd.gradcheck(lambda x: Through.apply(x, ids, logprobs, divergence), z.requires_grad_())


@pytest.mark.parametrize("name", ["forward-kl", "reverse-kl", "jsd", "tv", "skew-kl", "skew-rkl"])
@pytest.mark.parametrize("k", [4, 9])
def test_gradcheck_of_the_divergences_there_are(name: str, k: int) -> None:
    z, ids, logprobs = case(3, 9, k, 1.0, 6)
    kind = divergence(name)
    assert torch.autograd.gradcheck(lambda x: Through.apply(x, ids, logprobs, kind), z.requires_grad_())


@pytest.mark.parametrize("scale", [0.3, 3.0, 12.0])
def test_float32_is_as_good_as_float32_can_be(scale: float) -> None:
    z, ids, logprobs = case(16, 3000, 32, scale, 2, torch.float32)
    dz = torch.empty_like(z)
    loss = bucketed(z, ids, logprobs, ForwardKL(), dz)
    wanted, grad = brute(z, ids, logprobs, ForwardKL())
    assert loss.dtype == dz.dtype == torch.float32
    torch.testing.assert_close(loss.double(), wanted, rtol=2e-5, atol=2e-6)
    torch.testing.assert_close(dz.double(), grad, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("k", [4, 50])
def test_the_gradient_may_take_the_place_of_the_logits(k: int) -> None:
    z, ids, logprobs = case(5, 50, k, 2.0, 1, torch.float32)
    apart = torch.empty_like(z)
    kept = z.clone()
    loss = bucketed(z, ids, logprobs, ForwardKL(), apart)
    torch.testing.assert_close(z, kept, rtol=0, atol=0)
    torch.testing.assert_close(bucketed(z, ids, logprobs, ForwardKL(), z), loss, rtol=0, atol=0)
    torch.testing.assert_close(z, apart, rtol=0, atol=0)


def test_a_part_of_a_larger_tensor_will_do() -> None:
    z, ids, logprobs = case(6, 50, 4, 2.0, 1, torch.float32)
    room = torch.empty(6, 80)
    room[:, :50] = z
    wanted = torch.empty_like(z)
    loss = bucketed(z, ids, logprobs, ForwardKL(), wanted)
    tile = room[2:4, :50]
    torch.testing.assert_close(bucketed(tile, ids[2:4], logprobs[2:4], ForwardKL(), tile), loss[2:4])
    torch.testing.assert_close(room[2:4, :50], wanted[2:4])


def test_with_all_tokens_it_is_the_full_loss() -> None:
    z, ids, logprobs = case(7, 30, 30, 2.0, 3)
    q = torch.zeros_like(z).scatter_(1, ids, logprobs.exp())
    dz = torch.empty_like(z)
    loss = bucketed(z, ids, logprobs, ForwardKL(), dz)
    log_p = z.log_softmax(-1)
    torch.testing.assert_close(loss, (q * (q.log() - log_p)).sum(-1))
    torch.testing.assert_close(dz, log_p.exp() - q)


def test_the_bucketed_loss_is_a_lower_bound_that_rises_with_k() -> None:
    """Merging classes loses information, and never adds any (the log-sum inequality)."""
    torch.manual_seed(0)
    z, teacher = torch.randn(9, 60).double(), (2 * torch.randn(9, 60)).double().log_softmax(-1)
    losses = []
    for k in (1, 4, 16, 59, 60):
        top = teacher.topk(k)
        losses.append(bucketed(z, top.indices, top.values, ForwardKL(), torch.empty_like(z)))
    for less, more in itertools.pairwise(losses):
        assert (less <= more + 1e-12).all()
    torch.testing.assert_close(losses[-2], losses[-1])  # a bucket of one token is that token


def test_the_tail_counts() -> None:
    """Where half of the mass is in the tail, a student that knows this is right, and one that does not is wrong."""
    vocabulary, k = 100, 4
    ids = torch.arange(k)[None]
    logprobs = torch.full((1, k), 0.5 / k).log()
    knows = torch.full((1, vocabulary), 0.5 / (vocabulary - k)).log()
    knows[:, :k] = logprobs
    dz = torch.empty_like(knows)
    assert float(bucketed(knows, ids, logprobs, ForwardKL(), dz)) == pytest.approx(0, abs=1e-6)
    assert dz.abs().max() < 1e-6
    # Dropped or scaled away, the best student has everything in the k: here that costs, and is pulled back.
    greedy = torch.full((1, vocabulary), 1e-4 / (vocabulary - k)).log()
    greedy[:, :k] = float(np.log((1 - 1e-4) / k))
    loss = float(bucketed(greedy, ids, logprobs, ForwardKL(), dz))
    assert loss == pytest.approx(0.5 * np.log(0.5 / (1 - 1e-4)) + 0.5 * np.log(0.5 / 1e-4), rel=1e-4)
    assert float(dz[:, k:].sum()) == pytest.approx(1e-4 - 0.5, abs=1e-5)  # raise the tail
    assert (dz[:, :k] > 0.1).all()
    renormalised = (logprobs - logprobs.logsumexp(-1, keepdim=True)).exp()
    assert float((renormalised * (renormalised.log() - greedy[:, :k])).sum()) == pytest.approx(1e-4, abs=1e-4)


def test_a_tail_too_small_for_float32_is_no_nan() -> None:
    z = torch.zeros(2, 50)
    z[0, :3] = 60.0  # the student's tail is e^-60 of the whole
    z[1, 3:] = 60.0  # the student's k are
    ids = torch.arange(3)[None].repeat(2, 1)
    sure = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]))  # leaves nothing
    for kind in (ForwardKL(), ReverseKL()):
        for logprobs in (sure, sure - 0.1):
            dz = torch.empty_like(z)
            loss = bucketed(z, ids, logprobs, kind, dz)
            assert torch.isfinite(loss).all() and torch.isfinite(dz).all()
            assert (loss > -1e-6).all()
    # Not 1 - sum, which would be 0 here: the tail's own logarithm.
    leaves = torch.log(torch.tensor([[0.4, 0.25, 0.25]]))
    wanted = brute(z[:1], ids[:1], leaves, ForwardKL())[0]
    assert float(bucketed(z[:1], ids[:1], leaves, ForwardKL(), torch.empty(1, 50))) == pytest.approx(
        float(wanted), 1e-4
    )


def test_no_rows_are_no_loss() -> None:
    z = torch.zeros(0, 50)
    assert bucketed(z, torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, 3), ForwardKL(), z).shape == (0,)
