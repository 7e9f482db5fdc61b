"""Tables of n-grams, exactly: what each n-gram of a text adds, shared out to its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeGuard

import numpy as np

from pilotfish.compete.explain.text._said import said_of
from pilotfish.compete.explain.text.attributed import Attributed
from pilotfish.compete.explain.text.reads import Reads, contrast
from pilotfish.compete.explain.text.words import Span, joined, units
from pilotfish.models.classify import NgramFeatures, TextClassifier, TfidfFeatures
from pilotfish.models.classify.ngrams import tokens_of

__all__ = ["by_ngrams", "is_table"]


def is_table(reads: Reads) -> TypeGuard[TextClassifier]:
    """Say whether a classifier is a linear head over n-grams."""
    return isinstance(reads, TextClassifier) and isinstance(reads.features, NgramFeatures | TfidfFeatures)


def by_ngrams(
    classifier: TextClassifier,
    texts: Sequence[str],
    labels: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Attributed]:
    """Return what words add: an n-gram's coefficient times its weight in the text, its words having equal parts.

    Args:
        classifier: a linear head over n-grams.
        texts: to explain.
        labels: what is explained of each; None is what the classifier says.
        progress: called with the texts that are done.
    """
    features, head = classifier.features, classifier.head
    assert isinstance(features, NgramFeatures | TfidfFeatures), "see is_table"
    known = features.vocabulary_ if isinstance(features, NgramFeatures) else features.vectorizer_.vocabulary_
    names = sorted(known, key=known.__getitem__)
    coef = head.coef_.astype(np.float64) / head.temperature_
    intercept = head.intercept_.astype(np.float64) / head.temperature_
    said, probabilities, values, _ = said_of(classifier, texts, labels)
    weights = features.transform(texts)
    found = []
    for row, text in enumerate(texts):
        by = contrast(len(coef), said[row])
        own = weights[row].tocoo()
        adds = own.data * (coef[:, own.col].T @ by)
        spans, shares = _placed(text, features.ngrams, [names[i] for i in own.col], adds)
        places = units(text)
        counted, rest = joined(spans, shares, places)
        base = float(intercept @ by)
        order = np.argsort(-np.abs(adds), kind="stable").tolist()
        found.append(
            Attributed(
                text,
                classifier.classes_[said[row]],
                float(probabilities[row]),
                tuple(places),
                counted,
                base,
                rest,
                float(values[row]),
                "exact",
                abs(base + float(counted.sum()) + rest - float(values[row])),
                tuple((names[int(own.col[i])], float(adds[i])) for i in order),
            )
        )
        if progress:
            progress(1)
    return found


def _placed(
    text: str, ngrams: tuple[int, int], names: Sequence[str], adds: Sequence[float]
) -> tuple[list[Span], list[float]]:
    """Return words' places with what n-grams add there; one that is not found, as of odd letters, has no place."""
    words = tokens_of(text)
    where: dict[str, list[int]] = defaultdict(list)
    for size in range(ngrams[0], ngrams[1] + 1):
        for at in range(len(words) - size + 1):
            where[" ".join(word for word, _ in words[at : at + size])].append(at)
    spans: list[Span] = []
    shares: list[float] = []
    for name, add in zip(names, adds, strict=True):
        size, starts = len(name.split(" ")), where.get(name, [])
        if not starts:
            spans.append((0, 0))
            shares.append(add)
        for at in starts:
            for _, span in words[at : at + size]:
                spans.append(span)
                shares.append(add / (len(starts) * size))
    return spans, shares
