"""Teach an encoder late interaction: from queries with their passages, or from a teacher's scores of candidates.

Sources: Khattab and Zaharia 2020 (ColBERT), section 3.3; Santhanam et al. 2022 (ColBERTv2), section 3.2.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, wilson
from pilotfish.retrieve.late._task import Group, late_task
from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.maxsim import Ragged, maxsim
from pilotfish.rows.split import split
from pilotfish.train.encoding import freeze_unused
from pilotfish.train.examples import Example
from pilotfish.train.folder import digest
from pilotfish.train.loop import Fitted, fit
from pilotfish.train.lora import adapted, merged
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Candidates", "LateLearner", "Learnt", "Triple"]

FIT = Fit(epochs=1, batch_tokens=8192, rate=3e-5, decay=0.01, dtype="auto")


@dataclass(frozen=True)
class Triple:
    """A query and what answers it.

    Attributes:
        query: what is asked.
        positive: the passage that answers it.
        negatives: passages that do not, though they look like it; may be none: those of the other queries of a pass
            are negatives as well.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """A query and what a teacher thinks of passages.

    Attributes:
        query: what is asked.
        passages: two or more.
        scores: the teacher's, one a passage: the larger the better.
    """

    query: str
    passages: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Learnt:
    """What a late-interaction model learnt from.

    Attributes:
        queries: that it learnt from.
        held_out: other queries, kept back.
        steps: of the training.
        before: how often a held-out query's best passage came first, untaught: of a triple's among all held-out
            passages, of a teacher's among its own candidates. None without any.
        after: the same when taught.
    """

    queries: int
    held_out: int
    steps: int
    before: Interval | None = None
    after: Interval | None = None


class LateLearner:
    """An encoder that is taught late interaction.

    Args:
        encoder: where it begins; it stays as it is. A plain one needs settings of its own: `LateSettings()` has markers
            and expansion, and a `dimension`.
        how: sizes and rates; the passages of a pass are one another's negatives, so `batch_tokens` tells how many.
        temperature: what scores are divided by before the softmax.
        normalise: of a teacher's scores and the student's: put between 0 and 1 for each query.
        held_out: the share of queries that is kept back to measure on, and to stop by where `how.patience` is set.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        progress: show a bar.

    Attributes:
        encoder_: taught.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    def __init__(
        self,
        encoder: LateEncoder,
        how: Fit = FIT,
        *,
        temperature: float = 1.0,
        normalise: bool = True,
        held_out: float = 0.1,
        folder: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        if not temperature > 0 or not 0 <= held_out < 1:
            raise ConfigError(f"temperature is above 0 and held_out a share, not {temperature} and {held_out}")
        self.encoder, self.how, self.temperature, self.normalise = encoder, how, temperature, normalise
        self.held_out, self.folder, self.progress = held_out, folder, progress

    def fit(self, examples: Sequence[Triple] | Sequence[Candidates]) -> Self:
        """Learn from triples (a contrastive loss) or from a teacher's scores (its divergence).

        Raises:
            DataError: too few, both kinds, or one that tells nothing.
            ModelError: the loss is not finite.
        """
        _check(examples)
        texts = [[one.query, *_passages(one)] for one in examples]
        held = _held(texts, self.held_out, self.how.seed)
        learner = self.encoder.copied()
        groups = _groups(learner, examples)
        before = _first(learner, [examples[i] for i in held])
        fitted = self._learn(learner, groups, texts, set(held))
        learner.module.eval()
        self.encoder_ = learner
        after = _first(learner, [examples[i] for i in held])
        self.report_ = Learnt(len(examples) - len(held), len(held), fitted.steps, before, after)
        return self

    def _learn(self, learner: LateEncoder, groups: list[Group], texts: list[list[str]], held: set[int]) -> Fitted:
        how, module = self.how, learner.module
        if how.rank:
            module.body = adapted(module.body, how, kind="FEATURE_EXTRACTION")
        task = late_task(learner, groups, self.temperature, normalise=self.normalise, tokens=how.batch_tokens)
        # One "token in the loss" a query, whatever its length: the loop then divides by the queries of a step.
        rows = [Example((0,) * group.tokens, group.tokens - 1, 1.0, row) for row, group in enumerate(groups)]
        learnt = [one for one in rows if one.row not in held]
        looked = [one for one in rows if one.row in held]
        freeze_unused(task, learnt[:2])
        scores = [list(group.scores) for group in groups]
        told = [asdict(how), self.temperature, self.normalise, sorted(held), self.encoder.identity, scores]
        identity = digest(told, [text for some in texts for text in some])
        if self.folder is not None:
            folder = Path(self.folder) / identity[:16]
            fitted = fit(task, learnt, looked, how, folder, identity, progress=self.progress)
        else:
            with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
                once = replace(how, every=2**31)  # nobody could go on from these checkpoints
                fitted = fit(task, learnt, looked, once, Path(own), identity, progress=self.progress)
        if how.rank:
            module.body = merged(module.body, how)
        for value in module.parameters():
            value.requires_grad_(True)
        return fitted

    def save(self, folder: str | Path) -> None:
        """Write the taught model in PyLate's layout."""
        self.encoder_.save(folder)


