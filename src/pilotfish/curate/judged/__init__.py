"""What models say of rows: ratings, scores by probability, what a tuned model still answers badly or learnt at once."""

from __future__ import annotations

from pilotfish.curate.judged.expected import Expected
from pilotfish.curate.judged.learned import LearningPercentage
from pilotfish.curate.judged.necessity import Necessity
from pilotfish.curate.judged.rated import Rated

__all__ = ["Expected", "LearningPercentage", "Necessity", "Rated"]
