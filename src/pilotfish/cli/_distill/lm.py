"""A language model as the student: of the teacher's distributions, or of what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.cli._distill.answers import answered, rationalised
from pilotfish.cli._distill.parts import rows_of, rows_with, student_of_spec, teacher_of, white

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec

__all__ = ["taught"]


def taught(models: Collaboration, spec: DistillSpec, *, quiet: bool) -> tuple[Any, int]:
    """Teach the student, and return the report, and how many rows gave nothing to learn."""
    from pilotfish.distill.distiller import Distiller
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.train.settings import Fit

    teacher, dtype = teacher_of(models, spec)
    if teacher is not None:
        held = rows_of(spec, answers=white(models, spec) and spec.draft is None)
        student = student_of_spec(models, spec, [_joined(row) for row in held], quiet=quiet)
    else:
        asked = spec.rationales or spec.answers
        both = rows_with(spec, others=() if asked.gold is None else (asked.gold,))
        student = student_of_spec(models, spec, [text for _, text in both], quiet=quiet)
        rows = [row for row, _ in both]
        if spec.rationales is not None:
            held = rationalised(models, spec, rows, student, quiet=quiet)
        else:
            held = answered(models, spec, rows, quiet=quiet)
    shared: dict[str, Any] = {
        "divergence": spec.loss.divergence,
        "settings": spec.loss.settings,
        "fit": Fit(**spec.fit.model_dump()),
        "held_out": spec.held_out,
        "cached": spec.cached,
        "device": spec.device,
        "catalog": models.catalog,
        "progress": not quiet,
    }
    if spec.draft is not None:
        from pilotfish.distill.draft import teach_draft

        assert teacher is not None
        own = {**spec.draft.model_dump(), "context": spec.length, "target_dtype": dtype}
        drafted = teach_draft(teacher, student, held, str(spec.out), **own, **shared)
        return drafted, drafted.distilled.refused
    report = (
        Distiller(
            student,
            teacher,
            str(spec.out),
            alpha=spec.loss.alpha if teacher is not None else 0.0,
            temperature=spec.loss.temperature,
            length=spec.length,
            cache=spec.cache,
            shard=spec.shard,
            answers_of=spec.teacher if teacher is None else None,
            on_policy=None if spec.on_policy is None else Sampling(**spec.on_policy.model_dump()),
            matching=None if spec.matching is None else Matching(**spec.matching.model_dump()),
            teacher_dtype=dtype,
            **shared,
        )
        .fit(held)
        .report_
    )
    return report, report.refused


def _joined(row: dict[str, Any]) -> str:
    return "\n".join(str(row[name]) for name in ("text", "prompt", "answer") if name in row)
