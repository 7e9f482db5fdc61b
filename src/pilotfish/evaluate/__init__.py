"""Evaluating large models with small ones."""

from __future__ import annotations

from pilotfish.evaluate.bertscore import Baseline, BertScore, Idf, baseline_of
from pilotfish.evaluate.scores import Scores

__all__ = ["Baseline", "BertScore", "Idf", "Scores", "baseline_of"]
