"""Noise: what people's fingers and ears do to a text."""

from __future__ import annotations

from pilotfish.synthesize.augment.noise.making import KINDS, noised
from pilotfish.synthesize.augment.noise.protected import PROTECTED

__all__ = ["KINDS", "PROTECTED", "noised"]
