"""Efficient inference: cascades of small and large models; speculative decoding."""

from __future__ import annotations

from pilotfish.infer.accept import Above, Accept
from pilotfish.infer.cascade import Cascade
from pilotfish.infer.speculative import Layers, SpeculativeModel

__all__ = ["Above", "Accept", "Cascade", "Layers", "SpeculativeModel"]
