"""Demonstrations and questions that carry a small model's label and its confidence; the large one has the last word."""

from __future__ import annotations

from pilotfish.prompt.soft.demonstrations import SoftDemonstration, out_of_fold, soft_demonstrations
from pilotfish.prompt.soft.model import INSTRUCTION, WHY, SuperICL

__all__ = ["INSTRUCTION", "WHY", "SoftDemonstration", "SuperICL", "out_of_fold", "soft_demonstrations"]
