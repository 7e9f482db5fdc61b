"""Labels only: a large model labels the user's rows, says how sure it is, and leaves to people what it is not."""

from __future__ import annotations

from pilotfish.models.choosing import Choosing, chooses
from pilotfish.synthesize.labels.choice import Choice
from pilotfish.synthesize.labels.kind import Kind
from pilotfish.synthesize.labels.labelling import Labelling
from pilotfish.synthesize.labels.preference import Preference
from pilotfish.synthesize.labels.score import Score
from pilotfish.synthesize.labels.several import Several
from pilotfish.synthesize.labels.shots import Shots
from pilotfish.synthesize.labels.spans import Spans

__all__ = ["Choice", "Choosing", "Kind", "Labelling", "Preference", "Score", "Several", "Shots", "Spans", "chooses"]
