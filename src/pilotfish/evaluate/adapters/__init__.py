"""Our metrics in other evaluation libraries: Hugging Face's evaluate, inspect_ai, lighteval."""

from __future__ import annotations

from pilotfish.evaluate.adapters.core import Adapted
from pilotfish.evaluate.adapters.evaluate_metric import as_evaluate
from pilotfish.evaluate.adapters.inspect_scorer import as_inspect
from pilotfish.evaluate.adapters.lighteval_metric import as_lighteval

__all__ = ["Adapted", "as_evaluate", "as_inspect", "as_lighteval"]
