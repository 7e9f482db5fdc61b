"""What may be a reward, and how the question reaches it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Prompt
    from pilotfish.decode.reward import Reward

__all__ = ["Asked", "reward_of"]


class Asked(list[Sequence[int]]):
    """A prompt that remembers the question it was made from: token ids cannot be turned back into the user's turn."""

    def __init__(self, prompt: Prompt, question: str) -> None:
        super().__init__(prompt)
        self.question = question


def reward_of(reward: Any, label: str | None, where: str) -> Reward:
    """Return a callable (prompt, answers) -> numbers from one, or from a classifier and one of its labels.

    A classifier judges the answer alone, by the log-odds of the label.

    Raises:
        ConfigError: neither of the two, no label for a classifier, or one that it does not know.
    """
    classifier = getattr(reward, "classifier", reward)
    if not hasattr(classifier, "predict_proba"):
        if not callable(reward):
            name = getattr(reward, "name", type(reward).__name__)
            raise ConfigError(f"{where}: {name!r} is no reward: give a classifier, or a callable (prompt, answers)")
        if label is not None:
            raise ConfigError(f"{where}: a label belongs to a classifier, and the reward is none")
        return reward  # type: ignore[no-any-return]
    labels = list(classifier.classes_)
    if label is None:
        raise ConfigError(f"{where}: say which label is the good one: {', '.join(labels)}")
    if label not in labels:
        raise ConfigError(f"{where}: label = {label!r}: the classifier has no such label{did_you_mean(label, labels)}")
    column = labels.index(label)

    def odds(prompt: str, answers: Sequence[str]) -> list[float]:
        p = [min(max(float(row[column]), 1e-12), 1 - 1e-12) for row in classifier.predict_proba(list(answers))]
        return [math.log(x) - math.log1p(-x) for x in p]

    return odds
