"""From a table of `_specs_lockstep` to its model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pilotfish.assemble import _specs_lockstep as specs
from pilotfish.assemble.specs import references


def build_lockstep(name: str, spec: specs.LockstepSpec, part: Callable[[str], Any]) -> Any:
    """Return the model that a table describes.

    Raises:
        ConfigError: one of its models is a black box, or settings do not go together.
    """
    settings = spec.model_dump(exclude={"use", "pairs", "models"}, exclude_none=True)
    if not settings.get("system"):
        settings.pop("system", None)
    settings |= {key: part(target) for key, target in references(spec) if key in settings}
    return _kind(spec, part)(**settings, name=name)


def _kind(spec: specs.LockstepSpec, part: Callable[[str], Any]) -> Callable[..., Any]:
    if isinstance(spec, specs.ProxyTunedSpec):
        from pilotfish.adapt.logits import Pair, ProxyTuned

        pairs = [Pair(part(pair.expert), part(pair.anti_expert), pair.alpha) for pair in spec.pairs]
        return partial(ProxyTuned, pairs=pairs)
    if isinstance(spec, specs.ExpertsSpec):
        from pilotfish.adapt.logits import Experts

        return partial(Experts, [part(model) for model in spec.models])
    if isinstance(spec, specs.ContrastiveSpec | specs.ContextAwareSpec | specs.DolaSpec):
        from pilotfish.repair import ContextAware, Contrastive, Dola

        return {"contrastive": Contrastive, "context-aware": ContextAware, "dola": Dola}[spec.use]
    if isinstance(spec, specs.NudgedSpec | specs.RewardGuidedSpec | specs.WeakToStrongSearchSpec):
        from pilotfish.supervise import Nudged, RewardGuided, WeakToStrongSearch

        return {"nudged": Nudged, "reward-guided": RewardGuided, "weak-to-strong-search": WeakToStrongSearch}[spec.use]
    raise AssertionError(type(spec))
