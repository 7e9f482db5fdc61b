"""Both models put to use: a threshold for the cascade, the distilled student, the encoder fine-tuned if time allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotfish.compete.distilled import Distilled, distil
from pilotfish.compete.lesson import lesson_of
from pilotfish.compete.mix import Threshold, threshold_by, threshold_for
from pilotfish.compete.tuned import Tuned, fine_tuned
from pilotfish.compete.verdict import best_by_kept_rows

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.further import Further
    from pilotfish.compete.large import Judged
    from pilotfish.compete.learner import Learner
    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel


@dataclass(frozen=True)
class Together:
    """What came of the small and the large model together.

    Attributes:
        small: the best model that people's labels alone taught, the fine-tuned encoder and further ones among them.
        behind: who is behind it, where it is not one of the linear ones.
        threshold: of the cascade over it.
        distilled: None where the large model's labels were too few or all alike, or there was no time.
        tuned: None where the encoder was not fine-tuned.
    """

    small: Candidate
    behind: Learner | None
    threshold: Threshold
    distilled: Distilled | None
    tuned: Tuned | None


def together(
    task: TextTask,
    encoder: Encoder | LocalModel,
    student: Student,
    found: Sequence[Candidate],
    more: Sequence[Further],
    judged: Judged,
    texts: Sequence[str],
    watch: Watch,
    budget: Budget,
    seed: int = 0,
) -> Together:
    """Choose the threshold and teach students, by rows kept back from training.

    Args:
        task: the rows.
        encoder: the small model.
        student: the best kind of features of all that were tried.
        found: what came of each kind.
        more: further models that people's labels alone taught.
        judged: the large model's answers.
        texts: the pool, of whose first texts it was asked the labels.
        watch: where it shows.
        budget: of time.
        seed: of what is random.
    """
    linear = best_by_kept_rows(found)
    with watch.phase("cascade and distilled student"):
        lesson = lesson_of(task, judged, texts)
        distilled = distil(task, student, linear, lesson, watch, budget, seed)
    tuned = None
    if distilled is not None:
        reading = next(one for one in found if one.key == "encoder").seconds or 0.0
        tuned = fine_tuned(task, encoder, lesson, distilled.alpha, reading, watch, budget, seed)
    learners = {id(one.candidate): one.learner for one in more}
    if tuned is not None:
        learners[id(tuned.gold)] = tuned.by_people
    people = [linear, *(one.candidate for one in more), *([tuned.gold] if tuned is not None else [])]
    best = best_by_kept_rows(people)
    behind = learners.get(id(best))
    if behind is None:
        threshold = threshold_for(task, student, judged)
    else:
        threshold = threshold_by(task, judged, behind.kept, task.labels)
    if distilled is not None and tuned is not None:
        distilled = distilled.beside(tuned)
    return Together(best, behind, threshold, distilled, tuned)
