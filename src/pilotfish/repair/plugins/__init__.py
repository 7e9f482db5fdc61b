"""The plug-ins: what finds and mends one kind of fault each."""

from __future__ import annotations

from pilotfish.repair.plugins.calculation import Calculation
from pilotfish.repair.plugins.form import JsonForm
from pilotfish.repair.plugins.function import ByFunction
from pilotfish.repair.plugins.personal import Personal
from pilotfish.repair.plugins.repetition import Repetition
from pilotfish.repair.plugins.toxic import Toxic, words_in

__all__ = ["ByFunction", "Calculation", "JsonForm", "Personal", "Repetition", "Toxic", "words_in"]
