"""An embedding student taught and saved: texts in, a folder that any encoder of a collaboration loads out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pilotfish.distill.blackbox.students import EmbeddingStudent
from pilotfish.distill.blackbox.students.embedding import Nearer
from pilotfish.models._weights import identity_of
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.processes import is_main, wait

__all__ = ["VectorsTaught", "teach_vectors"]

REPORT = "pilotfish-vectors.json"


@dataclass(frozen=True)
class VectorsTaught:
    """What came of it.

    Attributes:
        folder: the student's.
        teacher: whose vectors they were.
        near: how near the two came, on texts held out.
    """

    folder: str
    teacher: str
    near: Nearer

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        near = self.near
        told = f"{self.folder}: {near.texts:,} texts; on {near.held_out:,} held-out ones the cosine to the vector of "
        told += f"{self.teacher} is "
        told += "" if near.cosine_before is None else f"{near.cosine_before:.3f} -> "
        told += f"{near.cosine_after:.3f}, the correlation of the two models' similarities "
        return told + f"{near.similarity_before:.3f} -> {near.similarity_after:.3f}"


def teach_vectors(student: EmbeddingStudent, texts: Sequence[str], out: str | Path) -> VectorsTaught:
    """Fit the student on texts and save it; a finished run is not repeated.

    Raises:
        ConfigError: no loss counts anything.
        DataError: fewer than four different texts, or `out` holds something else.
    """
    out = Path(out)
    losses = [student.cosine, student.mse, student.similarity]
    told = [losses, settled(student.how), student.held_out]
    told += [identity_of(one.weights) for one in (student.encoder, student.teacher)]
    identity = digest(told, texts)
    # The student's folder comes whole or not at all; one without a report was killed between the two.
    done = finished(out, REPORT, identity, ("modules.json",))
    wait()  # all processes have looked before one writes
    if done is not None:
        return VectorsTaught(**{**done, "near": Nearer(**done["near"])})
    student.fit(texts)
    report = VectorsTaught(str(out), student.teacher.name, student.report_)
    if is_main():
        student.save(out)
    write_report(out, REPORT, identity, report.to_json())
    if is_main() and student.folder is not None:
        shutil.rmtree(student.folder, ignore_errors=True)
    return report
