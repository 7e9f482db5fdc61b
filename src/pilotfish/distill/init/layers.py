"""A student of some of its teacher's layers.

Evenly spread, with the first and the last among them: of the choices compared by Shleifer and Rush 2020 (Pre-trained
Summarization Distillation, section 3.1 and table 2) none was better; DistilBERT (Sanh et al. 2019, section 3) takes one
of two.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from pilotfish.distill.init._build import build, decoder_layers
from pilotfish.errors import ConfigError, ModelError

__all__ = ["drop_layers", "evenly", "kept_layers"]


def evenly(layers: int, keep: int) -> list[int]:
    """Return which `keep` of `layers` layers (from 0) to keep: evenly spread, the first and the last among them.

    Raises:
        ConfigError: fewer than 1, or more than there are.
    """
    if not 1 <= keep <= layers:
        raise ConfigError(f"layers to keep must be from 1 to {layers}, not {keep}")
    if keep == 1:
        return [0]
    # In whole numbers, halves rounded down: the same on every machine.
    return [(2 * i * (layers - 1) + keep - 2) // (2 * (keep - 1)) for i in range(keep)]


def kept_layers(count: int, keep: int | None, layers: Sequence[int] | None) -> list[int]:
    """Return the layers to keep, given by number or one by one; all where neither is given.

    Raises:
        ConfigError: both are given, or layers that are not there, twice there, or not in order.
    """
    if keep is not None and layers is not None:
        raise ConfigError("give how many layers to keep, or which ones, not both")
    if layers is None:
        return list(range(count)) if keep is None else evenly(count, keep)
    kept = [int(layer) for layer in layers]
    if not kept or kept != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= count:
        raise ConfigError(f"layers must be in ascending order, each from 0 to {count - 1}, not {kept}")
    return kept


def drop_layers(model: Any, keep: int | None = None, *, layers: Sequence[int] | None = None) -> Any:
    """Return a causal LM with only some of the model's layers; its own copies of their weights, and of all others.

    Args:
        model: a transformers causal LM; it is not changed.
        keep: how many layers, evenly spread (see `evenly`).
        layers: which ones, from 0, in ascending order.

    Raises:
        ConfigError: no such layers.
        ModelError: a model whose layers are not found, or depend on their place.
    """
    prefix = decoder_layers(model)
    kept = kept_layers(model.config.num_hidden_layers, keep, layers)
    if getattr(model.config, "scale_attn_by_inverse_layer_idx", False):
        raise ModelError(f"{type(model).__name__}: its attention is scaled by a layer's place, so none can be dropped")
    place = {old: new for new, old in enumerate(kept)}
    pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.(.*)", re.DOTALL)
    weights = {}
    for name, weight in model.state_dict().items():
        found = pattern.fullmatch(name)
        if found is None:
            weights[name] = weight
        elif int(found[1]) in place:
            weights[f"{prefix}.{place[int(found[1])]}.{found[2]}"] = weight
    return build(model, thinned(model.config, kept), weights)


def thinned(config: Any, kept: Sequence[int]) -> Any:
    """Return a copy of a config for the kept layers: their number, and every list that has an entry a layer."""
    count = config.num_hidden_layers
    new = copy.deepcopy(config)
    for key, value in vars(config).items():
        if isinstance(value, list | tuple) and len(value) == count and not key.startswith("_"):
            setattr(new, key, [value[i] for i in kept])
    new.num_hidden_layers = len(kept)
    window = getattr(config, "max_window_layers", None)
    if isinstance(window, int):
        # The first so many layers see everything. A number past all layers says that all do.
        new.max_window_layers = sum(layer < window for layer in kept) if window < count else len(kept)
    return new
