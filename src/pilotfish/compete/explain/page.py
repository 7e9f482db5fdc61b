"""What is known of a model as a report: what counts, single answers, whether that is true, what transparency costs."""

from __future__ import annotations

from pilotfish.compete.explain._page_table import of_table
from pilotfish.compete.explain._page_text import of_texts
from pilotfish.compete.explain.whole_table import TableWhole
from pilotfish.compete.explain.whole_text import TextWhole
from pilotfish.measure.report import Report

__all__ = ["page"]


def page(found: TableWhole | TextWhole) -> Report:
    """Return the report of a model, for the terminal and for HTML."""
    return of_table(found) if isinstance(found, TableWhole) else of_texts(found)
