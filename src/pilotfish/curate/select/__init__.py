"""Which rows are kept, by columns that earlier steps have noted: bands of a value, the best of it."""

from __future__ import annotations

from pilotfish.curate.select.bands import Bands
from pilotfish.curate.select.best import Best

__all__ = ["Bands", "Best"]