def _check(examples: Sequence[Any]) -> None:
    if len(examples) < 2:
        raise DataError(f"a late-interaction model needs at least two examples; there are {len(examples)}")
    if len({type(one) for one in examples}) > 1:
        raise DataError("triples and a teacher's candidates are learnt by different losses: give one kind")
    for number, one in enumerate(examples, 1):
        if isinstance(one, Triple):
            if one.positive in one.negatives:
                raise DataError(f"triple {number}: its positive passage is among its negatives")
        elif len(one.passages) < 2 or len(one.passages) != len(one.scores):
            raise DataError(f"candidates {number}: two passages at least, and a score for each")
        elif len(set(one.passages)) < len(one.passages) or not np.isfinite(one.scores).all():
            raise DataError(f"candidates {number}: a passage twice, or a score that is not finite")


def _passages(one: Triple | Candidates) -> tuple[str, ...]:
    return (one.positive, *one.negatives) if isinstance(one, Triple) else one.passages


def _held(texts: list[list[str]], share: float, seed: int) -> list[int]:
    """Return the examples that are kept back; all of one query are kept, or learnt from."""
    queries = [some[0] for some in texts]
    if not share or len(set(queries)) < 3:
        return []
    held = split(len(texts), {"train": 1 - share, "test": share}, seed, group=queries)["test"]
    return sorted(int(i) for i in held) if len(held) < len(texts) else []


def _groups(encoder: LateEncoder, examples: Sequence[Triple | Candidates]) -> list[Group]:
    passages = list(dict.fromkeys(text for one in examples for text in _passages(one)))
    cuts = dict(zip(passages, encoder.cut(passages, "document"), strict=True))
    queries = encoder.cut([one.query for one in examples], "query")
    return [
        Group(
            query,
            tuple(cuts[text] for text in _passages(one)),
            _passages(one),
            one.scores if isinstance(one, Candidates) else (),
        )
        for query, one in zip(queries, examples, strict=True)
    ]


def _first(encoder: LateEncoder, examples: Sequence[Triple | Candidates]) -> Interval | None:
    """Return how often a query's best passage comes first: a triple's among all passages here, else among its own."""
    if not examples:
        return None
    passages = list(dict.fromkeys(text for one in examples for text in _passages(one)))
    vectors = dict(zip(passages, encoder.documents(passages), strict=True))
    whole = Ragged.of(vectors.values(), encoder.dimension)
    right = 0
    queries: list[NDArray[np.float32]] = encoder.queries([one.query for one in examples])
    for query, one in zip(queries, examples, strict=True):
        if isinstance(one, Triple):
            right += passages[int(maxsim(query, whole).argmax())] == one.positive
        else:
            own = maxsim(query, [vectors[text] for text in one.passages])
            right += int(own.argmax()) == int(np.argmax(one.scores))
    return wilson(right, len(examples))
