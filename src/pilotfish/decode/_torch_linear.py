"""Linear layers of the torch decoder: in the weights' own dtype, or weight-only int8 and int4 through torch's kernels.

int8: one symmetric scale an output row. int4: groups of 32 inputs, each with a scale and a minimum. Scales are rounded
to bfloat16 before the weights are divided by them, so that the rounding costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

from pilotfish.decode.arch import Linear
from pilotfish.errors import ConfigError

__all__ = ["Matrix", "check_kernels", "matrix"]

GROUP = 32
# From this many tokens on, turning int8 weights into bfloat16 once beats the kernel that does so for each token.
MANY = 32
aten: Any = torch.ops.aten


class Matrix(Protocol):
    """y = x Wᵀ + b for x (tokens, in); `bytes` is what one pass reads."""

    bytes: int

    def __call__(self, x: Tensor) -> Tensor: ...


class _Plain:
    """The layers' own memory; with `fused` one copy of all of them, so that one call does for several."""

    def __init__(self, parts: Sequence[Linear], fused: bool) -> None:
        if fused and len(parts) > 1:
            parts = [Linear(torch.cat([part.weight for part in parts]), _bias(parts))]
        self.parts = [(part.weight, part.bias) for part in parts]
        self.bytes = sum(weight.numel() * weight.element_size() for weight, _ in self.parts)

    def __call__(self, x: Tensor) -> Tensor:
        outs = [linear(x, weight, bias) for weight, bias in self.parts]
        return outs[0] if len(outs) == 1 else torch.cat(outs, dim=-1)


class _Int8:
    """Eight bits a weight (`aten::_weight_int8pack_mm`), activations in bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        wide = weight.float()
        self.scale = (wide.abs().amax(dim=1) / 127).clamp(min=1e-12).bfloat16()
        self.weight = (wide / self.scale.float()[:, None]).round().clamp(-128, 127).to(torch.int8)
        self.bias = bias
        self.bytes = self.weight.numel() + 2 * self.scale.numel()

    def __call__(self, x: Tensor) -> Tensor:
        half = x.bfloat16()
        if len(x) >= MANY:
            out = linear(half, self.weight.bfloat16()) * self.scale
        else:
            out = aten._weight_int8pack_mm(half.contiguous(), self.weight, self.scale)
        out = out.to(x.dtype)
        return out if self.bias is None else out + self.bias


class _Int4:
    """Four bits a weight, (q - 8) * scale + zero in groups of 32 inputs, activations in bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        rows, columns = weight.shape
        wide = weight.float().view(rows, columns // GROUP, GROUP)
        low, high = wide.amin(dim=2), wide.amax(dim=2)
        scale = ((high - low) / 15).clamp(min=1e-12).bfloat16()
        zero = (low + 8 * scale.float()).bfloat16()
        codes = ((wide - zero.float()[..., None]) / scale.float()[..., None] + 8).round().clamp(0, 15)
        codes = codes.view(rows, columns).to(torch.int32)
        self.affine = torch.stack([scale, zero], dim=2).transpose(0, 1).contiguous()
        self.bias = bias
        self.bytes = weight.numel() // 2 + 4 * scale.numel()
        if weight.device.type == "cpu":
            self.packed = aten._convert_weight_to_int4pack_for_cpu(codes, 1)
            self.multiply = aten._weight_int4pack_mm_for_cpu
        else:
            # Two codes a byte, the even column in the high half (tinygemm's order).
            self.packed = aten._convert_weight_to_int4pack((codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8), 8)
            self.multiply = aten._weight_int4pack_mm

    def __call__(self, x: Tensor) -> Tensor:
        out = self.multiply(x.bfloat16().contiguous(), self.packed, GROUP, self.affine).to(x.dtype)
        return out if self.bias is None else out + self.bias


def matrix(parts: Sequence[Linear], quantize: str, *, fused: bool = False) -> Matrix:
    """Return layers that share their input as one matrix, outputs one after the other.

    Where int4's kernel does not take a shape (inputs not in groups of 32, outputs not in sixteens), int8 stands in.
    """
    if quantize == "none":
        return _Plain(parts, fused)
    weight = torch.cat([part.weight for part in parts]) if len(parts) > 1 else parts[0].weight
    columns_fit = weight.shape[1] % (GROUP if weight.device.type == "cpu" else 128) == 0
    if quantize == "int4" and columns_fit and weight.shape[0] % 16 == 0:
        return _Int4(weight, _bias(parts))
    return _Int8(weight, _bias(parts))


def _bias(parts: Sequence[Linear]) -> Tensor | None:
    if all(part.bias is None for part in parts):
        return None
    return torch.cat([part.weight.new_zeros(len(part.weight)) if part.bias is None else part.bias for part in parts])


def check_kernels(quantize: str, device: torch.device) -> None:
    """Try the kernels on a small matrix.

    Raises:
        ConfigError: this torch has no such kernel for the device, or it computes something else.
    """
    if quantize == "none":
        return
    columns = torch.arange(128, dtype=torch.float32)
    weight = torch.cos(columns * (torch.arange(32)[:, None] + 1) * 0.37).to(device)
    x = torch.sin(columns * 0.11)[None].to(device)
    exact = linear(x, weight)
    try:
        gap = (matrix([Linear(weight)], quantize)(x) - exact).abs().max() / exact.abs().max()
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"quantize = {quantize!r}: torch has no kernel for it on {device.type}: {reason}") from error
    if not float(gap) < {"int8": 0.05, "int4": 0.3}[quantize]:
        raise ConfigError(f"quantize = {quantize!r}: torch's kernel on {device.type} is not what was expected")
