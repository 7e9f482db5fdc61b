"""A student as deep as its teacher, but narrower: fewer channels, feed-forward neurons and attention heads.

Muralidharan et al. 2024 (Minitron), sections 2.2 and 2.3: the least important ones are cut out of every weight that
reads or writes them. Heads go in groups, a key-value head with all query heads that read it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.init._anatomy import Anatomy, Kept
from pilotfish.distill.init._build import build
from pilotfish.distill.init.importance import Importance, by_weights
from pilotfish.errors import ConfigError

__all__ = ["Width", "prune_width"]


@dataclass(frozen=True)
class Width:
    """The sizes of a narrower student; None leaves one as it is.

    Attributes:
        hidden: channels of the residual stream.
        intermediate: neurons of each feed-forward network.
        heads: query heads of each layer; a multiple of those that share a key-value head.
    """

    hidden: int | None = None
    intermediate: int | None = None
    heads: int | None = None


def prune_width(
    model: Any,
    *,
    hidden: int | None = None,
    intermediate: int | None = None,
    heads: int | None = None,
    importance: Importance | None = None,
) -> Any:
    """Return a narrower causal LM of the most important parts; the model itself is not changed.

    A norm divides by the mean over its channels, so with fewer of them what is kept changes in size. Where activations
    were measured, each norm's gain makes up for it: channels that were always zero then leave nothing behind
    (SmolLM2-135M with three quarters of its channels: perplexity 375, without this 605; untrained, the teacher's 43).

    Args:
        model: a transformers causal LM (Llama, Mistral, Qwen2, Qwen3 or GPT-2).
        hidden: channels to keep. GPT-2's heads divide them evenly, so there `heads` must go with it.
        intermediate: neurons to keep in each layer.
        heads: query heads to keep in each layer.
        importance: how parts are ranked; by the norms of the weights where it is not given.

    Raises:
        ConfigError: a size that is more than there is, or that the family cannot have.
        ModelError: a family that is not known here.
    """
    anatomy = Anatomy(model)
    width = Width(hidden, intermediate, heads)
    check(anatomy, width)
    ranked = importance or by_weights(model)
    per_group = anatomy.heads // anatomy.groups
    groups = (width.heads or anatomy.heads) // per_group
    kept = Kept(
        hidden=_best(ranked.hidden, width.hidden or anatomy.hidden),
        neurons=[_best(scores, width.intermediate or anatomy.neurons) for scores in ranked.neurons],
        groups=[_best(scores, groups) for scores in ranked.groups],
    )
    config = copy.deepcopy(model.config)
    config.hidden_size = len(kept.hidden)
    config.num_attention_heads = groups * per_group
    if anatomy.gpt2:
        config.n_inner = len(kept.neurons[0])
    else:
        config.num_key_value_heads = groups
        config.intermediate_size = len(kept.neurons[0])
        config.head_dim = anatomy.head_dim  # no longer what hidden_size / heads says
    weights = {name: anatomy.cut(name, weight, kept) for name, weight in model.state_dict().items()}
    for name, share in ranked.shares.items():
        weights[f"{name}.weight"] = weights[f"{name}.weight"] * _gain(share, kept.hidden)
    return build(model, config, weights)


def check(anatomy: Anatomy, width: Width) -> None:
    """Check that a model can be cut to a width.

    Raises:
        ConfigError: it cannot; the text says which size is wrong.
    """
    there = {"hidden": anatomy.hidden, "intermediate": anatomy.neurons, "heads": anatomy.heads}
    for name, most in there.items():
        wanted = getattr(width, name)
        if wanted is not None and not 1 <= wanted <= most:
            raise ConfigError(f"{name} must be from 1 to the teacher's {most}, not {wanted}")
    per_group = anatomy.heads // anatomy.groups
    if width.heads is not None and width.heads % per_group:
        raise ConfigError(
            f"heads must be a multiple of {per_group}, as so many share a key-value head, not {width.heads}"
        )
    hidden, heads = width.hidden or anatomy.hidden, width.heads or anatomy.heads
    if anatomy.gpt2 and hidden != heads * anatomy.head_dim:
        raise ConfigError(
            f"GPT-2 needs hidden = heads x {anatomy.head_dim} (the size of its heads); {hidden} is not {heads} of them"
        )


def _best(scores: Any, count: int) -> Any:
    """Return the indices of the `count` largest scores, ascending; of equal ones the first."""
    order = scores.cpu().sort(descending=True, stable=True).indices
    return order[:count].sort().values


def _gain(share: Any, kept: Any) -> float:
    """Return how much larger the root mean square of the kept channels is than that of all, by their energy."""
    torch = need("torch", "train")
    energy = share.cpu().double()
    return float(torch.sqrt(energy[kept].sum() / energy.sum() * (len(energy) / len(kept))))
