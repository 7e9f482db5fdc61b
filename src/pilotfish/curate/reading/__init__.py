"""What a small language model thinks of texts: perplexity, differences of losses, how hard an answer is to follow."""

from __future__ import annotations

from pilotfish.curate.reading.compression import Compression
from pilotfish.curate.reading.difference import LossDifference
from pilotfish.curate.reading.ifd import IFD
from pilotfish.curate.reading.perplexity import Perplexity

__all__ = ["IFD", "Compression", "LossDifference", "Perplexity"]
