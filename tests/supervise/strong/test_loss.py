"""The confidence loss against its formula and brute force; what OpenAI's code does otherwise is told by each test."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.supervise.strong.loss import Objective, WeakLoss, hardened, quotas

torch = pytest.importorskip("torch")


def logs_of(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(classes), rows))


def test_the_loss_is_the_paper_s() -> None:
    weak = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0]], requires_grad=True)
    loss = WeakLoss(weak, Objective(confidence=0.6, warmup=0.2, balance=(0.5, 0.5)))
    loss.at(1.0)
    found = loss(logits, torch.arange(4), torch.ones(4))
    logs = torch.log_softmax(logits, -1)
    # Rows 1 and 4 are the surest of class 0 but one; half of them, rows 1 and 2, are hardened to it.
    own = torch.tensor([0, 0, 1, 1])
    expected = 0.4 * -(torch.tensor(weak).float() * logs).sum(1) + 0.6 * -logs[torch.arange(4), own]
    torch.testing.assert_close(found, expected.sum())
    found.backward()
    # What is hardened is no function of the weights: the gradient is softmax less the target.
    target = 0.4 * torch.tensor(weak).float() + 0.6 * torch.nn.functional.one_hot(own, 2)
    torch.testing.assert_close(logits.grad, torch.softmax(logits.detach(), -1) - target)


def test_warm_up_rises_from_nothing_to_the_whole_in_a_line() -> None:
    # OpenAI's code takes step_frac itself until warmup_frac is over: .1 at its end, then all at once 1.
    objective = Objective(confidence=0.5, warmup=0.2)
    assert [objective.risen(done) for done in (0.0, 0.05, 0.1, 0.15, 0.2, 0.6)] == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 1]
    )
    weak = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    logits = torch.tensor([[0.0, 3.0], [3.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    loss = WeakLoss(weak, objective)
    at = {}
    for done in (0.0, 0.1, 0.2, 1.0):
        loss.at(done)
        at[done] = float(loss(logits, torch.arange(4), torch.ones(4)))
    assert at[0.1] - at[0.0] == pytest.approx((at[0.2] - at[0.0]) / 2, rel=1e-5)
    assert at[1.0] == at[0.2]
    assert Objective(confidence=0.5, warmup=0).risen(0.0) == 1


@pytest.mark.parametrize("positive", [0.1, 0.25, 0.5, 0.9])
def test_two_classes_are_a_threshold_that_keeps_the_balance(positive: float) -> None:
    logs = logs_of(40, 2)
    count = quotas(np.array([1 - positive, positive]), 40)
    own = hardened(logs, count)
    assert own.sum() == round(40 * positive)
    # A threshold: whoever is of class 1 is surer of it than all of class 0. A fixed one half would not balance.
    if 0 < own.sum() < 40:
        assert logs[own == 1, 1].min() > logs[own == 0, 1].max()


def test_several_classes_are_the_best_balanced_assignment() -> None:
    # OpenAI's code asserts two classes.
    for seed in range(5):
        logs = logs_of(6, 3, seed)
        places = [0, 0, 1, 2, 2, 2]
        best = max(set(permutations(places)), key=lambda one: sum(logs[i, c] for i, c in enumerate(one)))
        own = hardened(logs, np.array([2, 1, 3]))
        assert np.bincount(own, minlength=3).tolist() == [2, 1, 3]
        assert sum(logs[i, c] for i, c in enumerate(own)) == pytest.approx(sum(logs[i, c] for i, c in enumerate(best)))


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    st.integers(1, 50),
    st.integers(0, 9),
)
def test_quotas_add_up_and_the_hardened_keep_them(shares: list[float], rows: int, seed: int) -> None:
    count = quotas(np.array(shares), rows)
    assert count.sum() == rows
    assert (np.abs(count - np.array(shares) / sum(shares) * rows) < 1).all()
    own = hardened(logs_of(rows, len(shares), seed), count)
    assert np.bincount(own, minlength=len(shares)).tolist() == count.tolist()


def test_balance_is_of_the_pass_of_all_rows_or_given() -> None:
    weak = np.vstack([np.tile([1.0, 0.0], (6, 1)), np.tile([0.0, 1.0], (2, 1))])
    logits = torch.zeros(4, 2)
    logits[:, 0] = torch.arange(4.0)
    for balance, zeros in (("pass", 4), ("rows", 3), ((0.25, 0.75), 1)):
        loss = WeakLoss(weak, Objective(confidence=1, warmup=0, balance=balance))  # type: ignore[arg-type]
        own = torch.log_softmax(logits, -1)
        target = loss._targets(own, loss.labels[:4])
        assert int(target[:, 0].sum()) == zeros
        assert target[-zeros:, 0].sum() == zeros  # the surest of class 0


def test_the_largest_losses_are_forgotten_and_the_pass_counts_as_much() -> None:
    weak = np.tile([1.0, 0.0], (4, 1))
    logits = torch.tensor([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [-4.0, 0.0]])
    loss = WeakLoss(weak, Objective(forget=0.25, warmup=0.5))
    each = -torch.log_softmax(logits, -1)[:, 0]
    loss.at(0.0)
    torch.testing.assert_close(loss(logits, torch.arange(4), torch.ones(4)), each.sum())
    loss.at(0.5)
    torch.testing.assert_close(loss(logits, torch.arange(4), torch.ones(4)), each[:3].sum() * 4 / 3)
    # What counts nothing has no part in either.
    weights = torch.tensor([1.0, 1.0, 1.0, 0.0])
    torch.testing.assert_close(loss.look(logits, torch.arange(4), weights), each[:3].sum())


def test_smoothing_moves_a_share_to_all_classes() -> None:
    loss = WeakLoss(np.array([[1.0, 0.0, 0.0]]), Objective(smoothing=0.3))
    torch.testing.assert_close(
        loss._targets(torch.zeros(1, 3), loss.labels), torch.tensor([[0.8, 0.1, 0.1]]), atol=1e-6, rtol=0
    )


def test_what_is_wrong_is_told() -> None:
    for wrong in ({"confidence": 1.5}, {"warmup": -1}, {"smoothing": 1}, {"forget": 1}, {"balance": (0.2, 0.2)}):
        with pytest.raises(ConfigError):
            Objective(**wrong)
    with pytest.raises(ConfigError, match="pass, rows or shares"):
        Objective(balance="batch")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="3 shares, and there are 2 classes"):
        WeakLoss(np.array([[1.0, 0.0]]), Objective(balance=(0.2, 0.3, 0.5)))
