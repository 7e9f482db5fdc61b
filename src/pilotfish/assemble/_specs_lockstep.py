"""Tables of the kinds that run several local models in lockstep, or search with them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Count, Ref, Share, Spec


class LockstepSpec(Spec):
    """What all of them have."""

    max_tokens: Count = 256
    max_rows: Count | None = None


class PairSpec(Spec):
    """An expert, the model it was tuned from, and how strongly their difference steers."""

    expert: Ref
    anti_expert: Ref
    alpha: float = 1.0


class ProxyTunedSpec(LockstepSpec):
    """A large base model steered by small ones. `system` holds system turns by role (base, expert, anti-expert)."""

    use: Literal["proxy-tuned"]
    base: Ref
    expert: Ref | None = None
    anti_expert: Ref | None = None
    alpha: float = 1.0
    pairs: list[PairSpec] = []
    system: dict[str, str] = {}


class ExpertsSpec(LockstepSpec):
    """A product or a mixture of models."""

    use: Literal["experts"]
    models: Annotated[list[Ref], Field(min_length=2)]
    weights: list[float] | None = None
    kind: Literal["product", "mixture", "gated"] = "product"
    system: dict[str, str] = {}


class ContrastiveSpec(LockstepSpec):
    """A model less what a smaller one says too."""

    use: Literal["contrastive"]
    expert: Ref
    amateur: Ref
    alpha: Share = 0.1
    beta: Annotated[float, Field(ge=0)] | None = None
    form: Literal["logits", "ratio"] = "logits"
    temperature: Annotated[float, Field(gt=0)] | None = None
    system: dict[str, str] = {}


class ContextAwareSpec(LockstepSpec):
    """A model with its context, less the same without; `context` says where in the messages it stands."""

    use: Literal["context-aware"]
    model: Ref
    alpha: Annotated[float, Field(ge=0)] = 0.5
    context: Literal["named", "system"] | Annotated[list[str], Field(min_length=2, max_length=2)] = "named"


class DolaSpec(LockstepSpec):
    """A model's last layer less an earlier one."""

    use: Literal["dola"]
    model: Ref
    layers: Literal["low", "high"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = "high"
    alpha: Share = 0.1
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.2


class NudgedSpec(LockstepSpec):
    """A large base model that a small aligned one helps where it is unsure."""

    use: Literal["nudged"]
    base: Ref
    nudge: Ref
    gamma: Share = 0.4
    unit: Literal["word", "token"] = "word"
    system: dict[str, str] = {}


class RewardGuidedSpec(LockstepSpec):
    """A model guided by a classifier's label, or by what tuning did to a small model."""

    use: Literal["reward-guided"]
    base: Ref
    reward: Ref | None = None
    label: str | None = None
    tuned: Ref | None = None
    reference: Ref | None = None
    weight: float = 1.0
    k: Count = 10
    system: dict[str, str] = {}


class WeakToStrongSearchSpec(LockstepSpec):
    """A large model's continuations, the best kept chunk by chunk; `chunk = 0` compares whole answers."""

    use: Literal["weak-to-strong-search"]
    base: Ref
    tuned: Ref
    reference: Ref
    beams: Count = 4
    successors: Count = 4
    chunk: Annotated[int, Field(ge=0)] = 5
    temperature: Annotated[float, Field(ge=0)] = 0.7
    system: dict[str, str] = {}


LOCKSTEP: dict[str, type[Spec]] = {
    "proxy-tuned": ProxyTunedSpec,
    "experts": ExpertsSpec,
    "contrastive": ContrastiveSpec,
    "context-aware": ContextAwareSpec,
    "dola": DolaSpec,
    "nudged": NudgedSpec,
    "reward-guided": RewardGuidedSpec,
    "weak-to-strong-search": WeakToStrongSearchSpec,
}
