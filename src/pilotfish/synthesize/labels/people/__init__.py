"""Labels by people: what the model is not sure of goes out to a tool, and what people said comes back as gold rows."""

from __future__ import annotations

from pilotfish.synthesize.labels.people._said import Heard
from pilotfish.synthesize.labels.people.argilla import from_argilla, to_argilla
from pilotfish.synthesize.labels.people.label_studio import config_of, from_label_studio, to_label_studio

__all__ = ["Heard", "config_of", "from_argilla", "from_label_studio", "to_argilla", "to_label_studio"]
