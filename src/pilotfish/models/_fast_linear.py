"""Linear layers whose products take less time on a CPU, with the same numbers up to rounding.

In float32 torch multiplies by MKL, which on AMD's processors leaves AVX-512 unused: oneDNN's product of a weight that
was laid out for it once is 2.3 times as fast there (measured, AMD EPYC with AVX-512, 32 to 2,048 rows; nothing of it in
float32 is approximate). With AVX2 alone MKL is near what the processor can do, but for wide weights, which it lays out
anew at each product: of 1,536 outputs 1.0 to 1.4 times as fast, of a head's 49,152 1.4 to 2.3 times (1 to 1,024 rows).
Where the weight is bfloat16, the rows are rounded to it and the result is float32 again.
"""

from __future__ import annotations

import copy
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

__all__ = ["FastLinear", "fast_linears", "lays_out", "lower_linears"]

_HINT = 256  # rows that the layout is made for; it serves any number
_WIDE = 3 << 18  # weights of a layer from which its layout is worth it with AVX2, where it has more outputs than inputs


class FastLinear(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer with its weight laid out for oneDNN beside it; used where no gradient is asked for.

    A copy is a plain layer: what is trained has no layout that could grow stale. Without a `version` the layout is all
    there is of the weight.
    """

    laid: Any
    version: int | None

    def forward(self, rows: Any) -> Any:
        """Return rows (..., in) times the weight: (..., out)."""
        weight = self.weight
        if self.version is not None:  # the weight itself is there, too
            if rows.dtype != torch.float32 or weight.dtype != torch.float32 or torch.is_grad_enabled():
                return super().forward(rows)
            if weight._version != self.version:
                lay(self)
        return torch.ops.mkldnn._linear_pointwise(rows, self.laid, self.bias, "none", [], "")

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.nn.Linear:
        plain = torch.nn.Linear.__new__(torch.nn.Linear)
        memo[id(self)] = plain
        own = {name: value for name, value in self.__dict__.items() if name not in ("laid", "version")}
        plain.__dict__ = copy.deepcopy(own, memo)
        return plain

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "laid"} | {"version": -1}


class LowLinear(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer with its weight in half precision; what comes in and goes out is float32."""

    def forward(self, rows: Any) -> Any:
        """Return rows (..., in) times the weight: (..., out), float32."""
        return super().forward(rows.to(self.weight.dtype)).to(rows.dtype)


@cache
def lays_out() -> bool:
    """Return whether oneDNN's product in float32 is a faster one here: on AMD with AVX2 or more, where torch has it."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.is_available():
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False  # not measured
    if platform.system() == "Linux":
        told = Path("/proc/cpuinfo")
        return told.is_file() and "AuthenticAMD" in told.read_text(encoding="utf-8", errors="replace")
    return "AuthenticAMD" in platform.processor()


def fast_linears(module: Any, *, keep: bool = True) -> Any:
    """Lay out the float32 weights of a module's linear layers where that is faster; return the module.

    Args:
        module: on a CPU.
        keep: the weights themselves too, so that the module can be copied, trained and saved; each is in memory twice.
    """
    if lays_out():
        for layer in _linears(module):
            if layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu" and _worth_it(layer):
                layer.__class__ = FastLinear
                lay(layer)
                if not keep:
                    # A new one: the old may be another layer's as well, as the embeddings' is the head's.
                    layer.weight = torch.nn.Parameter(torch.empty(0), requires_grad=False)
                    layer.version = None
    return module


def _worth_it(layer: Any) -> bool:
    outputs, inputs = layer.weight.shape
    if "AVX512" in torch.backends.cpu.get_cpu_capability():
        return bool(outputs * inputs)
    return bool(outputs > inputs and outputs * inputs >= _WIDE)


def lower_linears(module: Any, dtype: Any) -> Any:
    """Turn the weights of a module's linear layers into half precision, all else staying as it is."""
    for layer in _linears(module):
        # A new one: the old may be another layer's as well, as the embeddings' is the head's.
        layer.weight = torch.nn.Parameter(layer.weight.detach().to(dtype), requires_grad=False)
        if layer.bias is not None:
            layer.bias = torch.nn.Parameter(layer.bias.detach().to(dtype), requires_grad=False)
        layer.__class__ = LowLinear
    return module


def _linears(module: Any) -> list[Any]:
    # Subclasses have a forward of their own, and a reason for it.
    return [part for part in module.modules() if type(part) is torch.nn.Linear]


def lay(layer: Any) -> None:
    """Make the layout of a layer's weight as it is now."""
    with torch.no_grad():
        layer.laid = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().contiguous(), _HINT)
    layer.version = layer.weight._version
