"""BARTScore: how likely a model finds one text after another, the mean log-probability of its tokens.

Source: Yuan et al. 2021 (BARTScore: Evaluating Generated Text as Text Generation), section 3: the mean over the
tokens of log p(y_t | y_<t, x), weights alike, end of sequence included; directions: faithfulness (source to
candidate), precision (reference to candidate), recall (candidate to reference), F their mean.

Any sequence-to-sequence model reads x and is asked for y; a causal one reads x in a prompt and goes on with y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.models._tokens import encode, encode_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.reader import Reader

__all__ = ["BartScore", "Continues", "Directions", "Told"]

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Told:
    """What a model said of a pair.

    Attributes:
        logprobs: (tokens,) of the second text's tokens, in nats.
        note: what was odd; "" where nothing was.
    """

    logprobs: NDArray[np.float32]
    note: str = ""


class Likelihoods(Protocol):
    """What finds one text likely after another."""

    @property
    def name(self) -> str:
        """With all that changes the numbers."""

    def of(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[Told]:
        """Return of each (x, y) the log-probabilities of y's tokens given x."""


class Continues:
    """A causal language model, which goes on with the second text behind a prompt that holds the first.

    Args:
        reader: the model.
        prompt: with {text} where the first text goes.

    Raises:
        ConfigError: a prompt without the place.
    """

    def __init__(self, reader: Reader, prompt: str = "{text}\n\n") -> None:
        if "{text}" not in prompt:
            raise ConfigError("the prompt needs the place {text}")
        self.reader, self.prompt = reader, prompt

    @property
    def name(self) -> str:
        """The model's, and the prompt where it is another than the common one."""
        return self.reader.name if self.prompt == "{text}\n\n" else f"{self.reader.name}, {self.prompt!r}"

    def of(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[Told]:
        """See `Likelihoods`; where both are too long the first text's middle and the second one's end are left out."""
        rows, notes = [], []
        for given, text in pairs:
            ids, start, note = self._row(given, text)
            rows.append((ids, start))
            notes.append(note)
        found = self.reader.logprobs(rows, progress=progress)
        return [Told(one, note) for one, note in zip(found, notes, strict=True)]

    def _row(self, given: str, text: str) -> tuple[list[int], int, str]:
        tokenizer, most = self.reader.tokenizer, self.reader.max_length
        before, _, behind = self.prompt.partition("{text}")
        ids, start = encode_pair(tokenizer, f"{before}{given}{behind}", text)
        if len(ids) <= most:
            return ids, start, ""
        frame = len(encode(tokenizer, before)) + len(encode(tokenizer, behind))
        room = most - frame - 2
        if room < 1:
            raise DataError(f"too long: the prompt alone has {frame} tokens, {self.reader.name} takes {most} in all")
        unscored = max(0, len(ids) - start - room)
        ids = ids[: len(ids) - unscored]
        over = max(0, len(ids) - most)
        middle = (start - over) // 2
        notes = [f"cut: {over} tokens of what was given were not read"] if over else []
        notes += [f"long: its last {unscored} tokens were not scored"] if unscored else []
        return ids[:middle] + ids[middle + over :], start - over, "; ".join(notes)


class BartScore:
    """Scores pairs of texts by the mean log-probability of the second given the first, in nats a token.

    Args:
        likelihoods: a model: `Continues`, or a sequence-to-sequence one.
    """

    def __init__(self, likelihoods: Likelihoods) -> None:
        self.likelihoods = likelihoods

    @property
    def name(self) -> str:
        """With the model's."""
        return f"bartscore ({self.likelihoods.name})"

    def __call__(self, given: Sequence[str], texts: Sequence[str], *, progress: Progress | None = None) -> Scores:
        """Return how likely each text is after what is given; equal pairs are read once.

        A text that the model does not take whole is scored as far as it goes, which is noted.

        Raises:
            DataError: columns of different length.
        """
        if len(given) != len(texts):
            raise DataError(f"{len(given)} texts to start from, {len(texts)} to score")
        pairs = list(zip(given, texts, strict=True))
        distinct = list(dict.fromkeys(pairs))
        told = dict(zip(distinct, self.likelihoods.of(distinct, progress=progress), strict=True))
        values = [float(told[pair].logprobs.mean()) if len(told[pair].logprobs) else 0.0 for pair in pairs]
        notes = [_note(told[pair], *pair) for pair in pairs]
        return Scores(self.name, np.array(values, np.float64), {}, notes)

    def directions(
        self,
        candidates: Sequence[str],
        *,
        sources: Sequence[str] | None = None,
        references: Sequence[str | Sequence[str]] | None = None,
    ) -> Directions:
        """Return every direction that the columns allow; of several references the likeliest counts.

        Raises:
            DataError: neither sources nor references.
        """
        if sources is None and references is None:
            raise DataError("a direction needs sources, or references")
        faithful = None if sources is None else self(sources, candidates)
        if references is None:
            return Directions(faithful)
        several = [(one,) if isinstance(one, str) else tuple(one) for one in references]
        if len(several) != len(candidates) or not all(several):
            raise DataError(f"{len(candidates)} candidates, {len(several)} rows of references, each of one at least")
        flat = [(mine, theirs) for mine, some in zip(candidates, several, strict=True) for theirs in some]
        precision = self([theirs for _, theirs in flat], [mine for mine, _ in flat])
        recall = self([mine for mine, _ in flat], [theirs for _, theirs in flat])
        ends = np.cumsum([0, *map(len, several)])
        return Directions(faithful, _best(precision, ends), _best(recall, ends))


@dataclass(frozen=True)
class Directions:
    """The directions of BARTScore.

    Attributes:
        faithfulness: of the candidate, given the source.
        precision: of the candidate, given the reference.
        recall: of the reference, given the candidate.
    """

    faithfulness: Scores | None = None
    precision: Scores | None = None
    recall: Scores | None = None

    @property
    def f(self) -> Scores | None:
        """The mean of precision and recall."""
        if self.precision is None or self.recall is None:
            return None
        notes = [
            "; ".join(dict.fromkeys(filter(None, both)))
            for both in zip(self.precision.notes, self.recall.notes, strict=True)
        ]
        parts = {"precision": self.precision.values, "recall": self.recall.values}
        return Scores(self.precision.metric, (self.precision.values + self.recall.values) / 2, parts, notes)


def _best(scores: Scores, ends: NDArray[np.int64]) -> Scores:
    places = [int(start + scores.values[start:end].argmax()) for start, end in pairwise(ends)]
    # What is odd about another reference is odd about the row, too.
    notes = ["; ".join(dict.fromkeys(filter(None, scores.notes[start:end]))) for start, end in pairwise(ends)]
    return Scores(scores.metric, scores.values[places], {}, notes)


def _note(told: Told, given: str, text: str) -> str:
    found = [told.note] if told.note else []
    found += [] if text.strip() and len(told.logprobs) else ["the text is empty"]
    return "; ".join(found + ([] if given.strip() else ["what was given is empty"]))
