"""Efficient inference: cascades of small and large models; speculative decoding."""

from __future__ import annotations

from pilotfish.infer.accept import Above, Accept, Verdict
from pilotfish.infer.cascade import Cascade
from pilotfish.infer.checks import ByFunction, FitsSchema, Matches
from pilotfish.infer.consistency import Agreement
from pilotfish.infer.selfverify import SelfVerification
from pilotfish.infer.speculative import Layers, SpeculativeModel

__all__ = [
    "Above",
    "Accept",
    "Agreement",
    "ByFunction",
    "Cascade",
    "FitsSchema",
    "Layers",
    "Matches",
    "SelfVerification",
    "SpeculativeModel",
    "Verdict",
]
