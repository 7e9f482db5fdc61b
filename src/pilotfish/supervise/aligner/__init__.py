"""A small corrector behind any model: taught on questions, answers and corrections, it rewrites replies."""

from __future__ import annotations

from pilotfish.supervise.aligner.aligned import Aligned
from pilotfish.supervise.aligner.rows import SEVERAL, TEMPLATE, corrector_rows

__all__ = ["SEVERAL", "TEMPLATE", "Aligned", "corrector_rows"]
