"""Small evaluators that are taught on people's scores."""

from __future__ import annotations

from pilotfish.evaluate.estimator.estimator import Estimator
from pilotfish.evaluate.estimator.report import Learnt

__all__ = ["Estimator", "Learnt"]
