"""Weights as a file names them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["weights_from"]


def weights_from(weights: str, folder: Path) -> str:
    """Return weights as the catalog takes them; a path beside the file counts as from the file."""
    beside = folder / weights
    return str(beside) if beside.exists() and not Path(weights).is_absolute() else weights
