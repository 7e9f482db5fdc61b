"""Gradients of millions of numbers as some thousands, whose products are about the same.

A sparse Johnson-Lindenstrauss transform (Kane and Nelson 2014): every coordinate goes, with a random sign, into one
place of each of `times` blocks. Products are right on average, with a variance of about |x|² |y|² / size; it takes a
pass over the numbers, where a dense random projection takes `size` of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pilotfish.errors import ConfigError

__all__ = ["Sketch"]


class Sketch:
    """A random linear map.

    Args:
        numbers: coming in.
        size: going out, a multiple of `times`.
        seed: another seed, another map.
        times: places that a number goes into.

    Raises:
        ConfigError: sizes that cannot be.
    """

    def __init__(self, numbers: int, size: int, *, seed: int = 0, times: int = 2) -> None:
        if numbers < 1 or times < 1 or size < times or size % times:
            raise ConfigError(f"a sketch of {numbers} numbers in {size} places, {times} for each: no such thing")
        random = np.random.default_rng([seed, numbers, size, times])
        self.numbers, self.size, self.times = numbers, size, times
        block = size // times
        places = random.integers(0, block, (times, numbers), dtype=np.int32)
        self._places = torch.from_numpy(places + (np.arange(times, dtype=np.int32) * block)[:, None])
        self._signs = torch.from_numpy(random.integers(0, 2, (times, numbers), dtype=np.int8) * 2 - 1)

    def __call__(self, values: Any) -> Any:
        """Return (size,), float32, of (numbers,)."""
        out = torch.zeros(self.size, dtype=torch.float32, device=values.device)
        flat = values.float()
        for places, signs in zip(self._places, self._signs, strict=True):
            out.index_add_(0, places.to(values.device), flat * signs.to(values.device))
        return out / self.times**0.5
