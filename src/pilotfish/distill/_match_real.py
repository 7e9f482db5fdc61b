"""Which tokens of a batch are real, and means over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pilotfish.errors import ConfigError

__all__ = ["at_least_float", "mean", "pick", "real_tokens"]


def real_tokens(real: Tensor, batch: int, length: int) -> Tensor:
    """Return (batch, length) bool from lengths (batch,) of texts padded at their end, or from a mask (batch, length).

    Raises:
        ConfigError: neither of these.
    """
    if real.ndim == 2 and real.shape == (batch, length):
        return real.bool()
    if real.ndim == 1 and real.shape == (batch,) and real.dtype != torch.bool:
        return torch.arange(length, device=real.device) < real[:, None]
    raise ConfigError(
        f"real tokens are given as lengths ({batch},) or as a mask ({batch}, {length}), not as {tuple(real.shape)} "
        f"of {real.dtype}"
    )


def mean(total: Tensor, tokens: int, count: float | None) -> Tensor:
    """Return a sum over tokens divided by `count`, or by the number of tokens; 0 where there are none."""
    return total / (count if count is not None else max(tokens, 1))


def at_least_float(states: Tensor) -> Tensor:
    """Return float32 of a half type, and others as they are."""
    return states.float() if states.dtype in (torch.bfloat16, torch.float16) else states


def pick(states: Any, layer: int, whose: str) -> Tensor:
    """Return a layer's tensor from a sequence or mapping.

    Raises:
        ConfigError: it is not there, or None.
    """
    there = layer in states if isinstance(states, Mapping) else 0 <= layer < len(states)
    found = states[layer] if there else None
    if found is None:
        raise ConfigError(f"the {whose} gave nothing for layer {layer}; was it asked for?")
    return found
