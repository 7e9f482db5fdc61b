"""An encoder as the student: its vectors come to agree with the teacher's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pilotfish.cli._distill.encoder import encoder_in, fit_of
from pilotfish.cli._distill.parts import rows_with

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.distill.blackbox.vectors import VectorsTaught

__all__ = ["nearer"]


def nearer(models: Collaboration, spec: DistillSpec, *, quiet: bool) -> VectorsTaught:
    """Teach an encoder the vectors of another, or of a language model, on the rows' texts."""
    from pilotfish.distill.blackbox.students import EmbeddingStudent
    from pilotfish.distill.blackbox.students.embedding import FIT
    from pilotfish.distill.blackbox.vectors import teach_vectors

    asked = spec.vectors
    assert asked is not None and spec.teacher is not None
    texts = [text for _, text in rows_with(spec)]
    teacher = encoder_in(models, spec, spec.teacher, lm=True)
    student = EmbeddingStudent(
        encoder_in(models, spec, str(spec.student)),
        teacher,
        fit=fit_of(spec, FIT),
        held_out=spec.held_out,
        folder=Path(f"{spec.out}-run"),
        **asked.model_dump(),
    )
    return teach_vectors(student, texts, str(spec.out))
