"""Faulty words of an answer, told by a small encoder that reads it beside its evidence."""

from __future__ import annotations

from pilotfish.repair.tokens.corrupted import corrupted
from pilotfish.repair.tokens.detector import FIT, SpanDetector
from pilotfish.repair.tokens.judged import Judged
from pilotfish.repair.tokens.report import SpanReport, reported
from pilotfish.repair.tokens.rows import Answered, answered_rows
from pilotfish.repair.tokens.teaching import Taught, taught

__all__ = [
    "FIT",
    "Answered",
    "Judged",
    "SpanDetector",
    "SpanReport",
    "Taught",
    "answered_rows",
    "corrupted",
    "reported",
    "taught",
]
