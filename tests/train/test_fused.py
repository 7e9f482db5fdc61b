"""The fused loss against whole logits and autograd: values, gradients, chunks, masks and memory."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pilotfish.distill.divergence import JSD, ForwardKL, divergence
from pilotfish.errors import ConfigError
from pilotfish.models.head import Head
from tests.distill import reference

torch = pytest.importorskip("torch")

from pilotfish.train.fused import FromHead, FromLogits, fused_loss  # noqa: E402 needs torch

TOKENS, STUDENT, TEACHER = 13, 7, 9


def drawn(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(*shape, dtype=dtype or torch.float64)


@pytest.mark.parametrize("name", reference.NAMES)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_loss_and_gradients_are_those_of_whole_logits(name: str, alpha: float, temperature: float) -> None:
    torch.manual_seed(0)
    shapes = itertools.product(((31, 31), (31, 34), (34, 31)), ((1.0, None), (0.5, 3.0)), (4 * 34 * 5, 1 << 20))
    for (v, v_teacher), (scale, cap), chunk in shapes:
        leaves = [one.requires_grad_() for one in (drawn(TOKENS, STUDENT), drawn(v, STUDENT), drawn(v))]
        hidden_teacher, weight_teacher = drawn(TOKENS, TEACHER), drawn(v_teacher, TEACHER)
        labels, weights = torch.randint(0, min(v, v_teacher), (TOKENS,)), drawn(TOKENS).abs()
        z, u = (
            reference.logits(leaves[0], leaves[1], leaves[2], scale, cap),
            reference.logits(hidden_teacher, weight_teacher),
        )
        value = 0.1 if name.startswith("skew") else 0.5
        each = reference.loss(name, z, u, labels, alpha, temperature, value)
        wanted = (each * weights).sum()
        losses = fused_loss(
            leaves[0],
            Head(leaves[1], leaves[2], scale, cap),
            FromHead(hidden_teacher, Head(weight_teacher)),
            divergence(name),
            labels,
            alpha=alpha,
            temperature=temperature,
            weights=weights,
            chunk_bytes=chunk,
        )
        torch.testing.assert_close(losses.total, wanted, rtol=1e-10, atol=1e-10)
        told = alpha * temperature**2 * losses.divergence + (1 - alpha) * losses.cross_entropy
        torch.testing.assert_close(told, each.detach(), rtol=1e-10, atol=1e-10)
        exact = torch.autograd.grad(wanted * 3, leaves)
        for mine, theirs in zip(torch.autograd.grad(losses.total * 3, leaves), exact, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-10)


def test_nothing_in_the_loss_is_0_and_not_nan() -> None:
    hidden, weight = drawn(0, STUDENT).requires_grad_(), drawn(31, STUDENT).requires_grad_()
    target = FromHead(drawn(0, TEACHER), Head(drawn(31, TEACHER)))
    losses = fused_loss(hidden, Head(weight), target, ForwardKL(), torch.zeros(0, dtype=torch.long), alpha=0.5)
    losses.total.backward()
    assert losses.total.item() == 0
    assert weight.grad is not None and not weight.grad.any()


def test_a_token_of_weight_0_teaches_nothing() -> None:
    weights = torch.ones(TOKENS, dtype=torch.float64)
    weights[4] = 0
    grads = []
    for changed in (0.0, 5.0):
        torch.manual_seed(3)
        hidden, weight = drawn(TOKENS, STUDENT).requires_grad_(), drawn(31, STUDENT)
        teacher = drawn(TOKENS, 31)
        teacher[4] += changed * drawn(31)
        fused_loss(hidden, Head(weight), FromLogits(teacher), ForwardKL(), weights=weights).total.backward()
        assert hidden.grad is not None
        grads.append(hidden.grad)
    assert torch.equal(*grads)
    assert not grads[0][4].any()


def test_the_temperature_s_square_keeps_gradients_of_a_size() -> None:
    """With T² the gradient tends to a constant as T grows (Hinton et al. 2015, eq. 4); without it to 0."""
    torch.manual_seed(0)
    weight, teacher, sizes = drawn(31, STUDENT), drawn(TOKENS, 31), []
    start = drawn(TOKENS, STUDENT)
    for temperature in (50.0, 100.0):
        hidden = start.clone().requires_grad_()
        fused_loss(hidden, Head(weight), FromLogits(teacher), ForwardKL(), temperature=temperature).total.backward()
        assert hidden.grad is not None
        sizes.append(float(hidden.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_a_frozen_head_costs_no_gradient_and_a_tied_one_gets_both() -> None:
    hidden, weight = drawn(TOKENS, STUDENT).requires_grad_(), drawn(31, STUDENT)
    fused_loss(hidden, Head(weight), FromLogits(drawn(TOKENS, 31)), ForwardKL()).total.backward()
    assert weight.grad is None and hidden.grad is not None
    table, ids = drawn(31, STUDENT).requires_grad_(), torch.arange(TOKENS)
    teacher = drawn(TOKENS, 31)
    fused_loss(table[ids] * 2, Head(table), FromLogits(teacher), ForwardKL()).total.backward()
    found = table.grad
    other = table.detach().clone().requires_grad_()
    q, p = torch.log_softmax(teacher, -1), torch.log_softmax(other[ids] * 2 @ other.T, -1)
    (q.exp() * (q - p)).sum().backward()
    torch.testing.assert_close(found, other.grad)


def test_half_precision_is_near_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    hidden, weight, teacher = drawn(400, 32), drawn(97, 32), drawn(400, 97)
    exact = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    wanted = fused_loss(exact[0], Head(exact[1]), FromLogits(teacher), JSD(0.5)).total
    wanted.backward()
    low = [hidden.bfloat16().requires_grad_(), weight.bfloat16().requires_grad_()]
    losses = fused_loss(low[0], Head(low[1]), FromLogits(teacher.float()), JSD(0.5), chunk_bytes=4 * 97 * 3)
    losses.total.backward()
    assert losses.total.dtype == torch.float32
    assert losses.total.item() == pytest.approx(wanted.item(), rel=1e-2)
    for mine, theirs in zip(low, exact, strict=True):
        assert mine.grad is not None and theirs.grad is not None
        apart = (mine.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert apart < 0.02


def test_going_back_twice_is_refused_and_wrong_settings_are_told() -> None:
    hidden, head = drawn(2, STUDENT).requires_grad_(), Head(drawn(31, STUDENT))
    total = fused_loss(hidden, head, FromLogits(drawn(2, 31)), ForwardKL()).total
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="goes back once"):
        total.backward()
    with pytest.raises(ConfigError, match="alpha is a share"):
        fused_loss(hidden, head, None, ForwardKL(), alpha=2)
    with pytest.raises(ConfigError, match="needs a teacher"):
        fused_loss(hidden, head, None, ForwardKL())
    with pytest.raises(ConfigError, match="needs labels"):
        fused_loss(hidden, head, None, ForwardKL(), alpha=0)
