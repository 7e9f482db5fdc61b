"""A classifier of texts, explained whole: what counts, single texts, whether that is true, what transparency costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.aug import coefficients
from pilotfish.compete.explain.faithful import Faithful
from pilotfish.compete.explain.price import Price, prices
from pilotfish.compete.explain.rivals import is_transparent
from pilotfish.compete.explain.stable import Stability, stability
from pilotfish.compete.explain.text import (
    Attributed,
    Flip,
    Reads,
    Way,
    attributed,
    faithful_words,
    flipped,
    telling_words,
    way_for,
    word_importance,
)
from pilotfish.compete.explain.text.ngrams import is_table
from pilotfish.errors import ConfigError, DataError

__all__ = ["OneText", "TextWhole", "explain_texts"]

_TABLE = 15  # n-grams of each class that are shown


@dataclass(frozen=True, eq=False)
class OneText:
    """A text that is shown: what its words add, the truth where that is known, and what would change it."""

    told: Attributed
    truth: str | None
    flip: Flip


@dataclass(frozen=True, eq=False)
class TextWhole:
    """All that is known of a classifier.

    Attributes:
        name: of the classifier.
        classes: of it.
        way: by which words were explained.
        told: of the texts that were drawn.
        texts: how many there were to draw from.
        importance: word -> mean size of what it adds.
        table: class -> n-grams with their coefficients, those that speak most for it; none where there is no table.
        ngrams: how many the whole table has.
        shown: single texts.
        faithful: whether explanations are, by way: the one that was chosen, and words left out beside it.
        stability: whether they stay when it is taught anew; None where no such classifier was given.
        prices: what transparency costs.
        rivals: name -> how stable a transparent model is.
    """

    name: str
    classes: tuple[str, ...]
    way: Way
    told: tuple[Attributed, ...]
    texts: int
    importance: Mapping[str, float]
    table: Mapping[str, tuple[tuple[str, float], ...]]
    ngrams: int
    shown: tuple[OneText, ...]
    faithful: Mapping[Way, Faithful]
    stability: Stability | None
    prices: tuple[Price, ...]
    rivals: Mapping[str, Stability] = field(default_factory=dict)

    @property
    def residual(self) -> float | None:
        """The largest gap between what words add and what the classifier says; None of ways that do not add up."""
        known = [one.residual for one in self.told if one.residual is not None]
        return max(known) if known else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "way": self.way,
            "texts": self.texts,
            "explained": len(self.told),
            "residual": self.residual,
            "importance": dict(list(self.importance.items())[:200]),
            "table": {label: [list(pair) for pair in own] for label, own in self.table.items()},
            "faithful": {way: one.to_json() for way, one in self.faithful.items()},
            "stability": None if self.stability is None else self.stability.to_json(),
            "prices": [one.to_json() for one in self.prices],
            "rivals": {name: one.to_json() for name, one in self.rivals.items()},
            "shown": [one.told.to_json() | {"truth": one.truth, "flip": one.flip.to_json()} for one in self.shown],
        }


def explain_texts(
    reads: Reads,
    texts: Sequence[str],
    *,
    name: str = "the model",
    truth: Sequence[str] | None = None,
    way: Way | None = None,
    known: Sequence[str] = (),
    again: Sequence[Reads] = (),
    against: Mapping[str, Reads] | None = None,
    best: str | None = None,
    most: int = 100,
    shown: int = 6,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> TextWhole:
    """Explain a classifier of texts.

    Args:
        reads: it.
        texts: that it did not learn from, best.
        name: what it is called.
        truth: the texts' labels, where they are known.
        way: see `attributed`.
        known: other texts, of which words may stand in place of others; none takes them of the texts themselves.
        again: the same classifier taught anew.
        against: other classifiers with the same classes, by name.
        best: the opaque one to compare with, chosen on other rows; None takes the best on these.
        most: texts that are explained, drawn.
        shown: texts that are shown, from the least to the most surely answered.
        seed: of all that is drawn.
        progress: called with the texts that are explained, for each time they are.

    Raises:
        ConfigError: classifiers of other classes.
        DataError: no texts, or labels that are not theirs.
    """
    if not texts or (truth is not None and len(truth) != len(texts)):
        raise DataError("there must be texts to explain, and of each a label or of none")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts))[:most]).tolist()
    some = [texts[i] for i in drawn]
    chosen = way or way_for(reads)
    told = attributed(reads, some, chosen, progress=progress)
    ways: dict[Way, list[Attributed]] = {chosen: told}
    if chosen != "occlusion":
        ways["occlusion"] = attributed(reads, some, "occlusion", progress=progress)
    telling = telling_words(reads, list(known) or list(texts))
    order = np.argsort([one.probability for one in told], kind="stable")
    picked = np.unique(np.linspace(0, len(order) - 1, min(shown, len(order))).round().astype(int))
    single = [
        OneText(told[i], None if truth is None else str(truth[drawn[i]]), _flip(reads, told[i], telling))
        for i in (int(order[place]) for place in picked)
    ]
    table, ngrams = _table(reads)
    return TextWhole(
        name,
        tuple(reads.classes_),
        chosen,
        tuple(told),
        len(texts),
        word_importance(told),
        table,
        ngrams,
        tuple(single),
        {way: faithful_words(reads, one, seed=seed) for way, one in ways.items()},
        _stability(told, some, chosen, again, reads),
        tuple(_prices(name, reads, texts, truth, against or {}, best, seed)),
    )


def _flip(reads: Reads, told: Attributed, telling: Mapping[str, Sequence[str]]) -> Flip:
    words = [word for label, own in telling.items() if label != told.label for word in own]
    return flipped(reads, told.text, words=words[:12])


def _table(reads: Reads) -> tuple[dict[str, tuple[tuple[str, float], ...]], int]:
    if not is_table(reads):
        return {}, 0
    names, numbers = coefficients(reads)
    outputs = (-numbers[:, 0], numbers[:, 0]) if numbers.shape[1] == 1 else numbers.T
    found = {}
    for label, own in zip(reads.classes_, outputs, strict=True):
        order = np.argsort(-own, kind="stable")[:_TABLE].tolist()
        found[label] = tuple((names[i], float(own[i])) for i in order if own[i] > 0)
    return found, len(names)


def _stability(
    told: Sequence[Attributed], texts: Sequence[str], way: Way, again: Sequence[Reads], reads: Reads
) -> Stability | None:
    if not again:
        return None
    for number, other in enumerate(again, 1):
        if list(other.classes_) != list(reads.classes_):
            raise ConfigError(f"classifier {number} taught anew has other classes than the one that is explained")
    labels = [one.label for one in told]
    found = [word_importance(told), *(word_importance(attributed(one, texts, way, labels=labels)) for one in again)]
    words = sorted(set().union(*found))
    return stability([np.array([one.get(word, 0.0) for word in words]) for one in found], k=20)


def _prices(
    name: str,
    reads: Reads,
    texts: Sequence[str],
    truth: Sequence[str] | None,
    against: Mapping[str, Reads],
    best: str | None,
    seed: int,
) -> list[Price]:
    models = {name: reads, **against}
    for title, one in models.items():
        if list(one.classes_) != list(reads.classes_):
            raise ConfigError(f"{title}: it has other classes than {name}")
    if truth is None or len({is_transparent(one) for one in models.values()}) < 2:
        return []
    index = {label: code for code, label in enumerate(reads.classes_)}
    unknown = next((label for label in truth if str(label) not in index), None)
    if unknown is not None:
        raise DataError(f"the label {unknown!r} is none of the classes {', '.join(map(repr, reads.classes_[:12]))}")
    y: NDArray[np.float64] = np.array([index[str(label)] for label in truth], np.float64)
    told = {title: np.asarray(one.predict_proba(list(texts)), np.float64) for title, one in models.items()}
    clear = {title: told[title] for title, one in models.items() if is_transparent(one)}
    opaque = {title: one for title, one in told.items() if title not in clear}
    return prices(clear, opaque, y, "accuracy", best=best, seed=seed)
