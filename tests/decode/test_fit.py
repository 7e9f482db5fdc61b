"""Fitted weights against grids, closed forms, and weights that data were drawn from."""

from __future__ import annotations

import math

import pytest
import torch

from pilotfish.decode.evidence import Evidence, gather, perplexity
from pilotfish.decode.fit import Fit, fit_weights
from pilotfish.decode.rules.experts import Kind, combined
from pilotfish.errors import ConfigError, DataError
from tests.decode.reference import ReferenceDecoder
from tests.decode.tinies import logits_of, tiny


def made(weights: list[float], kind: Kind, tokens: int = 4000, vocabulary: int = 12, seed: int = 0) -> Evidence:
    """Tokens drawn from the product or mixture of some models with these weights."""
    generator = torch.Generator().manual_seed(seed)
    logps = (2 * torch.randn(len(weights), tokens, vocabulary, generator=generator)).log_softmax(-1)
    p = combined(kind, weights)(list(logps)).softmax(-1)
    return Evidence("made", logps, torch.multinomial(p, 1, generator=generator)[:, 0])


@pytest.mark.parametrize(
    ("kind", "weights"), [("product", [0.9, 0.4, -0.3]), ("product", [1.0, 0.0]), ("mixture", [0.7, 0.2, 0.1])]
)
def test_the_weights_that_data_were_drawn_from_come_back(kind: Kind, weights: list[float]) -> None:
    fit = fit_weights(kind, [made(weights, kind, 20_000)])
    assert fit.weights == pytest.approx(weights, abs=0.04)


@pytest.mark.parametrize("kind", ["product", "mixture"])
def test_no_weights_on_a_grid_are_better(kind: Kind) -> None:
    evidence = made([0.6, 0.4], "mixture", 500)
    fit = fit_weights(kind, [evidence])
    least = fit.domains[0].fitted
    for i in range(21):
        others = [(i / 20, 1 - i / 20)]
        if kind == "product":
            others += [(0.1 * i, 0.1 * j) for j in range(-5, 15)]
        for weights in others:
            assert least <= perplexity(combined(kind, weights), evidence) + 1e-6
    assert fit.domains[0].fitted <= min(fit.domains[0].equal, *fit.domains[0].alone) + 1e-6


def test_the_products_likelihood_is_flat_at_its_weights() -> None:
    evidence = made([0.8, 0.3], "product", 300)
    fit = fit_weights("product", [evidence])

    def loss(weights: tuple[float, ...]) -> float:
        joint = sum(w * logp.double() for w, logp in zip(weights, evidence.logps, strict=True))
        assert isinstance(joint, torch.Tensor)
        return float(torch.nn.functional.cross_entropy(joint, evidence.targets))

    step = 1e-4
    for i in range(2):
        more, less = (loss(tuple(w + sign * step * (i == j) for j, w in enumerate(fit.weights))) for sign in (1, -1))
        assert abs(more - less) / (2 * step) < 1e-5


def test_the_mixtures_weights_are_a_fixed_point() -> None:
    evidence = made([0.6, 0.4], "mixture", 800)
    weights = torch.tensor(fit_weights("mixture", [evidence]).weights).double()
    joint = weights[:, None] * evidence.gold.exp()
    assert (joint / joint.sum(0)).mean(1).tolist() == pytest.approx(weights.tolist(), abs=1e-4)


def test_models_that_are_equal_share_the_weight() -> None:
    one = made([1.0], "product", 2000)
    twice = Evidence("made", one.logps.expand(2, -1, -1), one.targets)
    fit = fit_weights("product", [twice])
    assert fit.weights[0] == pytest.approx(fit.weights[1], abs=1e-3)
    assert sum(fit.weights) == pytest.approx(1.0, abs=0.1)


def gated_evidence(tokens: int, seed: int) -> Evidence:
    """Two models; at each token one is sure and right, the other spreads itself."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(10, (tokens,), generator=generator)
    sure = torch.randint(2, (tokens,), generator=generator)
    logits = 0.3 * torch.randn(2, tokens, 10, generator=generator)
    logits[sure, torch.arange(tokens), targets] += 4.0
    return Evidence("made", logits.log_softmax(-1), targets)


def test_a_gate_trusts_the_model_that_is_sure() -> None:
    train, test = gated_evidence(1500, 1), gated_evidence(1500, 2)
    gated = fit_weights("gated", [train], [test])
    constant = fit_weights("mixture", [train], [test])
    assert gated.domains[0].fitted < 0.8 * constant.domains[0].fitted
    assert perplexity(gated.rule, test) == pytest.approx(gated.domains[0].fitted)
    # Each model's weight falls with its own entropy.
    assert gated.weights[0] < gated.weights[3] and gated.weights[4] < gated.weights[1]


def test_domains_are_told_apart_and_count_by_their_tokens() -> None:
    first, second = made([1.0, 0.0], "product", 3000, seed=1), made([0.0, 1.0], "product", 300, seed=2)
    first, second = Evidence("law", first.logps, first.targets), Evidence("code", second.logps, second.targets)
    fit = fit_weights("mixture", [first, second])
    law, code = fit.domains
    assert (law.domain, law.tokens, code.domain, code.tokens) == ("law", 3000, "code", 300)
    assert fit.weights[0] == pytest.approx(10 / 11, abs=0.04)
    assert law.alone[0] < law.fitted < law.equal < law.alone[1]
    assert code.alone[1] < code.equal < code.fitted < code.alone[0]
    assert fit.to_json()["domains"][1]["domain"] == "code"


def test_evidence_is_what_whole_passes_say() -> None:
    texts = [list(range(4, 180)), [9], [30, 31, 32, 33]]
    evidence = gather([ReferenceDecoder(tiny(1)), ReferenceDecoder(tiny(2))], texts, "made")
    assert evidence.targets.tolist() == [*range(5, 180), 31, 32, 33]
    for model, seed in enumerate((1, 2)):
        wanted = torch.cat([logits_of(tiny(seed), ids)[:-1].log_softmax(-1) for ids in (texts[0], texts[2])])
        torch.testing.assert_close(evidence.logps[model], wanted, atol=2e-4, rtol=1e-4)
    alone = math.exp(-float(evidence.gold[0].mean()))
    assert perplexity(lambda logits: logits[0], evidence) == pytest.approx(alone)


def test_evidence_stops_at_its_limit() -> None:
    evidence = gather([ReferenceDecoder(tiny(1))], [[4, 5, 6], [7, 8, 9, 10]], "made", limit=3, width=390)
    assert evidence.targets.tolist() == [5, 6, 8] and evidence.logps.shape == (1, 3, 390)
    with pytest.raises(DataError, match="made: no text of two tokens"):
        gather([ReferenceDecoder(tiny(1))], [[4], []], "made")


def test_weights_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="must not be negative"):
        combined("mixture", [0.5, -0.5])
    with pytest.raises(ConfigError, match="not 5"):
        combined("gated", [0.0] * 5)
    with pytest.raises(ConfigError, match="not 'sum'"):
        combined("sum", [1.0])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not 'sum'"):
        fit_weights("sum", [made([1.0], "product", 5)])  # type: ignore[arg-type]
    with pytest.raises(DataError):
        fit_weights("product", [])
    assert isinstance(fit_weights("product", [made([1.0], "product", 5)]), Fit)
