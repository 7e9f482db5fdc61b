"""BERTScore."""

from __future__ import annotations

from pilotfish.evaluate.bertscore.match import Match, matched
from pilotfish.evaluate.bertscore.score import Baseline, BertScore, baseline_of
from pilotfish.evaluate.bertscore.weights import Idf

__all__ = ["Baseline", "BertScore", "Idf", "Match", "baseline_of", "matched"]
