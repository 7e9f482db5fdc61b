"""The document rules of published corpora, each with its paper's thresholds."""

from __future__ import annotations

from pilotfish.curate.rules.c4 import C4
from pilotfish.curate.rules.fineweb import FineWeb
from pilotfish.curate.rules.gopher import GopherQuality
from pilotfish.curate.rules.repetition import GopherRepetition

__all__ = ["C4", "RULES", "FineWeb", "GopherQuality", "GopherRepetition"]

# In the order in which FineWeb applies them.
RULES = {
    "gopher_repetition": GopherRepetition,
    "gopher_quality": GopherQuality,
    "c4": C4,
    "fineweb": FineWeb,
}
