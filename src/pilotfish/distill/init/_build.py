"""A model of a changed config, filled with weights that were cut to it."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Mapping
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError

__all__ = ["build", "decoder_layers"]


def decoder_layers(model: Any) -> str:
    """Return the name of the list that holds the model's layers, such as "model.layers".

    Raises:
        ModelError: no list of as many modules as the config counts layers.
    """
    nn = need("torch", "train").nn
    count = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count and re.search(r"(^|\.)(layers|h)$", name):
            return str(name)
    raise ModelError(f"{type(model).__name__}: its layers are not found, so no student can be cut from it")


def build(model: Any, config: Any, weights: Mapping[str, Any]) -> Any:
    """Return a model of `config` with these weights, in the dtype and on the device of `model`, in eval mode.

    It is built anew rather than edited, so that whatever depends on a layer's place (the key-value cache, the window)
    is that of the new place.

    Raises:
        ModelError: the weights are not those that the config asks for.
    """
    transformers = need("transformers", "train")
    try:
        with _uninitialised():
            new = transformers.AutoModelForCausalLM.from_config(config, dtype=model.dtype)
        lacks, extra = new.load_state_dict(dict(weights), strict=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"{type(model).__name__} cannot be cut so: {str(error).strip().splitlines()[-1]}") from error
    if lacks or extra:
        odd = min([*lacks, *extra])
        raise ModelError(f"{type(model).__name__} cannot be cut so: its layers are not alike ({odd} does not fit)")
    new.tie_weights()
    if model.generation_config is not None:
        new.generation_config = copy.deepcopy(model.generation_config)
    return new.to(model.device).eval()


@contextlib.contextmanager
def _uninitialised() -> Any:
    """Spare the random numbers that the weights would overwrite, where this transformers can."""
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # before transformers 5
        yield
        return
    with no_init_weights():
        yield
