"""White-box domain adaptation: small models that know a domain steer a large one that is left as it is.

Sources: proxy-tuning, Liu et al. 2024; several experts weighed, Ormazabal et al. 2023 (CombLM). The rules are in
`decode.rules.proxy` and `decode.rules.experts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pilotfish.decode.lockstep_model import LockstepModel, named_parts
from pilotfish.decode.rules import combined, proxy_tuning
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.decode.fit import Fit
    from pilotfish.decode.rules.experts import Kind

__all__ = ["Experts", "Pair", "ProxyTuned"]


@dataclass(frozen=True)
class Pair:
    """A small model tuned on a domain, the same one untuned, and how strongly their difference steers."""

    expert: Any
    anti_expert: Any
    alpha: float = 1.0


class ProxyTuned(LockstepModel):
    """base + Σ alpha (expert - anti-expert): the base answers as if it had been tuned as the expert was.

    With alpha below 1 less so, with more above it. All models need one vocabulary (padding rows aside) and weights that
    are here.

    Args:
        base: the large model.
        expert: the small model tuned on the domain.
        anti_expert: the small model it was tuned from.
        alpha: how strongly they steer.
        pairs: several pairs, in place of `expert`, `anti_expert` and `alpha`.
        system: system turns of their own, by role: "base", "expert", "anti-expert" (with several pairs "expert 1", …).
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: no pair, or a model that is a black box.
    """

    def __init__(
        self,
        base: Any,
        expert: Any = None,
        anti_expert: Any = None,
        alpha: float = 1.0,
        *,
        pairs: Sequence[Pair] = (),
        system: Mapping[str, str] | None = None,
        name: str = "proxy-tuned",
        **settings: Any,
    ) -> None:
        if (expert is None) != (anti_expert is None) or (expert is None) == (not pairs):
            raise ConfigError(f"{name}: give an expert and its anti-expert, or pairs of them")
        pairs = pairs or (Pair(expert, anti_expert, alpha),)
        parts = [("base", base)]
        for i, pair in enumerate(pairs):
            which = f" {i + 1}" if len(pairs) > 1 else ""
            parts += [(f"expert{which}", pair.expert), (f"anti-expert{which}", pair.anti_expert)]
        super().__init__(
            name,
            named_parts(parts, system, name),
            partial(proxy_tuning, alphas=tuple(pair.alpha for pair in pairs)),
            **settings,
        )


class Experts(LockstepModel):
    """A product or a mixture of several models' distributions, with weights that can be fitted.

    Args:
        models: two or more, of one vocabulary, with weights that are here.
        weights: one a model, equal ones by default; a "gated" mixture has models x (models + 1) of them (see `fit`).
        kind: "product" (p ∝ Π pᵢ^wᵢ), "mixture" (p = Σ wᵢ pᵢ), or "gated": a mixture whose weights depend on how
            unsure each model is.
        system: system turns of their own, by role: "expert 1", "expert 2", …
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: too few models, weights that do not fit them, or a model that is a black box.
    """

    def __init__(
        self,
        models: Sequence[Any],
        weights: Sequence[float] | None = None,
        kind: Kind = "product",
        *,
        system: Mapping[str, str] | None = None,
        name: str = "experts",
        **settings: Any,
    ) -> None:
        count = len(models)
        if count < 2:
            raise ConfigError(f"{name}: experts are two models or more, not {count}")
        wanted = count * (count + 1) if kind == "gated" else count
        if weights is None:
            weights = [0.0] * wanted if kind == "gated" else [1 / count] * count
        if len(weights) != wanted:
            raise ConfigError(f"{name}: {count} models as a {kind} need {wanted} weights, not {len(weights)}")
        self.kind = kind
        self.weights = tuple(weights)
        named = [(f"expert {i + 1}", model) for i, model in enumerate(models)]
        super().__init__(name, named_parts(named, system, name), combined(kind, weights), **settings)

    def fit(
        self,
        texts: Mapping[str, Sequence[str]],
        test: Mapping[str, Sequence[str]] | None = None,
        *,
        kind: Kind | None = None,
        limit: int = 1000,
    ) -> Fit:
        """Return the weights under which these texts are likeliest, and perplexities before and after.

        The model itself is not changed: build another with `fit.weights`.

        Args:
            texts: validation texts by domain.
            test: other texts to judge the weights by; the same ones by default, which flatters them.
            kind: what to fit; this model's own kind by default.
            limit: tokens a domain; each takes models x vocabulary x 4 bytes while it runs.

        Raises:
            DataError: no texts.
            ModelError: a text is longer than a model takes.
        """
        from pilotfish.decode.evidence import Evidence, gather
        from pilotfish.decode.fit import fit_weights
        from pilotfish.decode.retoken import ids_of

        lockstep = self.decoder()
        start = self.tokenizer.bos_token_id

        def evidence(texts: Mapping[str, Sequence[str]]) -> list[Evidence]:
            found = []
            for domain, some in texts.items():
                ids = [([] if start is None else [start]) + ids_of(self.tokenizer, text) for text in some]
                found.append(gather(lockstep.decoders, ids, domain, limit=limit, width=lockstep.vocabulary))
            return found

        return fit_weights(kind or self.kind, evidence(texts), evidence(test) if test is not None else None)
