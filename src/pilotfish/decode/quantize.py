"""What a model's linear layers are held in while it decodes."""

from __future__ import annotations

from typing import Literal

__all__ = ["Quantize", "changes_numbers"]

# lossless: bfloat16 in 12 bits, the same numbers; it reads a quarter less memory, and takes as much more.
Quantize = Literal["none", "lossless", "int8", "int4"]


def changes_numbers(quantize: str) -> bool:
    """Whether what is computed differs from what the weights as loaded give."""
    return quantize not in ("none", "lossless")
