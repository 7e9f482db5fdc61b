"""Rows: read, write, find near-duplicates, split, and map stages over them with progress and resume.

A row is a dict of columns. Heavy libraries load on first use only.
"""

from __future__ import annotations

from pilotfish.rows._row import Row, Rows, need_columns
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.write import write

__all__ = ["Rejects", "Row", "Rows", "need_columns", "read", "write"]
