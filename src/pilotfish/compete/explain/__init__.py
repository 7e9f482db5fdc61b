"""Why a small model says what it says: what each column adds, whether that is faithful, and what would change it."""

from pilotfish.compete.explain.changes import Change, changes
from pilotfish.compete.explain.columns import Explained, explained
from pilotfish.compete.explain.faithful import Faithful, faithful
from pilotfish.compete.explain.stable import Stability, stability

__all__ = ["Change", "Explained", "Faithful", "Stability", "changes", "explained", "faithful", "stability"]
