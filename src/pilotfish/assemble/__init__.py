"""Collaboration files: models and nestings of models, described in TOML, checked and built."""

from __future__ import annotations

from pilotfish.assemble.file import Collaboration
from pilotfish.assemble.single import model_of

__all__ = ["Collaboration", "model_of"]
