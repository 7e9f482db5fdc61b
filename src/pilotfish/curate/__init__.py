"""Curation: which rows a large model should learn from, each decision with its reason."""

from __future__ import annotations

from pilotfish.curate.curating import curate
from pilotfish.curate.report import Curated
from pilotfish.curate.sift import Dropped, Sift

__all__ = ["Curated", "Dropped", "Sift", "curate"]
