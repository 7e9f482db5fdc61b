"""Rows: read, write, find near-duplicates, split, and map stages over them with progress and resume.

A row is a dict of columns. `split` and `dedupe`, which need numpy, are functions of the modules of their names:
`from pilotfish.rows.split import split`.
"""

from __future__ import annotations

from pilotfish.rows._row import Row, Rows, need_columns
from pilotfish.rows.engine import Ray, using
from pilotfish.rows.model_stage import ModelStage
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.report import RunReport, StageReport
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import AsyncStage, EachRow, Reject, RowStage, Stage
from pilotfish.rows.write import write

__all__ = [
    "AsyncStage",
    "EachRow",
    "ModelStage",
    "Ray",
    "Reject",
    "Rejects",
    "Row",
    "RowStage",
    "Rows",
    "RunReport",
    "Stage",
    "StageReport",
    "need_columns",
    "read",
    "read_output",
    "run",
    "using",
    "write",
]
