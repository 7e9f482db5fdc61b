"""Where a student begins: its teacher with fewer layers, with narrower ones, or random weights of the same family.

    drop_layers(model, keep=15)                                  # every second layer, first and last among them
    prune_width(model, intermediate=1024, importance=by_activations(model, tokenizer, texts))
    student_of("smollm2-135m-instruct", "student/", layers=15)   # either or both, as a folder

A student that begins with its teacher's layers learns many times faster than one that begins at random (Sanh et al.
2019, DistilBERT, section 3; Shleifer and Rush 2020, section 4; Muralidharan et al. 2024, Minitron, section 4).
"""

from __future__ import annotations

from pilotfish.distill.init.fresh import from_config
from pilotfish.distill.init.importance import Importance, by_activations, by_weights
from pilotfish.distill.init.layers import drop_layers, evenly
from pilotfish.distill.init.student import Student, student_of
from pilotfish.distill.init.width import Width, prune_width

__all__ = [
    "Importance",
    "Student",
    "Width",
    "by_activations",
    "by_weights",
    "drop_layers",
    "evenly",
    "from_config",
    "prune_width",
    "student_of",
]
