"""Checks of synthesised rows: only what helps is kept, and what is not stays with its reason."""

from __future__ import annotations

from pilotfish.synthesize.keep.agreeing import Agrees
from pilotfish.synthesize.keep.clean import Clean
from pilotfish.synthesize.keep.graded import Graded
from pilotfish.synthesize.keep.unlike import Unlike
from pilotfish.synthesize.keep.verified import Verified

__all__ = ["Agrees", "Clean", "Graded", "Unlike", "Verified"]
