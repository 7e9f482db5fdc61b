"""Self-BLEU: how much each text is like the others of its set (Zhu et al. 2018, Texygen, section 3.2)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure._bootstrap import bootstrap
from pilotfish.measure._interval import Interval
from pilotfish.measure.repetition import words

__all__ = ["bleu_of_each", "self_bleu"]

_Gram = tuple[str, ...]


def self_bleu(texts: Sequence[str], *, order: int = 4, sample: int = 1000, seed: int = 0) -> Interval:
    """Return the mean BLEU of each text against all others: near 1 for copies, near 0 for texts with nothing shared.

    It grows with the number of texts; compare sets of one size, or samples of one size.

    Args:
        texts: at least two; words stand between white space.
        order: the longest n-grams.
        sample: of more texts than this, so many are drawn, and compared with one another.
        seed: of the draw and the interval.

    Returns:
        The mean and its bootstrap interval over the texts that are scored, what they are compared with held fixed.

    Raises:
        DataError: fewer than two texts.
    """
    if len(texts) < 2 or sample < 2:
        raise DataError(f"Self-BLEU compares at least two texts; got {min(len(texts), sample)}")
    if len(texts) > sample:
        chosen = np.sort(np.random.default_rng(seed).choice(len(texts), sample, replace=False))
        texts = [texts[place] for place in chosen]
    return bootstrap(bleu_of_each([words(text) for text in texts], order), seed=seed, resamples=2000)


def bleu_of_each(texts: Sequence[Sequence[str]], order: int = 4) -> list[float]:
    """Return each text's sentence BLEU with all others as references, from 0 to 1.

    As sacrebleu's `sentence_bleu` gives it (exponential smoothing, effective order, the closest reference's length),
    but in time that grows with the n-grams and not with the square of the texts: of the references' counts BLEU wants
    the greatest, which for each n-gram is the set's greatest or, for the text that has that one, the second.
    """
    counts = [[Counter(_grams(text, n)) for n in range(1, order + 1)] for text in texts]
    most: dict[_Gram, tuple[int, int, int]] = {}  # n-gram -> greatest count, whose it is, second greatest
    for place, of_orders in enumerate(counts):
        for of_order in of_orders:
            for gram, count in of_order.items():
                first, owner, second = most.get(gram, (0, -1, 0))
                if count > first:
                    most[gram] = (count, place, first)
                elif count > second:
                    most[gram] = (first, owner, count)
    lengths = sorted(len(text) for text in texts)
    out = []
    for place, (text, of_orders) in enumerate(zip(texts, counts, strict=True)):
        hits = []
        for of_order in of_orders:
            hit = 0
            for gram, count in of_order.items():
                first, owner, second = most[gram]
                hit += min(count, second if owner == place else first)
            hits.append(hit)
        out.append(_bleu(hits, len(text), _closest(lengths, len(text))))
    return out


def _bleu(hits: Sequence[int], length: int, reference: int) -> float:
    if not any(hits):
        return 0.0
    logs, smooth = [], 1.0
    for n, hit in enumerate(hits, 1):
        total = length - n + 1
        if total <= 0:
            break
        if not hit:  # the k-th precision of zero counts as half of the one before
            smooth *= 2
        logs.append(math.log((hit or 1 / smooth) / total))
    brevity = 1.0 if length >= reference else math.exp(1 - reference / length)
    return brevity * math.exp(sum(logs) / len(logs))


def _closest(lengths: Sequence[int], length: int) -> int:
    """Return the length nearest to this one among all but itself; the shorter of two as near."""
    place = bisect_left(lengths, length)
    near = [lengths[other] for other in (place - 1, place + 1) if 0 <= other < len(lengths)]
    return min(near, key=lambda other: (abs(other - length), other))


def _grams(text: Sequence[str], n: int) -> list[_Gram]:
    return [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
