"""Ways to steer, side by side: what each says of the same tokens in one pass, and the share of a gain it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.decode.lockstep import Lockstep
from pilotfish.decode.rules import proxy_tuning
from pilotfish.measure.intervals import Interval, bootstrap

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pilotfish.decode.fit import Fit
    from pilotfish.decode.lockstep import Rule
    from pilotfish.models.local import LocalModel

ALPHAS = (0.5, 1.0)
MEMBERS = ("base", "expert alone", "anti-expert alone")
RESAMPLES = 2000


def rules(fit: Fit) -> dict[str, Rule]:
    """Return every way of a base, its expert and its anti-expert: each alone, fixed alphas, and fitted weights."""
    alone: dict[str, Rule] = {name: partial(_member, number=number) for number, name in enumerate(MEMBERS)}
    fixed = {f"steered, alpha {alpha}": partial(proxy_tuning, alphas=(alpha,)) for alpha in ALPHAS}
    weights = ", ".join(f"{weight:.2f}" for weight in fit.weights)
    return alone | fixed | {f"steered, weights fitted: {weights}": fit.rule}


def only(name: str) -> dict[str, Rule]:
    """Return the one way of a model by itself."""
    return {name: partial(_member, number=0)}


class Ways:
    """A lockstep that keeps what several rules say of the same tokens: its members run once, not once a rule.

    Attributes:
        decoder: the lockstep.
        said: each way's raw logits of the last `start` or `feed`, (tokens, vocabulary), rows one after the other.
    """

    def __init__(self, models: Sequence[LocalModel], rules: dict[str, Rule]) -> None:
        self.rules = rules
        self.said: dict[str, Tensor] = {}
        parts = [model.decoder() for model in models]
        self.decoder = Lockstep(parts, self._hear, tokenizers=[model.tokenizer for model in models])

    def _hear(self, logits: Sequence[Tensor]) -> Tensor:
        self.said = {name: rule(logits) for name, rule in self.rules.items()}
        return logits[0]


def shares(
    title: str, unit: str, base: NDArray[np.float64], direct: NDArray[np.float64], found: dict[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Return cases: the share of the direct gain that each way reaches; none where that gain may be nothing.

    Args:
        title: what the cases begin with.
        unit: of the shares.
        base: the untuned large model's losses, one a row (nats of a document, or 1 for a wrong label).
        direct: those of the large model tuned itself.
        found: each way's.
    """
    gain = bootstrap(base - direct, resamples=RESAMPLES)
    if gain.low <= 0:
        return []
    cases = []
    for name, each in found.items():
        share = closed(base, direct, each)
        ends = {"low": share.low, "high": share.high, "unit": unit, "n": len(base)}
        cases.append({"case": f"{title}: share of the direct gain, {name}", "value": share.value, **ends})
    return cases


def closed(base: NDArray[np.float64], direct: NDArray[np.float64], steered: NDArray[np.float64]) -> Interval:
    """Return the share of the direct gain that steering reaches, with its interval over rows drawn together."""
    return bootstrap(np.stack([base, direct, steered], axis=1), _share, resamples=RESAMPLES)


def _share(drawn: Any) -> float:
    total = drawn.sum(axis=0)
    return float((total[0] - total[2]) / (total[0] - total[1]))


def _member(logits: Sequence[Tensor], number: int) -> Tensor:
    return logits[number]
