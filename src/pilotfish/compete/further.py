"""Further small candidates, by people's labels alone: a bag of n-grams, a contrastive few-shot, adapters, all weights.

Each is fitted twice, without the rows kept back, which then tell how good it is, and on everything. What that takes is
foretold; what there is no time for is left out and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.learner import AnyStudent, Learner, Make, learned, measured
from pilotfish.compete.lesson import people_only
from pilotfish.compete.students import time_it, weights_of
from pilotfish.distill.blackbox.students import BagStudent, ContrastiveStudent, EncoderStudent
from pilotfish.distill.blackbox.students.tuned import FIT
from pilotfish.models.classify._native import bag_library
from pilotfish.models.classify.bag import BagFeatures, epochs_for
from pilotfish.models.encoder import Encoder
from pilotfish.train.contrast import FIT as PAIRS
from pilotfish.train.contrast import pairs_for

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch
    from pilotfish.models.local import LocalModel

__all__ = ["LORA", "LORA_HEAD", "Further", "further"]

# Seconds of learning from a text, in seconds of reading it; and what a fit takes besides (a copy, a checkpoint).
TIMES, BESIDES = 6.0, 3.0
# The share of the time left that each may take, with a large model that is yet to be asked, and without.
PATIENCE, ALONE = 0.15, 0.4
_PROBE = 256  # texts that tell how long a bag takes
# Adapters take larger steps than weights do, and the head's are as they were.
LORA, LORA_HEAD = replace(FIT, rank=16, scale=32.0, rate=5e-4), 3.0


@dataclass
class Further:
    """A candidate and who is behind it.

    Attributes:
        candidate: what it says of the held-out rows.
        learner: the student, and its probabilities of the rows kept back without them.
    """

    candidate: Candidate
    learner: Learner

    @property
    def student(self) -> AnyStudent:
        """The student that learnt from every training row."""
        return self.learner.student


@dataclass(frozen=True)
class _Kind:
    key: str
    title: str
    make: Callable[[], AnyStudent]
    seconds: float


def further(
    task: TextTask,
    small: Encoder | LocalModel,
    watch: Watch,
    budget: Budget,
    reading: float,
    *,
    large: bool,
    seed: int = 0,
) -> list[Further]:
    """Teach what there is time for; an encoder only where a limit of time says how long that may take.

    Args:
        task: the rows.
        small: the encoder.
        watch: where it shows.
        budget: of time.
        reading: seconds that the encoder takes to read a text.
        large: whether a large model is yet to be asked; without one all weights are tuned here too.
        seed: of what is random.
    """
    kinds = [_bag(task, seed)]
    if isinstance(small, Encoder) and budget.max_seconds is not None:
        kinds += _encoders(task, small, reading, everything=not large, seed=seed)
    lesson = people_only(task)
    found = []
    for kind in kinds:
        if kind.seconds > (PATIENCE if large else ALONE) * budget.seconds_left():
            watch.say(f"{kind.title} is left out: it takes about {kind.seconds:,.0f} s, too much of the time left")
            continue
        with watch.phase(f"teaching {kind.title}"):
            started = time.perf_counter()
            learner = learned(task, _alone(kind.make), lesson, 1.0)
            took = time.perf_counter() - started
        one = measured(task, learner, lesson, kind.key, kind.title, kind.title, large=False)
        classifier = learner.student.classifier
        one.weights = weights_of(classifier)
        one.details["fit_seconds"] = round(took / 2, 2)
        time_it(one, classifier.predict_proba, task.test, min(1.0, 0.005 * (budget.max_seconds or 100.0)))
        found.append(Further(one, learner))
    return found


def _alone(make: Callable[[], AnyStudent]) -> Make:
    """Return what `learned` calls: there are people's labels only, so that alpha chooses nothing."""
    return lambda alpha: make()


def _bag(task: TextTask, seed: int) -> _Kind:
    def make() -> BagStudent:
        return BagStudent(alpha=1.0, held_out=0.0, seed=seed)

    some = np.random.default_rng(seed).permutation(len(task.train))[:_PROBE]
    texts, labels = task.taken(some)
    BagFeatures().read(texts[:1]), bag_library()  # compiled now, if they never were
    started = time.perf_counter()
    if len(set(labels)) > 1:
        BagStudent(alpha=1.0, held_out=0.0, epochs=1, seed=seed).fit(texts, labels)
    each = (time.perf_counter() - started) / len(texts)
    expected = 2 * each * len(task.train) * epochs_for(len(task.train))
    return _Kind("bag", "bag of n-grams (fastText)", make, expected)


def _encoders(task: TextTask, small: Encoder, reading: float, *, everything: bool, seed: int) -> Sequence[_Kind]:
    both = 2 * len(task.train) - len(task.tune) - len(task.calibrate)

    def contrastive() -> ContrastiveStudent:
        return ContrastiveStudent(small, alpha=1.0, fit=replace(PAIRS, seed=seed), held_out=0.0, seed=seed)

    def adapters() -> EncoderStudent:
        how = replace(LORA, seed=seed)
        return EncoderStudent(small, alpha=1.0, fit=how, head_rate=LORA_HEAD, held_out=0.0, seed=seed)

    def weights() -> EncoderStudent:
        return EncoderStudent(small, alpha=1.0, fit=replace(FIT, seed=seed), held_out=0.0, seed=seed)

    # Two fits of two texts a pair, and each reads all texts once for its head.
    pairs = reading * (TIMES * 4 * pairs_for(len(task.train)) + both) + 2 * BESIDES
    rows = TIMES * reading * both * FIT.epochs + 2 * BESIDES
    kinds = [
        _Kind("contrastive", f"{small.name}, contrastive (SetFit)", contrastive, pairs),
        _Kind("lora", f"{small.name}, fine-tuned by LoRA", adapters, rows),
    ]
    if everything:
        kinds.append(_Kind("tuned", f"fine-tuned {small.name}", weights, rows))
    return kinds
