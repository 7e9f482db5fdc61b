"""What every decoder must do, told by the slowest one that can be right (`tests.decode.reference`).

To put a new kind of decoder under the whole suite, add a line to `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from pilotfish.decode.arch import Architecture
from pilotfish.decode.decoder import Decoder
from tests.tiny import Family

FAMILIES: tuple[Family, ...] = ("llama", "qwen2", "qwen3", "mistral", "gemma3", "gpt2")
TOLERANCE = 1e-4


def _transformers(module: Any, exits: Sequence[int] = (), layers: int | None = None) -> Decoder:
    from pilotfish.decode._transformers_cut import truncated
    from pilotfish.decode.transformers_decoder import TransformersDecoder

    return TransformersDecoder(module if layers is None else truncated(module, layers), exits)


def _native(module: Any, exits: Sequence[int] = (), layers: int | None = None) -> Decoder:
    from pilotfish.decode.native.decoder import NativeDecoder

    return NativeDecoder(_read(module), exits=exits, layers=layers)


@cache
def _read(module: Any) -> Architecture:
    """Read once a module."""
    from pilotfish.decode._arch_read import read

    arch = read(module)
    assert arch is not None
    return arch


def _torch(module: Any, exits: Sequence[int] = (), layers: int | None = None) -> Decoder:
    from pilotfish.decode.torch_decoder import TorchDecoder

    return TorchDecoder(_read(module), exits, layers)


# A decoder kind: (module, exits, layers) -> decoder.
KINDS: dict[str, Callable[..., Decoder]] = {"native": _native, "torch": _torch, "transformers": _transformers}


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Fail unless the logits have the same shape and agree within TOLERANCE of the reference's spread."""
    assert ours.dtype == torch.float32
    assert ours.shape == theirs.shape
    gap = float((ours.cpu() - theirs).abs().max() / theirs.std())
    assert gap < TOLERANCE, f"logits differ by {gap:.2e} of their spread"
