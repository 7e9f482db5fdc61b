"""Weights for a product or a mixture of experts, fitted on validation tokens by maximum likelihood.

Source: Ormazabal et al. 2023 (CombLM), section 3: a large model and a small one tuned on a domain, combined by the
weights that a few hundred to a few thousand tokens settle. All three likelihoods are maximised in float64: the
mixture's by expectation-maximisation (it rises at every step), the product's by Newton's method (it is concave), the
gated mixture's by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pilotfish.decode.evidence import Evidence, perplexity
from pilotfish.decode.rules.experts import Kind, combined, gate_features
from pilotfish.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pilotfish.decode.lockstep import Rule

__all__ = ["Domain", "Fit", "fit_weights"]

# Keeps weights finite where models are equal, or one tells everything; too small to move a weight otherwise.
RIDGE = 1e-6
# The gate is a regression on noisy features, so it is held back a little more.
GATE_RIDGE = 1e-3
CHUNK = 128


@dataclass(frozen=True)
class Domain:
    """A domain's perplexities: of each model alone, of equal weights, and of those that were fitted."""

    domain: str
    tokens: int
    alone: tuple[float, ...]
    equal: float
    fitted: float


@dataclass(frozen=True)
class Fit:
    """Fitted weights and what they bring.

    Attributes:
        kind: what they are weights of.
        weights: one a model; of a gated mixture, the rows of its gate one after the other.
        domains: perplexities before and after, on the test evidence.
    """

    kind: Kind
    weights: tuple[float, ...]
    domains: tuple[Domain, ...]

    @property
    def rule(self) -> Rule:
        """The rule with these weights."""
        return combined(self.kind, self.weights)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def fit_weights(kind: Kind, evidence: Sequence[Evidence], test: Sequence[Evidence] | None = None) -> Fit:
    """Return the weights under which the evidence is likeliest, each token counting once.

    Args:
        kind: product, mixture, or a mixture whose weights depend on the models' entropies.
        evidence: what the models say of the validation tokens, one piece a domain (see `gather`).
        test: what the perplexities are of; the same evidence by default, which flatters the fit.

    Raises:
        DataError: no evidence.
        ConfigError: unknown kind.
    """
    if not evidence:
        raise DataError("no validation tokens to fit weights on")
    models = len(evidence[0].logps)
    if kind == "product":
        weights = _product(evidence)
    elif kind == "mixture":
        weights = _mixture(torch.cat([piece.gold for piece in evidence], 1))
    elif kind == "gated":
        weights = _gated(evidence)
    else:
        raise ConfigError(f'experts are combined as "product", "mixture" or "gated", not {kind!r}')
    fitted = combined(kind, weights)
    equal = combined("product" if kind == "product" else "mixture", [1 / models] * models)
    domains = tuple(
        Domain(
            piece.domain,
            len(piece.targets),
            tuple((-piece.gold.mean(1)).exp().tolist()),
            perplexity(equal, piece),
            perplexity(fitted, piece),
        )
        for piece in (test if test is not None else evidence)
    )
    return Fit(kind, weights, domains)


def _mixture(gold: Tensor, steps: int = 10_000) -> tuple[float, ...]:
    """Expectation-maximisation on log p (models, tokens), until the likelihood stands still."""
    models = len(gold)
    log_weights = torch.full((models, 1), 1 / models, dtype=torch.float64).log()
    before = float("-inf")
    for _ in range(steps):
        joint = gold + log_weights
        total = joint.logsumexp(0)
        reached = float(total.mean())
        if reached - before < 1e-13:
            break
        before = reached
        log_weights = (joint - total).logsumexp(1, keepdim=True)
        log_weights = log_weights - log_weights.logsumexp(0)
    weights = log_weights.exp()
    return tuple((weights / weights.sum())[:, 0].tolist())


def _product(evidence: Sequence[Evidence]) -> tuple[float, ...]:
    """Newton's method with halved steps on the mean log-likelihood less RIDGE / 2 |w|²."""
    models = len(evidence[0].logps)
    weights = torch.full((models,), 1 / models, dtype=torch.float64)
    value, gradient, curvature = _likelihood(evidence, weights)
    for _ in range(100):
        step = torch.linalg.solve(curvature, gradient)
        if float(gradient @ step) < 1e-14:
            break
        size = 1.0
        # Concave, so a step along the gradient's side helps once it is short enough.
        while size > 1e-8:
            trial = weights + size * step
            found = _likelihood(evidence, trial)
            if found[0] >= value + 1e-4 * size * float(gradient @ step):
                break
            size /= 2
        else:
            break
        weights, (value, gradient, curvature) = trial, found
    return tuple(weights.tolist())


def _likelihood(evidence: Sequence[Evidence], weights: Tensor) -> tuple[float, Tensor, Tensor]:
    """The value, its gradient (models,) and minus its Hessian (models, models)."""
    models = len(weights)
    value, count = 0.0, 0
    gradient = torch.zeros(models, dtype=torch.float64)
    curvature = torch.zeros(models, models, dtype=torch.float64)
    for piece in evidence:
        for at in range(0, len(piece.targets), CHUNK):
            logps = piece.logps[:, at : at + CHUNK].double()
            targets = piece.targets[at : at + CHUNK]
            joint = torch.einsum("m,mtv->tv", weights, logps)
            p = joint.softmax(-1)
            means = torch.einsum("tv,mtv->mt", p, logps)
            gold = logps.gather(-1, targets[None, :, None].expand(models, -1, 1))[..., 0]
            value += float((joint.gather(-1, targets[:, None])[:, 0] - joint.logsumexp(-1)).sum())
            gradient += (gold - means).sum(1)
            centred = logps - means[..., None]
            curvature += torch.einsum("tv,mtv,ntv->mn", p, centred, centred)
            count += len(targets)
    ridge = RIDGE * torch.eye(models, dtype=torch.float64)
    value = value / count - RIDGE / 2 * float(weights @ weights)
    return value, gradient / count - RIDGE * weights, curvature / count + ridge


def _gated(evidence: Sequence[Evidence]) -> tuple[float, ...]:
    gold = torch.cat([piece.gold for piece in evidence], 1)
    features = torch.cat([gate_features(piece.logps) for piece in evidence]).double()
    start = torch.zeros(len(gold), len(gold) + 1, dtype=torch.float64)
    # Begin at the best constant weights, so that the gate is never worse than those.
    start[:, -1] = torch.tensor(_mixture(gold), dtype=torch.float64).clamp_min(1e-6).log()
    gate = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [gate], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        weights = (features @ gate.T).log_softmax(-1)
        value = -torch.logsumexp(gold.T + weights, -1).mean() + GATE_RIDGE / 2 * (gate - start).square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    return tuple(gate.detach().flatten().tolist())
