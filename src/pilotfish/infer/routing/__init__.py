"""Routers: estimators that foretell every model's quality and cost for a request before any of them is asked."""

from __future__ import annotations

from pilotfish.infer.routing.base import Forecast, Router, load_router
from pilotfish.infer.routing.boosted import BoostedRouter
from pilotfish.infer.routing.factor import FactorRouter
from pilotfish.infer.routing.knn import KnnRouter
from pilotfish.infer.routing.linear import LinearRouter
from pilotfish.infer.routing.objective import AtLeast, AtMost, Objective, Trade
from pilotfish.infer.routing.outcomes import Outcomes
from pilotfish.infer.routing.tuned import TunedRouter

__all__ = [
    "AtLeast",
    "AtMost",
    "BoostedRouter",
    "FactorRouter",
    "Forecast",
    "KnnRouter",
    "LinearRouter",
    "Objective",
    "Outcomes",
    "Router",
    "Trade",
    "TunedRouter",
    "load_router",
]
