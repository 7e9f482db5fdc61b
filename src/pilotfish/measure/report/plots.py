"""Plots for the report, as inline SVG that follows the page's colours. They need the extra `report`."""

from __future__ import annotations

from pilotfish.measure.report._plot_bars import bars_plot
from pilotfish.measure.report._plot_calibration import calibration_plot
from pilotfish.measure.report._plot_confusion import confusion_plot
from pilotfish.measure.report._plot_curve import Curve, curve_plot
from pilotfish.measure.report._plot_forest import forest_plot
from pilotfish.measure.report._plot_frontier import frontier_plot
from pilotfish.measure.report._plot_histogram import histogram_plot
from pilotfish.measure.report._plot_shape import shape_plot

__all__ = [
    "Curve",
    "bars_plot",
    "calibration_plot",
    "confusion_plot",
    "curve_plot",
    "forest_plot",
    "frontier_plot",
    "histogram_plot",
    "shape_plot",
]
