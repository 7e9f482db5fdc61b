"""What is personal or secret in texts, put out of sight."""

from __future__ import annotations

from pilotfish.curate.redact.redact import Redact
from pilotfish.measure.personal.kinds import KINDS, Found, found

__all__ = ["KINDS", "Found", "Redact", "found"]
