"""A panel of judges: several small ones in place of a large one, their votes weighed by a label model.

Sources: Verga et al. 2024 (Replacing Judges with Juries), section 2.2: scores are averaged, verdicts go by the most
votes; Dawid and Skene 1979, and the other label models of `measure.label_models`, for judges of unequal worth.

A judge without a verdict on a row abstains there; a row is missing only where all do. People's labels of some rows may
teach a label model how good the judges are; such a row's own label then has no part in its verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.judge.results import Compared, Judged, Told
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.folds import folds
from pilotfish.measure.label_models import KINDS, LabelModel, kind_of
from pilotfish.measure.votes import Votes
from pilotfish.rows.asking import Bill

__all__ = ["MEAN", "VERDICTS", "panel_scores", "panel_verdicts", "probabilities"]

MEAN = "mean"
# The classes that verdicts on pairs are voted for.
VERDICTS = {"a": 1, "tie": 0, "b": -1}
NOBODY = "no judge has a verdict"
Floats = NDArray[np.float64]


def panel_scores(
    judged: Mapping[str, Judged],
    label_model: str | LabelModel = MEAN,
    *,
    gold: Sequence[int | None] | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Judged:
    """Return the panel's scores of rows that several judges scored by one rubric.

    Args:
        judged: name -> what a judge told.
        label_model: "mean": of the judges' scores; or a label model, or its name: each criterion's number on the scale
            is a class, and the score is the one expected under the classes' probabilities.
        gold: people's scores of some rows, numbers of the scale, for a label model of one criterion; None elsewhere.
        groups: (rows,) which rows stay together where gold rows teach; each its own group by default.
        seed: of the folds.

    Raises:
        ConfigError: no such label model, or gold with the mean or with several criteria.
        DataError: judges of other rows or another scale, or votes that the label model can learn nothing from.
    """
    rows = _rows(judged)
    first = next(iter(judged.values()))
    if not all(one.shares for one in judged.values()):
        raise ConfigError("a reward has a scale of its own: a panel of scores is of judges by one rubric")
    for name, one in judged.items():
        if one.scale != first.scale or list(one.shares) != list(first.shares):
            raise DataError(f"judge {name!r} has another rubric than the first one")
    scale = np.array(first.scale, np.float64)
    # (rows, judges, numbers) of each criterion; NaN where a judge has no verdict.
    votes = {name: _laid(judged, name, rows, len(scale)) for name in first.shares}
    heard = np.asarray(~np.isnan(next(iter(votes.values()))[:, :, 0]).all(axis=1), np.bool_)
    places = np.flatnonzero(heard)
    if label_model == MEAN:
        if gold is not None:
            raise ConfigError("a mean learns nothing from people's labels: leave them out, or name a label model")
        shares = {name: np.nanmean(some[heard], axis=1) for name, some in votes.items()}
    else:
        if gold is not None and len(votes) > 1:
            raise ConfigError("people's labels are of one criterion: judge one at a time")
        shares = {}
        for name, some in votes.items():
            given = Votes.from_soft(some, classes=first.scale, sources=list(judged))
            shares[name] = probabilities(given, label_model, gold=gold, groups=groups, seed=seed)[heard]
    columns = {name: some @ scale for name, some in shares.items()}
    about = f"panel of {len(judged)} ({word_of(label_model)}): {', '.join(one.name for one in judged.values())}"
    values = np.mean(list(columns.values()), axis=0)
    scores = Scores(about, values, columns if len(columns) > 1 else {}, _notes(votes, heard))
    return Judged(rows, places, scores, shares, first.scale, **_told(judged, places))


def panel_verdicts(
    compared: Mapping[str, Compared],
    label_model: str | LabelModel = "majority",
    *,
    gold: Sequence[int | None] | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Compared:
    """Return the panel's verdicts on pairs that several judges compared.

    A row whose classes share the lead is a tie; the preference is P(a) + P(tie) / 2.

    Args:
        compared: name -> what a judge told.
        label_model: a label model, or its name.
        gold: people's verdicts on some rows, 1, 0 or -1; None elsewhere.
        groups: as for `panel_scores`.
        seed: of the folds.

    Raises:
        ConfigError: no such label model.
        DataError: judges of other rows, or votes that the label model can learn nothing from.
    """
    rows = _rows(compared)
    words = {value: word for word, value in VERDICTS.items()}
    table = [[None if value is None else words[value] for value in one.column] for one in compared.values()]
    votes = Votes.from_table(list(zip(*table, strict=True)), classes=list(VERDICTS), sources=list(compared))
    known = None if gold is None else [None if one is None else words[int(one)] for one in gold]
    shares = probabilities(votes, label_model, gold=known, groups=groups, seed=seed)
    places = np.flatnonzero(votes.voted)
    shares = shares[places]
    lead = shares >= shares.max(axis=1, keepdims=True) - 1e-9
    verdicts = np.where(lead.sum(axis=1) > 1, 0, np.array(list(VERDICTS.values()))[shares.argmax(axis=1)])
    longer = np.zeros(rows, np.int64)
    for one in compared.values():
        longer[one.places] = one.longer
    about = f"panel of {len(compared)} ({word_of(label_model)}): {', '.join(one.name for one in compared.values())}"
    preferences = shares @ np.array([1.0, 0.5, 0.0])
    told = _told(compared, places)
    return Compared(rows, places, about, verdicts.astype(np.int64), preferences, longer[places], **told)


def probabilities(
    votes: Votes,
    label_model: str | LabelModel,
    *,
    gold: Sequence[Any] | None = None,
    groups: ArrayLike | None = None,
    count: int = 5,
    seed: int = 0,
) -> Floats:
    """Return (rows, classes), NaN for a row without votes; no row's own gold label has a part in its probabilities.

    Without gold the label model learns from the votes of all rows. With it, it learns once with all gold labels, for
    the rows that have none; and once a fold with those of the other folds, for the rows of this one.

    Args:
        votes: of the judges.
        label_model: a label model, or its name; one that is given is fitted, at last on all.
        gold: one label a row, None where it is not known.
        groups: (rows,) which rows stay in one fold; each its own by default.
        count: of folds; fewer where there are fewer groups.
        seed: of the folds.

    Raises:
        ConfigError: no such label model, or one that needs more gold.
        DataError: gold that does not fit.
    """
    model = kind_of(label_model)() if isinstance(label_model, str) else label_model
    known = votes.truth(gold) >= 0
    if gold is None or not known.any():
        return model.fit(votes).predict_proba(votes)
    labelled = np.flatnonzero(known)
    group = np.arange(votes.rows) if groups is None else np.asarray(groups)
    if len(group) != votes.rows:
        raise DataError(f"{len(group)} groups for {votes.rows} rows")
    found = np.full((votes.rows, len(votes.classes)), np.nan)
    some = min(count, len(np.unique(group[labelled])))
    if some < 2:
        raise DataError("people's labels of two groups of rows are needed, so that no row is judged by its own")
    for _, held in folds(group[labelled], some, seed):
        out = np.isin(group, group[labelled][held])
        taught = [None if out[row] else gold[row] for row in range(votes.rows)]
        found[out] = model.fit(votes, taught).predict_proba(votes)[out]
    rest = ~np.isin(group, group[labelled])
    found[rest] = model.fit(votes, gold).predict_proba(votes)[rest]
    return found


def word_of(label_model: str | LabelModel) -> str:
    """Return what a label model is called.

    Raises:
        ConfigError: there is none of that name.
    """
    if label_model != MEAN and isinstance(label_model, str) and label_model not in KINDS:
        kind_of(label_model)
    return label_model if isinstance(label_model, str) else label_model.kind


def _laid(judged: Mapping[str, Judged], criterion: str, rows: int, numbers: int) -> Floats:
    found = np.full((rows, len(judged), numbers), np.nan)
    for at, one in enumerate(judged.values()):
        found[one.places, at] = one.shares[criterion]
    return found


def _notes(votes: Mapping[str, Floats], heard: NDArray[np.bool_]) -> list[str]:
    silent = np.isnan(next(iter(votes.values()))[heard][:, :, 0]).sum(axis=1)
    return [f"judges without a verdict: {count}" if count else "" for count in silent.tolist()]


def _rows(told: Mapping[str, Told]) -> int:
    if not told:
        raise ConfigError("a panel needs a judge")
    counts = {one.rows for one in told.values()}
    if len(counts) > 1:
        raise DataError(f"the judges of a panel judge the same rows, not {' and '.join(map(str, sorted(counts)))}")
    return counts.pop()


def _told(told: Mapping[str, Told], places: NDArray[np.int64]) -> dict[str, Any]:
    rows = next(iter(told.values())).rows
    without = sorted(set(range(rows)) - set(places.tolist()))
    later = frozenset(row for row in without if any(row in one.later for one in told.values()))
    return {
        "why": dict.fromkeys(without, NOBODY),
        "later": later,
        "bill": sum((one.bill for one in told.values()), Bill()),
    }
