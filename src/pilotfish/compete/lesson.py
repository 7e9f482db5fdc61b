"""What a distilled student may learn from: people's labels, and what the large model says of these and other texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.plan import lanes
from pilotfish.compete.purse import list_cost
from pilotfish.compete.students import MIN_TUNE
from pilotfish.distill.blackbox.students import TeacherLabels
from pilotfish.models.classify.head import fit_temperature, softmax
from pilotfish.rows.asking import Bill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.large import Judged
    from pilotfish.compete.task import TextTask
    from pilotfish.model import Model
    from pilotfish.models.classify import Labels


@dataclass(frozen=True)
class Lesson:
    """Texts with people's labels, the large model's, or both.

    Attributes:
        texts: training rows in their order, then unlabelled texts that the large model labelled.
        gold: (texts,) people's label; None where there is none.
        teacher: the large model's probabilities, NaN where it was not asked or named no label; and what they took, at
            list price.
        temperature: what its log-probabilities were divided by, so that they are honest on rows kept back.
    """

    texts: list[str]
    gold: list[str | None]
    teacher: TeacherLabels
    temperature: float = 1.0

    @property
    def people(self) -> int:
        """How many labels people gave."""
        return sum(label is not None for label in self.gold)

    @property
    def taught(self) -> int:
        """How many texts the large model labelled."""
        return int(self.teacher.known.sum())

    @property
    def free(self) -> int:
        """How many of those have no label by people."""
        return sum(label is None for label in self.gold)

    def at(self, rows: Sequence[int]) -> Lesson:
        """Return some of the texts."""
        where = np.asarray(rows, dtype=np.int64)
        teacher = replace(self.teacher, probabilities=self.teacher.probabilities[where])
        return replace(self, texts=[self.texts[i] for i in where], gold=[self.gold[i] for i in where], teacher=teacher)

    def without(self, texts: Collection[str]) -> Lesson:
        """Return it without these texts, whoever labelled them."""
        return self.at([i for i, text in enumerate(self.texts) if text not in texts])

    def by_people(self) -> Lesson:
        """Return people's labels only."""
        part = self.at([i for i, label in enumerate(self.gold) if label is not None])
        silent = np.full_like(part.teacher.probabilities, np.nan)
        return replace(part, teacher=TeacherLabels(self.teacher.classes, silent))

    def by_large(self) -> Lesson:
        """Return the large model's labels only."""
        part = self.at(np.flatnonzero(self.teacher.known).tolist())
        return replace(part, gold=[None] * len(part.texts))


def pool(task: TextTask, seed: int = 0) -> list[str]:
    """Return the texts for the large model to label, in the order of their turn: unlabelled ones, then training rows.

    Rows kept back are not among them: it is asked about those for the cascade's threshold.
    """
    rng = np.random.default_rng([seed, 77])
    free = [task.unlabelled[i] for i in rng.permutation(len(task.unlabelled))]
    return [*free, *(task.train[i] for i in rng.permutation(task.fit))]


def people_only(task: TextTask) -> Lesson:
    """Return people's labels of the training rows, where there is no large model."""
    silent = np.full((len(task.train), len(task.labels)), np.nan)
    return Lesson(list(task.train), list(task.train_labels), TeacherLabels(tuple(task.labels), silent))


def lesson_of(task: TextTask, judged: Judged, texts: Sequence[str]) -> Lesson:
    """Return what there is to learn: all of people's labels, and every answer that the large model gave beside them.

    Args:
        task: the rows.
        judged: its answers for the first of `texts`, and for rows kept back, which are training rows as well.
        texts: the pool.
    """
    kept, truth = task.taken(task.calibrate[: len(judged.calibrate.labels)])
    temperature = _honest(judged.calibrate, truth, task.labels)
    said: dict[str, NDArray[np.float64]] = {}
    for labels, asked in ((judged.taught, texts[: len(judged.taught.labels)]), (judged.calibrate, kept)):
        said |= dict(zip(asked, _probabilities(labels, task.labels, temperature), strict=True))
    known = set(task.train)
    free = [text for text in said if text not in known and not np.isnan(said[text]).any()]
    everything = [*task.train, *free]
    silent = np.full(len(task.labels), np.nan)
    probabilities = np.array([said.get(text, silent) for text in everything])
    teacher = TeacherLabels(tuple(task.labels), probabilities, _bill((judged.taught, judged.calibrate), judged))
    return Lesson(everything, [*task.train_labels, *[None] * len(free)], teacher, temperature)


def _probabilities(labels: Labels, classes: Sequence[str], temperature: float) -> NDArray[np.float64]:
    if labels.logprobs is None:
        return TeacherLabels.hard(labels.labels, classes).probabilities
    return softmax(labels.logprobs / temperature)


def _honest(labels: Labels, truth: Sequence[str], classes: Sequence[str]) -> float:
    """Return the temperature at which a white box's probabilities are likeliest on rows whose labels people gave.

    A model that was not trained on the task is often surer than it is right, and its probabilities are what is learnt.
    """
    if labels.logprobs is None or len(truth) < MIN_TUNE:
        return 1.0
    index = {label: i for i, label in enumerate(classes)}
    return fit_temperature(labels.logprobs, np.array([index[label] for label in truth]))


def _bill(parts: Sequence[Labels], judged: Judged) -> Bill:
    """Return what the answers took: at list price, as no store of them need be there, and in seconds of wall time."""
    model: Model = judged.labeller.model
    total, width = Bill(), lanes(judged.labeller)
    for labels in parts:
        for trace in labels.traces:
            usage, cost = trace.usage, list_cost(trace, model)
            total += Bill(usage.calls, usage.tokens_in, usage.tokens_out, trace.seconds / width, cost)
    return total
