"""A retriever of demonstrations that learns from what helped a language model.

Sources: Rubin et al. 2022 (EPR), section 3.2: positives from the best and hard negatives from the worst of the
candidates, the other questions' of a batch as further negatives, equation 3; Cheng et al. 2023 (UPRISE), section 3.2.
Both teach two encoders; here one reads questions and demonstrations, and a demonstration is read with its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder
from pilotfish.prompt.demonstrate.feedback import Feedback
from pilotfish.prompt.demonstrate.find import ByVectors
from pilotfish.prompt.demonstrate.pool import Pool
from pilotfish.rows.model_stage import Template
from pilotfish.rows.split import split
from pilotfish.rows.vectors import unit_vectors
from pilotfish.train.encoding import train
from pilotfish.train.folder import digest
from pilotfish.train.kept import FOLDER, keep_encoder
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["FILE", "FIT", "FORM", "RetrieverLearner", "Taught", "taught_finder"]

FILE, FORMAT = "retriever.json", 1
FORM = "{input}\n{output}"
FIT = Fit(epochs=3, batch_tokens=4096, rate=3e-5, decay=0.01, dtype="float32")


@dataclass(frozen=True)
class Taught:
    """What a retriever learnt from.

    Attributes:
        questions: that it learnt from.
        held_out: other questions, kept back.
        before: nats of the right answer with the candidate that the untaught encoder finds nearest, the mean over the
            held-out questions; `after`: the same when taught; `gain`: the difference, paired. None without any.
        best: the same with the best candidate there is.
        steps: of the training.
    """

    questions: int
    held_out: int
    before: Interval | None
    after: Interval | None
    gain: Interval | None
    best: float | None
    steps: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Taught:
        """Read what `to_json` gave."""
        ends = {name: None if told[name] is None else Interval(**told[name]) for name in ("before", "after", "gain")}
        return cls(**{**told, **ends})

    def __str__(self) -> str:
        said = f"{self.questions:,} questions, {self.steps:,} steps"
        if self.before is None or self.after is None or self.gain is None:
            return said
        return (
            f"{said}; of {self.held_out:,} others the answer with the first demonstration {self.before.value:.3f} -> "
            f"{self.after.value:.3f} nats (gain {self.gain.value:.3f} [{self.gain.low:.3f}, {self.gain.high:.3f}]; "
            f"the best candidate gives {self.best:.3f})"
        )


class RetrieverLearner:
    """Teaches an encoder to find the demonstrations that helped.

    Args:
        encoder: what to start from. It stays as it is.
        how: how to train; a pass's questions are each other's negatives, so `batch_tokens` is how many there are.
        form: what of a demonstration is read; a question is its input alone.
        positives: so many of a question's best candidates are positives, so many of its worst hard negatives.
        temperature: of the softmax over cosines.
        held_out: the share of questions that is kept back to measure on.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        encoder_: tuned.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    encoder_: Encoder
    report_: Taught

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        form: str = FORM,
        positives: int = 3,
        temperature: float = 0.05,
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        if positives < 1 or not temperature > 0 or not 0 <= held_out < 1:
            raise ConfigError("positives are 1 or more, the temperature is above 0 and held_out a share below 1")
        self.encoder, self.how, self.form = encoder, how, form
        self.positives, self.temperature, self.held_out, self.folder = positives, temperature, held_out, folder

    def fit(self, pool: Pool, told: Sequence[Feedback]) -> Self:
        """Learn from feedback on the pool's own questions.

        Raises:
            DataError: no question whose candidates differ in what they are worth.
            ModelError: the loss is not finite.
        """
        held: NDArray[np.int64] = np.zeros(0, np.int64)
        if self.held_out and len(told) > 1:
            parts = {"train": 1 - self.held_out, "test": self.held_out}
            held = np.asarray(split(len(told), parts, self.how.seed)["test"])
        away = set(held.tolist())
        groups = [group for at, one in enumerate(told) if at not in away for group in self._groups(one)]
        if not groups:
            raise DataError("nothing to learn from: no question has candidates that differ in what they are worth")
        encoder = self.encoder.load().copied()
        steps = self._learn(encoder, pool, groups, told)
        encoder.model.eval()
        self.encoder_ = encoder
        tested = [told[at] for at in held if len(told[at].places) > 1]
        before, after = self._first(self.encoder, pool, tested), self._first(encoder, pool, tested)
        questions = len(told) - len(held)
        if not tested:
            self.report_ = Taught(questions, len(held), None, None, None, None, steps)
            return self
        best = float(np.mean([max(one.scores) for one in tested]))
        gain = paired_bootstrap(after, before, seed=self.how.seed)
        was, now = (bootstrap(one, seed=self.how.seed) for one in (before, after))
        self.report_ = Taught(questions, len(tested), was, now, gain, best, steps)
        return self

    def _groups(self, one: Feedback) -> list[tuple[int, int, int]]:
        """Return (question, positive, hard negative): the best with the worst, the next best with the next worst."""
        order = [one.places[at] for at in np.argsort([-score for score in one.scores], kind="stable")]
        worth = dict(zip(one.places, one.scores, strict=True))
        count = min(self.positives, len(order) // 2)
        pairs = zip(order[:count], reversed(order[len(order) - count :]), strict=True)
        return [(one.place, good, bad) for good, bad in pairs if worth[good] > worth[bad]]

    def _learn(
        self, encoder: Encoder, pool: Pool, groups: Sequence[tuple[int, int, int]], told: Sequence[Feedback]
    ) -> int:
        torch = need("torch", "train")
        good: dict[int, set[int]] = {}
        for question, positive, _ in groups:
            good.setdefault(question, set()).add(positive)

        def loss(found: Any, rows: Any, counted: Any) -> Any:
            mine = [groups[row] for row in rows.tolist()]
            shown = [positive for _, positive, _ in mine] + [bad for _, _, bad in mine]
            # What is another positive of a question, or the question itself, is no negative of it.
            wrong = torch.tensor(
                [
                    [at != own and (place == question or place in good[question]) for at, place in enumerate(shown)]
                    for own, (question, _, _) in enumerate(mine)
                ],
                device=found.device,
            )
            return (contrastive_loss(found, wrong, self.temperature) * counted).sum()

        form = Template(self.form)
        texts = [form.fill({"input": one.input, "output": one.output}) for one in pool.demonstrations]
        rows = [(pool.inputs[question], texts[one], texts[other]) for question, one, other in groups]
        facts = [asdict(self.how), self.temperature, identity_of(self.encoder.weights), groups]
        identity = digest(facts, [text for row in rows for text in row])
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        weights = np.ones(len(rows))
        return train(encoder, torch.nn.Identity(), rows, weights, loss, self.how, folder, identity).steps

    def _first(self, encoder: Encoder, pool: Pool, tested: Sequence[Feedback]) -> list[float]:
        """Return what the candidate that comes first is worth, of each question."""
        if not tested:
            return []
        form = Template(self.form)
        places = sorted({place for one in tested for place in one.places})
        held = [pool.demonstrations[place] for place in places]
        vectors = unit_vectors(encoder.encode([form.fill({"input": one.input, "output": one.output}) for one in held]))
        at = {place: number for number, place in enumerate(places)}
        questions = unit_vectors(encoder.encode([pool.inputs[one.place] for one in tested]))
        found = []
        for question, one in zip(questions, tested, strict=True):
            near = vectors[[at[place] for place in one.places]] @ question
            found.append(one.scores[int(near.argmax())])
        return found

    def save(self, folder: str | Path) -> None:
        """Write the encoder, and what it learnt; the file of facts goes first and comes last."""
        told = {"format": FORMAT, "form": self.form, "report": self.report_.to_json()}
        keep_encoder(folder, FILE, self.encoder_, told)


def contrastive_loss(found: Any, wrong: Any, temperature: float) -> Any:
    """Return (questions,): minus the log of the softmax of each question's own positive over a pass's demonstrations.

    Args:
        found: (questions, 3, dimension): vectors of the question, its positive and its hard negative, of any length.
        wrong: (questions, 2 x questions): demonstrations, the positives and then the hard negatives, that are left out.
        temperature: that cosines are divided by.
    """
    torch = need("torch", "train")
    unit = torch.nn.functional.normalize(found, dim=-1)
    scores = unit[:, 0] @ torch.cat([unit[:, 1], unit[:, 2]]).T / temperature
    own = torch.arange(len(unit), device=unit.device)
    return torch.nn.functional.cross_entropy(scores.masked_fill(wrong, -torch.inf), own, reduction="none")


def taught_finder(folder: str | Path, pool: Pool, catalog: Catalog | None = None, name: str = "taught") -> ByVectors:
    """Return the finder that `RetrieverLearner.save` wrote, over a pool.

    Raises:
        ModelError: the folder holds none, or a damaged one.
    """
    folder = Path(folder)
    with reading(folder, "retriever of demonstrations"):
        told = facts_in(folder / FILE, "retriever of demonstrations", FORMAT)
        form = str(told["form"])
    return ByVectors(pool, Encoder(folder / FOLDER, name=told["name"], catalog=catalog), form, name)
