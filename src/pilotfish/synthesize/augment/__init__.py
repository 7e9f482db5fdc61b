"""Augmentation: rows varied so that a small model sees more of what its labels look like."""

from __future__ import annotations

from pilotfish.synthesize.augment.backtranslated import Backtranslated
from pilotfish.synthesize.augment.confirming import confirmed
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.flipped import Flipped
from pilotfish.synthesize.augment.mixed import Mixed
from pilotfish.synthesize.augment.noised import Noised
from pilotfish.synthesize.augment.paraphrased import Paraphrased
from pilotfish.synthesize.augment.restyled import Restyled
from pilotfish.synthesize.augment.slotted import Slotted
from pilotfish.synthesize.augment.varied import GROUP, group_of

__all__ = [
    "GROUP",
    "Backtranslated",
    "Drift",
    "Flipped",
    "Mixed",
    "Noised",
    "Paraphrased",
    "Restyled",
    "Slotted",
    "confirmed",
    "group_of",
]
