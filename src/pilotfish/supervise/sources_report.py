"""What the sources are worth: coverage, overlap, conflict, estimated against true accuracy; and what the model is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, wilson
from pilotfish.measure.label_models._ties import leaders
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.metrics import brier, ece
from pilotfish.measure.votes import Gold, Votes
from pilotfish.supervise._sources_lines import ModelLine, SourceLine, SourcesReport

__all__ = ["ModelLine", "SourceLine", "SourcesReport", "sources_report"]

Floats = NDArray[np.float64]


def sources_report(
    votes: Votes, gold: Gold | None = None, model: LabelModel | None = None, proba: Floats | None = None
) -> SourcesReport:
    """Return what the sources are worth.

    Args:
        votes: what they said.
        gold: true labels of some rows, as for `LabelModel.fit`; not those that the model was given, or its accuracy on
            them says nothing.
        model: fitted; None leaves out estimates.
        proba: (rows, classes) the model's probabilities, where it needs more than votes for them (co-supervision).

    Raises:
        DataError: no votes; votes with other sources or classes than the model's; or gold that does not fit them.
    """
    if not len(votes):
        raise DataError("there are no votes to report on")
    truth = votes.truth(gold)
    row, source, label = votes.tops
    k, s, known = len(votes.classes), len(votes.sources), truth >= 0
    decided = label >= 0
    said = np.bincount(row[decided] * k + label[decided], minlength=votes.rows * k).reshape(votes.rows, k)
    each = np.bincount(row, minlength=votes.rows)
    against = decided & (said.sum(axis=1)[row] > said[row, np.maximum(label, 0)])
    given = np.maximum(np.bincount(source, minlength=s), 1)
    overlap = np.bincount(source, each[row] > 1, s) / given
    conflict = np.bincount(source, against, s) / given
    truly = np.zeros((votes.rows, k))
    truly[known, truth[known]] = 1.0
    counts = np.asarray(votes.table.T @ truly).reshape(s, k, k).transpose(0, 2, 1)
    estimated = _estimated(votes, model)
    lines = []
    for at, name in enumerate(votes.sources):
        mine = source == at
        lines.append(
            SourceLine(
                name,
                int(mine.sum()),
                float(mine.sum() / votes.rows),
                float(overlap[at]),
                float(conflict[at]),
                tuple(votes.classes[one] for one in np.unique(votes.label[votes.source == at]).tolist()),
                estimated.get(name),
                _accuracy(votes, truth, at),
                counts[at],
            )
        )
    return SourcesReport(
        votes.classes,
        votes.rows,
        len(votes),
        int(known.sum()),
        float(votes.voted.mean()),
        float((each > 1).mean()),
        float(((said > 0).sum(axis=1) > 1).mean()),
        tuple(lines),
        _model_line(votes, truth, model, proba),
    )


def _estimated(votes: Votes, model: LabelModel | None) -> dict[str, float]:
    found = getattr(model, "accuracy_", None)
    if model is None or found is None:
        return {}
    votes.seen_by(model.sources_, model.classes_)
    return dict(zip(model.sources_, np.asarray(found).tolist(), strict=True))


def _accuracy(votes: Votes, truth: NDArray[np.int64], source: int) -> Interval | None:
    """Return the mean share that a source's votes on gold rows give the true class."""
    mine = (votes.source == source) & (truth[votes.row] >= 0)
    rows, place = np.unique(votes.row[mine], return_inverse=True)
    if not len(rows):
        return None
    hit = votes.label[mine] == truth[votes.row[mine]]
    right = np.bincount(place, votes.share[mine] * hit, len(rows))
    if np.isin(right, (0.0, 1.0)).all():
        return wilson(float(right.sum()), len(rows))
    return bootstrap(right, resamples=2000)


def _model_line(
    votes: Votes, truth: NDArray[np.int64], model: LabelModel | None, proba: Floats | None
) -> ModelLine | None:
    known = truth >= 0
    if model is None or not (known & votes.voted).any():
        return None
    found = model.predict_proba(votes) if proba is None else np.asarray(proba, np.float64)
    if found.shape != (votes.rows, len(votes.classes)):
        raise DataError(f"probabilities are (rows, classes), {votes.rows} rows; got shape {found.shape}")
    heard = known & votes.voted
    place = {one: at for at, one in enumerate(model.classes_)}
    own, true = found[heard], np.array([place[one] for one in votes.classes], np.int64)[truth[heard]]
    counts = votes.counts[heard]
    return ModelLine(
        model.kind,
        float(heard.sum() / known.sum()),
        _right(own, true),
        _right(counts / counts.sum(axis=1, keepdims=True), truth[heard]),
        int((leaders(own).sum(axis=1) > 1).sum()),
        ece(own, true),
        brier(own, true),
    )


def _right(proba: Floats, truth: NDArray[np.int64]) -> Interval:
    lead = leaders(proba)
    right = lead[np.arange(len(truth)), truth] / lead.sum(axis=1)
    if np.isin(right, (0.0, 1.0)).all():
        return wilson(float(right.sum()), len(right))
    return bootstrap(right, resamples=2000)
