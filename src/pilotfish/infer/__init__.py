"""Efficient inference: cascades of small and large models."""

from __future__ import annotations

from pilotfish.infer.accept import Above, Accept
from pilotfish.infer.cascade import Cascade

__all__ = ["Above", "Accept", "Cascade"]
