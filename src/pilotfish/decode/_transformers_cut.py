"""The first layers of a transformers model as a model of their own, which shares all weights."""

from __future__ import annotations

import copy
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError

__all__ = ["truncated"]


def truncated(module: Any, layers: int) -> Any:
    """Return the module cut to its first `layers` layers, the final norm and the head after them; no weight is copied.

    Raises:
        ConfigError: no layer, or more than there are.
        ModelError: the module keeps its layers where this does not know them.
    """
    nn = need("torch", "local").nn
    config = copy.copy(module.config.get_text_config())
    if not 1 <= layers <= config.num_hidden_layers:
        raise ConfigError(f"layers must be from 1 to {config.num_hidden_layers}, not {layers}")
    base = module.get_decoder() if hasattr(module, "get_decoder") else module.base_model
    name = next((name for name in ("layers", "h") if isinstance(getattr(base, name, None), nn.ModuleList)), None)
    if name is None or getattr(module, module.base_model_prefix, None) is not base:
        raise ModelError(
            f"{type(module).__name__}: its layers are not found, so it cannot be cut to the first {layers}"
        )
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    cut, inner = _shallow(module), _shallow(base)
    setattr(inner, name, nn.ModuleList(list(getattr(base, name))[:layers]))
    setattr(cut, module.base_model_prefix, inner)
    cut.config = inner.config = config
    return cut


def _shallow(module: Any) -> Any:
    """Return a copy of the module that shares its parameters and submodules, but not the table that names them."""
    new = copy.copy(module)
    for table in ("_modules", "_parameters", "_buffers"):
        new.__dict__[table] = dict(module.__dict__[table])
    return new
