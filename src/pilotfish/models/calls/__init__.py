"""Many calls to one model, each paid for once: stored one by one, within a budget."""

from __future__ import annotations

from pilotfish.models.calls._store import keys_of
from pilotfish.models.calls.budget import Budget, Purse
from pilotfish.models.calls.calls import Calls, Failure, Reuse
from pilotfish.models.calls.heard import Heard, answered, heard

__all__ = ["Budget", "Calls", "Failure", "Heard", "Purse", "Reuse", "answered", "heard", "keys_of"]
