"""What is personal or secret in texts, put out of sight."""

from __future__ import annotations

from pilotfish.curate.redact.kinds import KINDS, Found, found
from pilotfish.curate.redact.redact import Redact

__all__ = ["KINDS", "Found", "Redact", "found"]
