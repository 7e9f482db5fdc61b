"""Students that are no language models: they learn a teacher's labels, or its vectors.

said = labelled(texts, Labeller(large, labels), labels, "taught")
student = LinearStudent(EncoderFeatures(encoder)).fit(texts, gold, said)      # gold: None where nobody labelled
student.save("student")                                                       # a TextClassifier's folder
"""

from __future__ import annotations

from pilotfish.distill.blackbox.students.bag import BagStudent
from pilotfish.distill.blackbox.students.base import LabelStudent, Learnt
from pilotfish.distill.blackbox.students.contrastive import ContrastiveStudent
from pilotfish.distill.blackbox.students.embedding import EmbeddingStudent
from pilotfish.distill.blackbox.students.linear import LinearStudent
from pilotfish.distill.blackbox.students.trees import TreeStudent
from pilotfish.distill.blackbox.students.tuned import EncoderStudent
from pilotfish.models.classify.labelled import TeacherLabels, labelled

__all__ = [
    "BagStudent",
    "ContrastiveStudent",
    "EmbeddingStudent",
    "EncoderStudent",
    "LabelStudent",
    "Learnt",
    "LinearStudent",
    "TeacherLabels",
    "TreeStudent",
    "labelled",
]
