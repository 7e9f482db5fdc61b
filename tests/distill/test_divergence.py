"""Each divergence and its gradient against the paper's formula in float64, at its ends, and on hard distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.distill.divergence import DIVERGENCES, Divergence, divergence
from pilotfish.errors import ConfigError
from tests.distill import reference

torch = pytest.importorskip("torch")

VALUES = {"jsd": "beta", "skew-kl": "skew", "skew-rkl": "skew", "adaptive-kl": "head"}


def made(name: str, value: float = 0.5) -> Divergence:
    return divergence(name, **({VALUES[name]: value} if name in VALUES else {}))


def ours(one: Divergence, z: Any, u: Any) -> tuple[Any, Any]:
    """Return losses and the gradient by z, and check that nothing else was written to."""
    log_p, log_q = torch.log_softmax(z, -1), torch.log_softmax(u, -1)
    p, q = log_p.exp(), log_q.exp()
    given = [p, q, log_p, log_q]
    kept = [tensor.clone() for tensor in given]
    grad = torch.full_like(z, float("nan"))
    loss = one(p, q, log_p, log_q, grad)
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
    return loss, grad


def test_every_name_is_tested() -> None:
    assert set(reference.NAMES) == set(DIVERGENCES)


@pytest.mark.parametrize(
    # β = 0 is the forward KL by definition, not the formula's 0: see the test of the ends.
    ("name", "value"),
    [(name, value) for name in reference.NAMES for value in (0.0, 0.1, 0.5, 0.9) if (name, value) != ("jsd", 0.0)],
)
def test_loss_and_gradient_are_the_formula_s(name: str, value: float) -> None:
    torch.manual_seed(0)
    z = (3 * torch.randn(40, 17, dtype=torch.float64)).requires_grad_()
    u = 3 * torch.randn(40, 17, dtype=torch.float64)
    wanted = reference.divergence(name, torch.softmax(z, -1), torch.softmax(u, -1), value)
    (gradient,) = torch.autograd.grad(wanted.sum(), z)
    loss, grad = ours(made(name, value), z.detach(), u)
    torch.testing.assert_close(loss, wanted.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(grad, gradient, rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(reference.NAMES),
    seed=st.integers(0, 2**31),
    spread=st.floats(0, 60),
    classes=st.integers(2, 9),
)
def test_float32_is_finite_and_near_float64(name: str, seed: int, spread: float, classes: int) -> None:
    random = np.random.default_rng(seed)
    z, u = (torch.tensor(spread * random.standard_normal((4, classes))) for _ in range(2))
    loss, grad = ours(made(name, 0.3), z.float(), u.float())
    exact, slope = ours(made(name, 0.3), z.float().double(), u.float().double())
    assert torch.isfinite(loss).all() and torch.isfinite(grad).all()
    torch.testing.assert_close(loss.double(), exact, rtol=2e-5, atol=2e-6)
    if name not in ("tv", "adaptive-kl"):  # these jump, where two probabilities are equal but for rounding
        torch.testing.assert_close(grad.double(), slope, rtol=2e-4, atol=1e-4)
    assert (loss >= -1e-6).all()
    torch.testing.assert_close(grad.sum(-1), torch.zeros(4), atol=1e-4, rtol=0)  # a shift of all logits is nothing


@pytest.mark.parametrize("name", reference.NAMES)
def test_equal_distributions_are_0_apart(name: str) -> None:
    z = torch.randn(5, 11, dtype=torch.float64)
    loss, grad = ours(made(name), z, z + 3)
    assert loss.abs().max() < 1e-12
    assert grad.abs().max() < 1e-9 or name == "tv"  # whose sign is that of rounding


def test_the_ends_of_beta_and_skew() -> None:
    z, u = torch.randn(2, 6, 9, dtype=torch.float64)
    for one, other in (("jsd", "forward-kl"), ("skew-kl", "forward-kl"), ("skew-rkl", "reverse-kl")):
        for a, b in zip(ours(made(one, 0.0), z, u), ours(made(other), z, u), strict=True):
            torch.testing.assert_close(a, b)
    for a, b in zip(ours(made("jsd", 1.0), z, u), ours(made("reverse-kl"), z, u), strict=True):
        torch.testing.assert_close(a, b)
    # Near its ends the JSD is in proportion to the KLs.
    near, forward = ours(made("jsd", 1e-6), z, u)[0], ours(made("forward-kl"), z, u)[0]
    torch.testing.assert_close(near / 1e-6, forward, rtol=1e-4, atol=0)


def test_known_values() -> None:
    z, u = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    wanted = {
        "forward-kl": 0.9 * np.log(1.8) + 0.1 * np.log(0.2),
        "reverse-kl": 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(5),
        "tv": 0.4,
    }
    for name, value in wanted.items():
        assert float(ours(made(name), z, u)[0]) == pytest.approx(value, rel=1e-6)


def test_a_flat_teacher_s_head_is_longer_than_is_looked_at_first() -> None:
    torch.manual_seed(1)
    z, u = torch.randn(2, 3, 4000, dtype=torch.float64)
    wanted = reference.divergence("adaptive-kl", torch.softmax(z, -1), torch.softmax(u, -1), 0.9)
    torch.testing.assert_close(ours(made("adaptive-kl", 0.9), z, u)[0], wanted)


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match=r"no divergence is called 'forward_kl'.*forward-kl"):
        divergence("forward_kl")
    with pytest.raises(ConfigError, match="tv has no setting 'beta'; it has none"):
        divergence("tv", beta=1.0)
    with pytest.raises(ConfigError, match="jsd: beta must be 0 or more and 1 at most, not 2"):
        divergence("jsd", beta=2.0)
    with pytest.raises(ConfigError, match="skew must be 0 or more and below 1"):
        divergence("skew-kl", skew=1.0)


def test_where_both_are_nearly_certain_the_adaptive_kl_is_well_known() -> None:
    z, u = torch.tensor([[-33.403957, -42.428024, -46.811085]]), torch.tensor([[114.42661, -87.50332, -3.111889]])
    loss, _ = ours(made("adaptive-kl", 0.3), z, u)
    exact, _ = ours(made("adaptive-kl", 0.3), z.double(), u.double())
    assert float(loss) == pytest.approx(float(exact), rel=2e-6)
