"""Models for machines with little memory, time or energy: which model, runtime and precision meets the limits best?

`fit` exports candidates, measures each in a fresh process, and chooses; `open` loads what it wrote. Importing this
package loads no runtime, so that what is deployed needs only the one it runs on.
"""

from __future__ import annotations

from pilotfish.compete.constrained.fitting import Fit, FitSettings, fit
from pilotfish.compete.constrained.limits import Limits
from pilotfish.compete.constrained.manifest import Manifest
from pilotfish.compete.constrained.opened import open
from pilotfish.compete.constrained.task import FitTask, choices_task, classes_task, similarity_task, text_task
from pilotfish.compete.constrained.way import Way, ways_of

__all__ = [
    "Fit",
    "FitSettings",
    "FitTask",
    "Limits",
    "Manifest",
    "Way",
    "choices_task",
    "classes_task",
    "fit",
    "open",
    "similarity_task",
    "text_task",
    "ways_of",
]
