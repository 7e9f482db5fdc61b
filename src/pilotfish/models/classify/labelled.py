"""A teacher's labels of texts, with its probabilities where it gives them; stored as they come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.model import Model, Request
from pilotfish.models.classify.labeller import Labeller, Labels
from pilotfish.rows._row import Rows
from pilotfish.rows.asking import Bill, asked
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["TeacherLabels", "labelled"]


@dataclass(frozen=True)
class TeacherLabels:
    """What a teacher says of texts.

    Attributes:
        classes: the labels.
        probabilities: (texts, classes), rows that sum to 1; NaN where the teacher gave no label.
        bill: what it took.
        missing: kind of reason -> texts without a label.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    bill: Bill = field(default_factory=Bill)
    missing: Counter[str] = field(default_factory=Counter)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(texts,): whether the teacher gave a label."""
        return np.asarray(~np.isnan(self.probabilities).any(axis=1))

    @property
    def labels(self) -> list[str | None]:
        """The likeliest label of each text, None where there is none."""
        return [
            self.classes[int(row.argmax())] if there else None
            for row, there in zip(self.probabilities, self.known, strict=True)
        ]

    @classmethod
    def of(cls, labels: Labels, classes: Sequence[str]) -> TeacherLabels:
        """Return what a `Labeller` with these labels, in their order, said."""
        if labels.logprobs is None:
            return cls.hard(labels.labels, classes)
        return cls(tuple(classes), np.exp(labels.logprobs))

    @classmethod
    def hard(cls, labels: Sequence[str | None], classes: Sequence[str] | None = None) -> TeacherLabels:
        """Return labels without probabilities: all of it on the one label.

        Raises:
            DataError: a label is none of the classes.
        """
        known = tuple(classes) if classes is not None else tuple(sorted({one for one in labels if one is not None}))
        found = np.full((len(labels), len(known)), np.nan)
        index = {name: i for i, name in enumerate(known)}
        for row, label in enumerate(labels):
            if label is None:
                continue
            if label not in index:
                raise DataError(f"the teacher's label {label!r} is none of the {len(known)} classes")
            found[row] = 0.0
            found[row, index[label]] = 1.0
        return cls(known, found)


class _Labelling(Stage):
    """Labels batches of texts by the probabilities of a model whose weights are here."""

    batch_size = 128  # what all its prompts begin with is computed once a batch

    def __init__(self, labeller: Labeller) -> None:
        self.labeller = labeller

    def config(self) -> dict[str, Any]:
        """Return what decides the labels, the numbers of the labeller's correction too."""
        prior = self.labeller.prior_
        return {**super().config(), "prior": None if prior is None else prior.tolist()}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each text's probabilities."""
        found = self.labeller.predict([row["text"] for row in rows])
        assert found.logprobs is not None
        return [
            {"number": row["number"], "p": np.exp(logs).tolist(), "tokens": trace.usage.tokens_in}
            for row, logs, trace in zip(rows, found.logprobs, found.traces, strict=True)
        ]


def labelled(
    texts: Sequence[str],
    teacher: Model,
    classes: Sequence[str],
    out: str | Path,
    *,
    concurrency: int | None = None,
    progress: bool = True,
) -> TeacherLabels:
    """Ask a teacher for the label of every text, going on where an earlier run in the folder stopped.

    Args:
        texts: what to label.
        teacher: a `Labeller` (any model in it), a `ClassifierModel`, or any model that answers with a label.
        classes: the labels; another answer is no label.
        out: the folder of what it said.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.

    Raises:
        ConfigError: the folder holds another run's answers.
        UpstreamError: the endpoint fails for text after text; what was answered stays.
    """
    names = tuple(classes)
    if isinstance(teacher, Labeller) and teacher.white_box:
        # By batches: a model whose weights are here labels many texts in one pass, and no call is paid.
        rows = [{"number": i, "text": text} for i, text in enumerate(texts)]
        run(rows, _Labelling(teacher), out, progress=progress)
        at = [list(teacher.labels).index(name) for name in names]
        soft = np.full((len(texts), len(names)), np.nan)
        tokens = 0
        for row in read_output(out):
            soft[row["number"]] = np.array(row["p"])[at]
            tokens += row["tokens"]
        soft /= soft.sum(axis=1, keepdims=True)
        return TeacherLabels(names, soft, Bill(len(texts), tokens))
    questions = [(Request.of(text), 0) for text in texts]
    told = asked(teacher, questions, out, concurrency=concurrency, progress=progress)
    found = np.full((len(texts), len(names)), np.nan)
    missing = Counter(told.unanswered)
    for number, said in enumerate(told.said):
        if said is None:
            continue
        if said.text not in names:
            missing[said.fault or "none of the labels"] += 1
            continue
        # A teacher that tells every label's probability is soft; one that tells a few, or none, is taken at its word.
        whole = all(name in said.top for name in names)
        shares = [math.exp(said.top[name]) if whole else float(name == said.text) for name in names]
        values = np.array(shares, dtype=np.float64)
        found[number] = values / values.sum()
    return TeacherLabels(names, found, told.bill, missing)
