"""An encoder in torch with its linear layers in 8 or 4 bits, by torch's own kernels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from pilotfish.decode._torch_linear import check_kernels, matrix
from pilotfish.decode.arch import Linear
from pilotfish.models.encoder import Encoder

__all__ = ["quantized"]


class Quantized(torch.nn.Module):  # type: ignore[misc]
    """A linear layer whose weight is held in few bits."""

    def __init__(self, layer: Any, bits: Literal["int8", "int4"]) -> None:
        super().__init__()
        self.inner = matrix([Linear(layer.weight.detach(), None if layer.bias is None else layer.bias.detach())], bits)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out)."""
        out = self.inner(x.reshape(-1, x.shape[-1]))
        return out.reshape(*x.shape[:-1], out.shape[-1])


def quantized(encoder: Encoder, bits: Literal["int8", "int4"]) -> Encoder:
    """Return the encoder, loaded, with the linear layers of its transformer in few bits.

    Raises:
        ConfigError: torch has no kernel for them on this machine.
    """
    body = encoder.model[0].auto_model
    check_kernels(bits, torch.device("cpu"))
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, Quantized(child, bits))
    return encoder
