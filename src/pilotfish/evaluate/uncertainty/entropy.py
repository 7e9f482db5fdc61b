"""How unsure a model is of an answer: by its tokens, and by what several of its answers mean.

Sources: Malinin and Gales 2021 (Uncertainty Estimation in Autoregressive Structured Prediction), sections 3 and 4
(token and sequence entropy, by draws); Kuhn et al. 2023, eq. 5, and Farquhar et al. 2024, eqs. 2 to 5 (semantic
entropy, of clusters weighed by likelihood or by counts). All in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError
from pilotfish.evaluate.lexical import Rouge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pilotfish.model import TokenLogprob

__all__ = [
    "discrete_semantic_entropy",
    "lexical_similarity",
    "sampled_entropy",
    "semantic_entropy",
    "token_entropy",
]


def token_entropy(tokens: Sequence[TokenLogprob]) -> float:
    """Return the mean entropy of the tokens' distributions, from each token's `top`.

    What `top` leaves of a distribution is one class more, so the number is a bound from below, and exact where `top` is
    the whole vocabulary.

    Raises:
        DataError: no tokens, or one without `top`.
    """
    if not tokens:
        raise DataError("an answer without tokens has no entropy")
    found = []
    for number, token in enumerate(tokens, 1):
        if not token.top:
            raise DataError(f"token {number} has no alternatives; ask with top_logprobs")
        logs = np.array([logprob for _, logprob in token.top], np.float64)
        given = np.exp(logs)
        rest = max(0.0, 1.0 - float(given.sum()))
        found.append(float(-(given * logs).sum() - (rest * np.log(rest) if rest > 1e-12 else 0.0)))
    return float(np.mean(found))


def sampled_entropy(logprobs: ArrayLike, lengths: ArrayLike | None = None) -> float:
    """Return the entropy of a model's answers by draws from it: the mean of -log p.

    Args:
        logprobs: (answers,) of whole answers, drawn at temperature 1 (each as often as it came).
        lengths: (answers,) of their tokens: each log p is divided by it, so that long answers are not unsure by their
            length alone; None for the entropy itself.
    """
    logs = _column(logprobs)
    return float(-(logs if lengths is None else logs / _column(lengths)).mean())


def semantic_entropy(clusters: Sequence[int], logprobs: ArrayLike, *, answers: Sequence[str] | None = None) -> float:
    """Return the entropy over meanings, each as likely as its answers together: -sum p(c) log p(c).

    p(c) is the sum of its answers' likelihoods over that of all (Farquhar et al. 2024, eq. 5): answers that were not
    drawn count nothing. With likelihoods divided by length in `logprobs` it is their program's default.

    Args:
        clusters: of each answer.
        logprobs: (answers,) of whole answers.
        answers: the texts: an answer that was drawn twice then counts its likelihood once, as a sum over answers has
            it; None counts every draw.
    """
    logs = _column(logprobs)
    if len(clusters) != len(logs):
        raise DataError(f"{len(clusters)} clusters of {len(logs)} answers")
    kept = list(range(len(logs)))
    if answers is not None:
        kept = sorted({text: place for place, text in reversed(list(enumerate(answers)))}.values())
    weights = np.exp(logs[kept] - logs[kept].max())
    return _entropy(np.bincount(np.asarray(clusters)[kept], weights=weights).astype(np.float64))


def discrete_semantic_entropy(clusters: Sequence[int]) -> float:
    """Return the entropy over meanings, each as likely as it was drawn: for models that tell no likelihoods.

    Source: Farquhar et al. 2024, Methods, discrete variant.
    """
    if not len(clusters):
        raise DataError("no answers")
    return _entropy(np.bincount(np.asarray(clusters)).astype(np.float64))


def lexical_similarity(answers: Sequence[str]) -> float:
    """Return the mean ROUGE-L of pairs of answers; a model that is sure says the same again (Lin et al. 2022).

    Raises:
        DataError: fewer than two answers.
        MissingExtra: rouge-score is not installed.
    """
    if len(answers) < 2:
        raise DataError("two answers are needed to compare")
    pairs = list(combinations([answer.strip() for answer in answers], 2))
    found = Rouge("rougeL")([one for one, _ in pairs], [other for _, other in pairs])
    # Two that say nothing say the same.
    same = np.array([one == other for one, other in pairs])
    return float(np.where(same, 1.0, found.values).mean())


def _entropy(weights: NDArray[np.float64]) -> float:
    shares = weights[weights > 0] / weights.sum()
    return float(max(0.0, -(shares * np.log(shares)).sum()))


def _column(values: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise DataError("one finite number an answer is needed, and one answer at least")
    return found
