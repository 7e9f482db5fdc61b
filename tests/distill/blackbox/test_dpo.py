"""The DPO loss against closed forms, a float64 sketch of the paper's equation, and numerical gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.blackbox.dpo import dpo_loss
from pilotfish.errors import ConfigError

torch = pytest.importorskip("torch")

LOGS = st.lists(st.tuples(*[st.floats(-300, 0)] * 4), min_size=1, max_size=6)


def test_equal_models_give_log_2() -> None:
    chosen, rejected = torch.tensor([-3.0, -70.0]), torch.tensor([-5.0, -1.0])
    loss, accuracy = dpo_loss(chosen, rejected, chosen, rejected, 0.3, 0.2)
    torch.testing.assert_close(loss, torch.full((2,), math.log(2)))
    assert float(accuracy) == 0.5


@given(rows=LOGS, beta=st.floats(0.01, 5), smoothing=st.floats(0, 0.49))
def test_the_papers_equation(rows: list[tuple[float, float, float, float]], beta: float, smoothing: float) -> None:
    a, b, c, d = (torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))
    loss, accuracy = dpo_loss(a, b, c, d, beta, smoothing)
    margin = (a.numpy() - c.numpy()) - (b.numpy() - d.numpy())
    expected = (1 - smoothing) * np.logaddexp(0, -beta * margin) + smoothing * np.logaddexp(0, beta * margin)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10, atol=1e-300)
    assert float(accuracy) == pytest.approx(np.mean((margin > 0) + 0.5 * (margin == 0)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients(smoothing: float) -> None:
    torch.manual_seed(0)
    a, b, c, d = (torch.randn(5, dtype=torch.float64, requires_grad=i < 2) * 8 for i in range(4))
    a, b = a.detach().requires_grad_(), b.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: dpo_loss(x, y, c, d, 0.4, smoothing)[0], (a, b))
    loss, _ = dpo_loss(a, b, c, d, 0.4, smoothing)
    loss.sum().backward()
    # Equation 7's gradient: beta times how wrong the margin still is, up for the chosen and down for the rejected.
    margin = 0.4 * ((a - c) - (b - d)).detach()
    expected = -0.4 * (torch.sigmoid(-margin) - smoothing)
    torch.testing.assert_close(a.grad, expected)
    torch.testing.assert_close(b.grad, -expected)


def test_no_gradient_flows_to_the_reference_and_far_margins_stay_finite() -> None:
    reference = torch.tensor([-1e4], requires_grad=True)
    policy = torch.tensor([-1.0], requires_grad=True)
    loss, _ = dpo_loss(policy, policy.detach() - 1e6, reference, reference, 1.0)
    loss.sum().backward()
    assert reference.grad is None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(policy.grad).all()


@pytest.mark.parametrize(("beta", "smoothing"), [(0.0, 0.0), (-1.0, 0.0), (math.inf, 0.0), (0.1, 0.5), (0.1, -0.1)])
def test_wrong_settings(beta: float, smoothing: float) -> None:
    x = torch.zeros(1)
    with pytest.raises(ConfigError, match="beta"):
        dpo_loss(x, x, x, x, beta, smoothing)
