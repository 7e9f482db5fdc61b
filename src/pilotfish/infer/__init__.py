"""Efficient inference: cascades of small and large models; speculative decoding."""

from __future__ import annotations

from pilotfish.infer.accept import Above, Accept
from pilotfish.infer.cascade import Cascade
from pilotfish.infer.consistency import Agreement
from pilotfish.infer.selfverify import SelfVerification
from pilotfish.infer.speculative import Layers, SpeculativeModel
from pilotfish.measure.checks import ByFunction, CodeRuns, FitsSchema, InScope, Matches, Verdict

__all__ = [
    "Above",
    "Accept",
    "Agreement",
    "ByFunction",
    "Cascade",
    "CodeRuns",
    "FitsSchema",
    "InScope",
    "Layers",
    "Matches",
    "SelfVerification",
    "SpeculativeModel",
    "Verdict",
]
