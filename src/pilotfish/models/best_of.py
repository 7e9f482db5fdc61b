"""The best of several answers by a reward, as a model.

Sources: Stiennon et al. 2020 (Learning to summarize), section 4.3; Nakano et al. 2021 (WebGPT), section 3.2.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.model import Model, Reply, Request, WholeReplies

if TYPE_CHECKING:
    from pilotfish.decode.reward import Reward

__all__ = ["BestOfN", "reward_of"]


@dataclass(frozen=True)
class BestOfN(WholeReplies):
    """A model that answers several times, of which a small reward model picks one. All answers are paid for.

    Attributes:
        model: who answers.
        reward: a callable (prompt, answers) -> numbers, such as a `RewardModel`; or a classifier of answers.
        n: how many answers.
        temperature: of the answers, where the request has none of its own.
        label: of a classifier, the label whose log-odds are the reward.
        name: in traces.

    Raises:
        ConfigError: n below 1, or a reward that is none.
    """

    model: Model
    reward: Any
    n: int = 8
    temperature: float = 1.0
    label: str | None = None
    name: str = "best-of-n"

    def __post_init__(self) -> None:
        if self.n < 1 or self.temperature < 0:
            raise ConfigError(f"{self.name}: n is 1 or more and the temperature 0 or more")
        object.__setattr__(self, "_score", reward_of(self.reward, self.label, self.name))

    async def reply(self, request: Request) -> Reply:
        """Answer several times and return the answer of the greatest reward; of equal ones the first."""
        if request.n > 1:
            raise ConfigError(f"{self.name}: it picks one answer of its own, and n = {request.n} asks for several")
        heat = request.temperature if request.temperature is not None else self.temperature
        # Each with a number of its own: a store of replies must not give the first one again.
        samples = [request.sampled(number, self.n) for number in range(self.n)]
        asked = [request.with_(temperature=heat, metadata={**request.metadata, "sample": sample}) for sample in samples]
        if request.seed is not None:
            asked = [one.with_(seed=request.seed + number) for number, one in enumerate(asked)]
        said = await asyncio.gather(*(self.model.reply(one) for one in asked))
        whole = [reply for reply in said if not reply.tool_calls and reply.finish_reason != "length"] or list(said)
        score: Any = self._score  # type: ignore[attr-defined]
        rewards = await asyncio.to_thread(score, request.prompt, [reply.text for reply in whole])
        if len(rewards) != len(whole) or not all(math.isfinite(one) for one in rewards):
            raise ModelError(f"{self.name}: the reward gave {rewards!r} for {len(whole)} answers")
        best = max(range(len(whole)), key=lambda at: rewards[at])
        others = [reply for reply in said if reply is not whole[best]]
        return whole[best].after(*others).decided(self.name, f"best of {len(whole)}", float(rewards[best]))


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
