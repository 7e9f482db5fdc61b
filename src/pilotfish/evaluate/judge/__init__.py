"""Small judges: of single answers and of pairs, alone or in a panel, asked or taught, held against people."""

from __future__ import annotations

from pilotfish.evaluate.judge.agree import Agreement, agreement
from pilotfish.evaluate.judge.calibrate import Calibrated, Curve, Errors, calibrate, errors
from pilotfish.evaluate.judge.pairwise import Pairwise
from pilotfish.evaluate.judge.panel import panel_scores, panel_verdicts
from pilotfish.evaluate.judge.pointwise import Pointwise
from pilotfish.evaluate.judge.results import Compared, Judged, Position
from pilotfish.evaluate.judge.rubric import Rubric
from pilotfish.evaluate.judge.stage import Judging
from pilotfish.evaluate.judge.trained import TrainedJudge

__all__ = [
    "Agreement",
    "Calibrated",
    "Compared",
    "Curve",
    "Errors",
    "Judged",
    "Judging",
    "Pairwise",
    "Pointwise",
    "Position",
    "Rubric",
    "TrainedJudge",
    "agreement",
    "calibrate",
    "errors",
    "panel_scores",
    "panel_verdicts",
]
