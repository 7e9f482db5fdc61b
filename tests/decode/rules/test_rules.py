"""Every rule against its paper's formula, computed token by token in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.decode import rules
from pilotfish.decode.rules.contrast import plausible
from pilotfish.decode.rules.dola import bucket, divergence
from pilotfish.errors import ConfigError
from tests.decode.rules import formulas

GATE = [[0.7, -1.2, 0.1, 0.3], [-0.4, 0.5, 0.2, -0.1], [0.0, 0.0, 0.0, 0.0]]
# name: how many models, the rule, and the same from the paper.
CASES: dict[str, tuple[int, Any, Callable[[Sequence[list[float]]], list[float]]]] = {
    "proxy-tuning": (3, rules.proxy_tuning, lambda r: formulas.proxy_tuning(r[0], [(r[1], r[2])], [1.0])),
    "proxy-tuning, two pairs": (
        5,
        partial(rules.proxy_tuning, alphas=(0.7, -0.3)),
        lambda r: formulas.proxy_tuning(r[0], [(r[1], r[2]), (r[3], r[4])], [0.7, -0.3]),
    ),
    "product": (3, partial(rules.product, weights=(0.5, 0.8, -0.2)), lambda r: formulas.product(r, [0.5, 0.8, -0.2])),
    "mixture": (3, partial(rules.mixture, weights=(0.5, 0.3, 0.2)), lambda r: formulas.mixture(r, [0.5, 0.3, 0.2])),
    "mixture, one left out": (2, partial(rules.mixture, weights=(0.0, 1.0)), lambda r: formulas.mixture(r, [0.0, 1.0])),
    "gated mixture": (3, partial(rules.gated_mixture, gate=GATE), lambda r: formulas.gated_mixture(r, GATE)),
    "contrastive": (2, rules.contrastive, lambda r: formulas.contrastive(r[0], r[1], 0.1, 1.0)),
    "contrastive, amateur sharpened": (
        2,
        partial(rules.contrastive, alpha=0.02, temperature=0.5),
        lambda r: formulas.contrastive(r[0], r[1], 0.02, 0.5),
    ),
    "contrastive on logits": (2, rules.contrastive_logits, lambda r: formulas.contrastive_logits(r[0], r[1], 0.5, 0.1)),
    "context-aware": (2, rules.context_aware, lambda r: formulas.context_aware(r[0], r[1], 0.5)),
    "dola": (4, rules.dola, lambda r: formulas.dola(r[0], r[1:], 0.1)),
    "dola, one layer": (2, partial(rules.dola, alpha=0.3), lambda r: formulas.dola(r[0], r[1:], 0.3)),
    "nudging": (2, partial(rules.nudging, gamma=0.3), lambda r: formulas.nudging(r[0], r[1], 0.3)),
}


def drawn(models: int, seed: int, rows: int = 6, vocabulary: int = 50, spread: float = 3.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [spread * torch.randn(rows, vocabulary, generator=generator) for _ in range(models)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(5))
def test_a_rule_is_its_papers_formula(name: str, seed: int) -> None:
    models, rule, formula = CASES[name]
    logits = drawn(models, seed, spread=1.0 + seed)
    given = rule(logits).double().log_softmax(-1)
    wanted = torch.tensor([formula([one[i].double().tolist() for one in logits]) for i in range(6)]).double()
    # What a mask leaves out has no probability; a finite logit keeps an order among such tokens.
    assert ((given < -5000) == wanted.isneginf()).all()
    assert (given.exp() - wanted.exp()).abs().max() < 1e-6
    kept = ~wanted.isneginf()
    assert (given[kept] - wanted[kept]).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["dola", "dola, one layer"])
def test_early_layers_of_logits_in_the_hundreds_lose_no_digits(name: str) -> None:
    models, rule, formula = CASES[name]
    last, *early = drawn(models, 3, vocabulary=400)
    logits = [last + 40, *(20 * one + 300 for one in early)]
    given = rule(logits).double().log_softmax(-1)
    wanted = torch.tensor([formula([one[i].double().tolist() for one in logits]) for i in range(6)]).double()
    shown = wanted > -20  # of probability 2e-9 and more
    assert (given[shown] - wanted[shown]).abs().max() < 2e-6


@pytest.mark.parametrize("name", CASES)
def test_positions_are_apart_and_inputs_are_left_alone(name: str) -> None:
    models, rule, _ = CASES[name]
    logits = drawn(models, 11)
    before = [one.clone() for one in logits]
    whole = rule(logits)
    assert whole.shape == logits[0].shape and whole.dtype == torch.float32
    assert all(torch.equal(one, other) for one, other in zip(logits, before, strict=True))
    stacked = rule([one.view(2, 3, 50) for one in logits])
    torch.testing.assert_close(stacked.view(6, 50), whole)
    torch.testing.assert_close(torch.cat([rule([one[i : i + 1] for one in logits]) for i in range(6)]), whole)


finite = st.floats(-15, 15, allow_nan=False, width=32)
rows = st.integers(2, 12).flatmap(lambda size: st.tuples(*[st.lists(finite, min_size=size, max_size=size)] * 5))


@given(rows, st.sampled_from(sorted(CASES)), st.floats(-20, 20, width=32))
def test_a_constant_added_to_a_models_logits_changes_nothing(
    drawn: tuple[list[float], ...], name: str, constant: float
) -> None:
    models, rule, _ = CASES[name]
    logits = [torch.tensor([row]) for row in drawn[:models]]
    moved = [logits[0] + constant, *logits[1:]]
    # At the edge of a mask, and between layers that are equally far, rounding may decide.
    if name.startswith("nudging") or ((rule(moved) < -5000) != (rule(logits) < -5000)).any():
        return
    if name.startswith("dola") and models > 2:
        far = sorted(divergence(logits[0].log_softmax(-1), torch.stack(logits[1:]).log_softmax(-1)).flatten().tolist())
        if far[-1] - far[-2] < 1e-4:
            return
    torch.testing.assert_close(rule(moved).softmax(-1), rule(logits).softmax(-1), atol=2e-4, rtol=1e-3)


@given(rows, st.floats(0.01, 1))
def test_the_likeliest_token_is_always_plausible_and_alpha_0_keeps_all(
    drawn: tuple[list[float], ...], alpha: float
) -> None:
    logits = torch.tensor(drawn[0])
    mask = plausible(logits, alpha)
    assert mask[logits.argmax()]
    # The mask is a set of the likeliest: what it leaves out is below all that it keeps.
    assert mask.all() or logits[~mask].max() < logits[mask].min()
    assert plausible(logits, 0.0).all()


@given(rows)
def test_parameters_that_leave_a_model_out(drawn: tuple[list[float], ...]) -> None:
    a, b, c = (torch.tensor([row]) for row in drawn[:3])
    assert torch.equal(rules.proxy_tuning([a, b, c], alphas=(0.0,)), a)
    assert torch.equal(rules.proxy_tuning([a, b, b]), a)
    assert torch.equal(rules.context_aware([a, b], alpha=0.0), a)
    kept = rules.contrastive_logits([a, b], beta=0.0, alpha=1e-30)
    assert torch.equal(kept, a)
    assert torch.equal(rules.nudging([a, b], gamma=0.0), a)
    assert torch.equal(rules.nudging([a, b], gamma=1.1), b)
    torch.testing.assert_close(rules.product([a, b], (1.0, 0.0)), a)


@given(rows)
def test_a_mixture_is_between_its_models(drawn: tuple[list[float], ...]) -> None:
    a, b = (torch.tensor([row]) for row in drawn[:2])
    p = rules.mixture([a, b], (0.25, 0.75)).exp()
    low, high = torch.minimum(a.softmax(-1), b.softmax(-1)), torch.maximum(a.softmax(-1), b.softmax(-1))
    assert (p >= low - 1e-6).all() and (p <= high + 1e-6).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(1))


@given(rows)
def test_divergence_is_symmetric_and_within_its_bounds(drawn: tuple[list[float], ...]) -> None:
    p, q = (torch.tensor(row).log_softmax(-1) for row in drawn[:2])
    found = float(divergence(p, q))
    assert found == pytest.approx(float(divergence(q, p)), abs=1e-6)
    assert -1e-6 <= found <= math.log(2) + 1e-6
    assert found == pytest.approx(formulas.jsd(p.exp().tolist(), q.exp().tolist()), abs=1e-5)


def test_the_mask_holds_for_greedy_too() -> None:
    # The ratio is largest for the token that both find unlikely; Li et al. section 3.3, "false positives".
    expert = torch.tensor([[5.0, 4.5, -4.0]])
    amateur = torch.tensor([[5.0, 3.0, -20.0]])
    assert int((expert - amateur).argmax()) == 2
    for rule in (rules.contrastive, rules.contrastive_logits):
        assert int(rule([expert, amateur]).argmax()) == 1
        assert rule([expert, amateur]).softmax(-1)[0, 2] == 0


def test_where_all_that_is_plausible_is_forbidden_the_experts_order_is_left() -> None:
    expert = torch.tensor([[9.0, 1.0, 0.5, -3.0]])
    amateur = torch.tensor([[0.0, 4.0, -2.0, -9.0]])
    forbidden = torch.tensor([True, False, False, False])
    for rule in (rules.contrastive, rules.contrastive_logits, rules.dola):
        given = rule([expert, amateur]).masked_fill(forbidden, -math.inf)
        assert int(given.argmax()) == 1


def test_buckets_of_layers() -> None:
    assert bucket(32, "low", tied=False) == tuple(range(0, 16, 2))
    assert bucket(32, "high", tied=False) == tuple(range(16, 32, 2))
    assert bucket(30, "low", tied=True) == tuple(range(2, 15, 2))
    assert bucket(80, "low", tied=False) == tuple(range(0, 20, 2))
    assert bucket(80, "high", tied=True) == tuple(range(60, 80, 2))
    with pytest.raises(ConfigError, match="not 'middle'"):
        bucket(30, "middle", tied=True)
    with pytest.raises(ConfigError, match="2 layers has no 'low' candidates"):
        bucket(2, "low", tied=True)
