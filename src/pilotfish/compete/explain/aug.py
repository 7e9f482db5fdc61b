"""Aug-Linear: a language model at training time only; what is left is a table of n-gram -> coefficient.

Source: Singh et al. 2023 (Augmenting interpretable models with large language models during training), section
"Aug-Linear": a linear model over the sum of a text's n-grams' embeddings is a sum of one number an n-gram, so the
embeddings are needed no more once these numbers are known. An n-gram that is not in the table counts nothing; `also`
takes in texts without labels, so that fewer are missing. Here vectors are taken less their mean, so that one that is
missing counts as the mean one does; with the paper's own sums a text of many missing ones lies far from all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify import EncoderFeatures, Features, NgramFeatures, SoftmaxHead, TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.rows.split import split

__all__ = ["Aug", "aug_linear", "coefficients", "embedded", "ngram_linear"]

Floats = NDArray[np.float64]
Reads = Encoder | LocalModel | Reader | Features
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_KEPT = 0.2


@dataclass(frozen=True, eq=False)
class Aug:
    """A table of n-grams that was taught.

    Attributes:
        classifier: it needs no language model.
        c: the inverse of the penalty's strength, chosen on rows that were kept back.
        loss: log-loss in nats of the rows kept back.
        ngrams: in the table.
    """

    classifier: TextClassifier
    c: float
    loss: float
    ngrams: int


def embedded(by: Reads, names: Sequence[str], progress: Callable[[int], None] | None = None) -> Floats:
    """Return the vector of each n-gram, read by itself: (n-grams, width).

    An encoder gives its sentence vector, a language model the mean of its last states, of length one.
    """
    features = EncoderFeatures(by) if isinstance(by, Encoder | LocalModel | Reader) else by
    return np.asarray(features.transform(names, progress=progress), np.float64)


def aug_linear(
    texts: Sequence[str],
    labels: Sequence[str],
    by: Reads,
    *,
    ngrams: tuple[int, int] = (1, 2),
    most: int = 20_000,
    also: Sequence[str] = (),
    cs: Sequence[float] = PENALTIES,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Aug:
    """Teach a linear model over sums of n-grams' vectors, and keep one number an n-gram and class.

    Args:
        texts: to learn from.
        labels: theirs.
        by: what reads the n-grams, or dense features, such as `Remembered` ones, that are fitted.
        ngrams: the fewest and the most words of one.
        most: n-grams in the table, the commonest.
        also: texts without labels whose n-grams are in the table too.
        cs: inverses of penalties to choose from, by a fifth of the rows.
        seed: of those rows.
        progress: called with the n-grams that are read.

    Raises:
        DataError: fewer than two classes, or no words.
    """
    features = NgramFeatures(ngrams, most=most).fit([*texts, *also])
    vectors = embedded(by, list(features.vocabulary_), progress)
    counts = features.transform(texts)
    often = np.asarray(counts.sum(axis=0)).ravel()
    vectors -= often @ vectors / max(float(often.sum()), 1.0)
    x = np.asarray(counts @ vectors)
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    free = np.asarray(features.transform(also).sum(axis=0)).ravel() > 0

    def unseen(learn: NDArray[np.int64], kept: NDArray[np.int64]) -> Floats:
        """Return rows kept back as new texts will be: without the n-grams that they alone have."""
        there = (np.asarray(counts[learn].sum(axis=0)).ravel() > 0) | free
        return np.asarray((counts[kept] @ (vectors * there[:, None]) - mean) / spread)

    head, c, loss = _chosen((x - mean) / spread, labels, cs, seed, unseen)
    # The head over standardised sums is a head over the sums, and that one over the counts.
    over_sums = head.coef_.astype(np.float64) / spread
    return _told(features, head, over_sums @ vectors.T, head.intercept_ - over_sums @ mean, c, loss)


def ngram_linear(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    vocabulary: Sequence[str] | None = None,
    groups: Floats | None = None,
    ngrams: tuple[int, int] = (1, 2),
    most: int = 20_000,
    least: int = 2,
    cs: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> Aug:
    """Teach a linear model over counts of n-grams, without any language model, or over n-grams that one has named.

    Args:
        texts: to learn from.
        labels: theirs.
        vocabulary: the n-grams; None takes those of the texts.
        groups: (n-grams, groups) which n-grams belong together, as those that were named for one class: each group has
            a coefficient of its own, which all of its n-grams get beside theirs; so one that is rare counts as well.
        ngrams: the fewest and the most words of one.
        most: n-grams that are learnt, the commonest.
        least: in how many texts one must stand.
        cs: inverses of penalties to choose from, by a fifth of the rows.
        seed: of those rows.

    Raises:
        ConfigError: groups that are not of the vocabulary.
        DataError: fewer than two classes, or no words.
    """
    if groups is not None and (vocabulary is None or len(groups) != len(vocabulary)):
        raise ConfigError("groups say of each n-gram of a vocabulary which it belongs to")
    features = NgramFeatures(ngrams, vocabulary, most=most, least=least).fit(texts)
    counts = features.transform(texts)
    if groups is None:
        head, c, loss = _chosen(counts, labels, cs, seed)
        return _told(features, head, head.coef_.astype(np.float64), head.intercept_, c, loss)
    from pilotfish._extras import need

    beside = need("scipy.sparse", "train").csr_matrix(counts @ groups)
    x = need("scipy.sparse", "train").hstack([counts, beside], format="csr")
    head, c, loss = _chosen(x, labels, cs, seed)
    own, shared = np.split(head.coef_.astype(np.float64), [len(features.vocabulary_)], axis=1)
    return _told(features, head, own + shared @ groups.T, head.intercept_, c, loss)


def coefficients(classifier: TextClassifier) -> tuple[list[str], Floats]:
    """Return the table of a linear classifier over n-grams: their names, and (n-grams, outputs).

    Of two classes the one output is the log-odds of the second; of more there is one a class, against the mean of the
    others. Of TF-IDF the number stands for an n-gram of weight 1.

    Raises:
        ConfigError: a classifier over other features.
    """
    from pilotfish.models.classify import TfidfFeatures

    features = classifier.features
    if isinstance(features, NgramFeatures):
        names = features.vocabulary_
    elif isinstance(features, TfidfFeatures):
        names = features.vectorizer_.vocabulary_
    else:
        raise ConfigError(f"features of the kind {features.kind!r} are no table of n-grams")
    head = classifier.head
    own = head.coef_.astype(np.float64) / head.temperature_
    classes = len(own)
    table = own - (own.sum(axis=0) - own) / (classes - 1)
    return sorted(names, key=names.__getitem__), np.asarray((table[1:] if classes == 2 else table).T)


def _chosen(
    x: Any,
    labels: Sequence[str],
    cs: Sequence[float],
    seed: int,
    held: Callable[[NDArray[np.int64], NDArray[np.int64]], Any] | None = None,
) -> tuple[SoftmaxHead, float, float]:
    """Return a head fitted on all rows, with the penalty and temperature that suit rows kept back.

    What `held` makes of (rows that are learnt from, rows kept back) is looked at instead of the latter as they are.
    """
    y = [str(label) for label in labels]
    if len(set(y)) < 2 or len(y) < 5:
        raise DataError("a table of n-grams needs two classes and five rows or more")
    parts = split(len(y), {"train": 1 - _KEPT, "kept": _KEPT}, seed, stratify=y)
    learn, kept = parts["train"], parts["kept"]
    aside = x[kept] if held is None else held(learn, kept)
    best: tuple[float, float, float] | None = None
    for c in cs:
        head = SoftmaxHead(c).fit(x[learn], [y[i] for i in learn])
        head.calibrate(aside, [y[i] for i in kept])
        told = head.predict_proba(aside)
        index = {label: i for i, label in enumerate(head.classes_)}
        right = [told[row, index[y[i]]] for row, i in enumerate(kept) if y[i] in index]
        loss = float(-np.mean(np.log(np.maximum(right, 1e-12)))) if right else float("inf")
        if best is None or loss < best[0]:
            best = (loss, c, head.temperature_)
    assert best is not None, "there is a penalty to choose"
    head = SoftmaxHead(best[1]).fit(x, y)
    head.temperature_ = best[2]
    return head, best[1], best[0]


def _told(features: NgramFeatures, head: SoftmaxHead, table: Floats, intercept: Any, c: float, loss: float) -> Aug:
    found = SoftmaxHead(head.c)
    found.classes_, found.temperature_ = head.classes_, head.temperature_
    found.coef_ = np.ascontiguousarray(table, np.float32)
    found.intercept_ = np.ascontiguousarray(intercept, np.float32)
    return Aug(TextClassifier(features, found), c, loss, len(features.vocabulary_))
