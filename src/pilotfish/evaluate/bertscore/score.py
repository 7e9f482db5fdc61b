"""BERTScore: how far a text says the same as its reference, by the states of any encoder or language model.

Source: Zhang et al. 2020 (BERTScore: Evaluating Text Generation with BERT), section 3 and appendix B (baselines).

bert_score's own programme differs in three places, of which none is a choice here: a cosine below 0 counts as 0 there
where the text shares a batch with a longer one; with idf and one reference all weights are 0 / 0; a tokenizer that
knows no length stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.evaluate.bertscore.marks import tokens_marked
from pilotfish.evaluate.bertscore.weighed import Weighed, oddities, parts_of
from pilotfish.evaluate.bertscore.weights import Idf
from pilotfish.evaluate.references import paired
from pilotfish.evaluate.scores import Scores
from pilotfish.evaluate.states import TokenStates
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.states import States
    from pilotfish.measure.report.document import MarkedText

__all__ = ["Baseline", "BertScore", "baseline_of"]


@dataclass(frozen=True)
class Baseline:
    """What two texts score that have nothing to do with each other: rescaled, it is 0.

    Attributes:
        precision: mean over pairs.
        recall: mean over pairs.
        f1: mean over pairs.
    """

    precision: float
    recall: float
    f1: float


class BertScore:
    """Scores candidates by their references.

    Args:
        model: an encoder or a local language model, loaded or not.
        layer: which layer's states; None for the last.
        idf: how much each token counts: see `Idf.over`; None for all alike.
        baseline: scores are rescaled by it: (score - b) / (1 - b); see `baseline_of`.
        long: see `TokenStates`.
        batch_tokens: see `TokenStates`.
    """

    def __init__(
        self,
        model: Encoder | LocalModel,
        layer: int | None = None,
        *,
        idf: Idf | None = None,
        baseline: Baseline | None = None,
        long: str = "windows",
        batch_tokens: int = 4096,
    ) -> None:
        self.states = TokenStates(model, layer, long=long, batch_tokens=batch_tokens)
        self.idf, self.baseline = idf, baseline

    @property
    def name(self) -> str:
        """With all that changes the numbers."""
        further = [self.states.name, *(["idf"] if self.idf else []), *(["rescaled"] if self.baseline else [])]
        return f"bertscore ({', '.join(further)})"

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return F1 as the score, with precision and recall; of several references the one with the best F1 counts.

        Args:
            candidates: the texts to score.
            references: one or several of each.
            progress: called with the number of rows done.

        Raises:
            DataError: another number of references than of candidates, or a row without any.
        """
        rows = paired(candidates, references)
        columns: NDArray[np.float64] = np.zeros((3, len(rows)))
        notes: list[str] = []
        for number, mine, theirs, held in parts_of(rows, self.states, self.idf, progress):
            found = max((held[mine].matched(held[one]) for one in theirs), key=lambda match: match.f1)
            columns[:, number] = found.precision, found.recall, found.f1
            notes.append(oddities(held[mine], [held[one] for one in theirs]))
        if self.baseline is not None:
            base = np.array([[self.baseline.precision], [self.baseline.recall], [self.baseline.f1]])
            columns = (columns - base) / (1 - base)
        return Scores(self.name, columns[2], {"precision": columns[0], "recall": columns[1]}, notes)

    def marked(self, candidate: str, references: str | Sequence[str]) -> list[MarkedText]:
        """Return both texts for people to look at: see `tokens_marked`."""
        return tokens_marked(self, candidate, references)

    def explain(self, candidate: str, reference: str) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """Return both texts' tokens, as they stand in the text, each with its best cosine: what was matched, and not.

        Returns:
            Of the candidate and of the reference, without the tokens that were added.
        """
        both = candidate.strip(), reference.strip()
        one, other = (Weighed.of(states, self.idf) for states in self.states.of(both))
        match = one.matched(other)
        return _told(both[0], one.states, match.candidate), _told(both[1], other.states, match.reference)


def baseline_of(metric: BertScore, texts: Sequence[str], *, pairs: int = 2000, seed: int = 0) -> Baseline:
    """Return what pairs of texts score that were drawn at random: appendix B has a million sentences of Common Crawl.

    Args:
        metric: without a baseline, as it is to be rescaled.
        texts: of the kind that is scored; equal ones count once.
        pairs: how many are drawn.
        seed: of the draw.

    Raises:
        DataError: fewer than two different texts.
    """
    different = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if len(different) < 2:
        raise DataError("a baseline needs two different texts at least")
    plain = BertScore(
        metric.states.model,
        metric.states.layer,
        idf=metric.idf,
        long=metric.states.long,
        batch_tokens=metric.states.batch_tokens,
    )
    random = np.random.default_rng(seed)
    first = random.integers(len(different), size=pairs)
    second = (first + random.integers(1, len(different), size=pairs)) % len(different)
    found = plain([different[i] for i in first], [different[i] for i in second])
    return Baseline(
        float(found.parts["precision"].mean()), float(found.parts["recall"].mean()), float(found.values.mean())
    )


def _told(text: str, states: States, cosines: Any) -> list[tuple[str, float]]:
    return [
        (text[start:end], float(cosine))
        for (start, end), special, cosine in zip(states.spans, states.special, cosines, strict=True)
        if not special
    ]
