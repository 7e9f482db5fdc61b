"""What is personal or secret in texts: where it stands."""

from __future__ import annotations

from pilotfish.measure.personal.kinds import KINDS, Found, check_kinds, found

__all__ = ["KINDS", "Found", "check_kinds", "found"]
