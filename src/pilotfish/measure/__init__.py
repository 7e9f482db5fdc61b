"""Measuring: metrics, intervals, the cost-quality frontier, meters, and the report that shows them.

The report (`pilotfish.measure.report`) is a package of its own; its plots need the extra `report`.
"""

from __future__ import annotations

from pilotfish.measure.frontier import Frontier, Mix, Point
from pilotfish.measure.intervals import Interval, bootstrap, non_inferiority, paired_bootstrap, wilson
from pilotfish.measure.meters import Latency, Meter, machine, measure_latency
from pilotfish.measure.metrics import accuracy, confusion, ece, macro_f1

__all__ = [
    "Frontier",
    "Interval",
    "Latency",
    "Meter",
    "Mix",
    "Point",
    "accuracy",
    "bootstrap",
    "confusion",
    "ece",
    "machine",
    "macro_f1",
    "measure_latency",
    "non_inferiority",
    "paired_bootstrap",
    "wilson",
]
