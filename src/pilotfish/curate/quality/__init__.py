"""Quality classifiers: a small model that has learnt what is worth reading, and the stages that keep rows by it.

found = HashedClassifier().fit(texts, good)
print(found.report_)
curate("rows.jsonl", [Quality(found, threshold=0.6)], "out")
"""

from __future__ import annotations

from pilotfish.curate.quality.base import QualityClassifier
from pilotfish.curate.quality.hashed import HashedClassifier
from pilotfish.curate.quality.judged import Judged
from pilotfish.curate.quality.keep import Quality, QualityShare
from pilotfish.curate.quality.linear import StaticClassifier
from pilotfish.curate.quality.tuned import TunedClassifier

__all__ = [
    "HashedClassifier",
    "Judged",
    "Quality",
    "QualityClassifier",
    "QualityShare",
    "StaticClassifier",
    "TunedClassifier",
]
