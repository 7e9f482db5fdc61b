"""A student with random weights: its teacher's family at other sizes."""

from __future__ import annotations

import copy
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.init.layers import evenly, thinned
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["from_config"]


def from_config(config: Any, *, seed: int = 0, dtype: Any = None, **sizes: Any) -> Any:
    """Return a causal LM of a teacher's config with some of its keys changed, and random weights.

    With fewer layers, lists that have an entry a layer keep those of the layers that `evenly` would keep.

    Args:
        config: a transformers config, such as `teacher.config`; it is not changed.
        seed: of the weights; the same seed gives the same weights on the same machine.
        dtype: a torch dtype; that of the config where it is not given.
        sizes: keys of the config: `num_hidden_layers=6, hidden_size=256, …`.

    Raises:
        ConfigError: a key that the config does not have, or sizes that do not fit each other.
    """
    torch = need("torch", "train")
    transformers = need("transformers", "train")
    known = {*config.to_dict(), *config.attribute_map}
    for key in sizes:
        if key not in known:
            raise ConfigError(f"{config.model_type} has no setting {key!r}{did_you_mean(key, known)}")
    new = copy.deepcopy(config)
    layers = next((sizes[k] for k in ("num_hidden_layers", "n_layer") if k in sizes), config.num_hidden_layers)
    if layers < config.num_hidden_layers:
        new = thinned(config, evenly(config.num_hidden_layers, layers))
    for key, value in sizes.items():
        setattr(new, key, value)
    try:
        # Through the class once more, which checks what belongs together.
        new = type(config).from_dict(new.to_dict())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return transformers.AutoModelForCausalLM.from_config(new, dtype=dtype or config.dtype).eval()
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, KeyError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ConfigError(f"a {config.model_type} of these sizes cannot be made: {reason}") from error
