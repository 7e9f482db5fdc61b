"""Reward-guided search (ARGS) with any reward on texts: the k likeliest tokens are scored as the texts they would make.

Source: Khanov et al. 2024 (ARGS: Alignment as Reward-Guided Search), section 3.2: score(v | x) = LM(v | x) + w r(x, v);
greedy takes the best (ARGS-greedy), sampling draws from softmax(score / temperature) (ARGS-stochastic).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotfish.decode.retoken import text_of
from pilotfish.decode.rules.contrast import OUT
from pilotfish.decode.rules.reward import candidates
from pilotfish.decode.strategy import Job, Plain, Tally
from pilotfish.errors import ModelError
from pilotfish.model import Call

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.decoder import Prompt
    from pilotfish.decode.lockstep import Lockstep

__all__ = ["Reward", "RewardGuided"]

# From a prompt and answers to it (whole, or their beginnings) to one number each; larger is better.
Reward = Callable[[str, Sequence[str]], Sequence[float]]


class RewardGuided(Plain):
    """Plain decoding in which every job's sampler gets the reward as its own rule (`Sampler.extra`).

    All k candidates of a token are scored in one call of the reward. It belongs to the sampler, so penalties,
    constraint and temperature come after it.

    Args:
        decoder: the large model; a lockstep, so that what it takes is counted.
        reward: scores texts.
        tokenizer: makes the texts.
        question: from a job's prompt to the text the reward is given as the prompt.
        weight: w; 0 is the top k of the model alone. The paper has 0.5 to 1.5 for its reward models.
        k: how many candidates; 10 in the paper.
        name: of the reward, for the trace.
    """

    def __init__(
        self,
        decoder: Lockstep,
        reward: Reward,
        tokenizer: Any,
        question: Callable[[Prompt], str],
        *,
        weight: float = 1.0,
        k: int = 10,
        name: str = "reward",
    ) -> None:
        super().__init__(decoder)
        self.reward = reward
        self.tokenizer = tokenizer
        self.question = question
        self.weight = weight
        self.k = k
        self.name = name

    def begin(self, jobs: Sequence[Job]) -> None:
        """Run the prompts, and give each job's sampler the reward.

        Raises:
            ModelError: a prompt does not fit; then no row is left open.
        """
        super().begin(jobs)
        for job in jobs:
            job.sampler.extra = _Scored(self, self.question(job.prompt))

    def end(self, job: Job) -> Tally:
        """Close the row; tell what the model and the reward took."""
        tally = super().end(job)
        scored = job.sampler.extra
        if isinstance(scored, _Scored) and tally.calls:
            why = f"{scored.texts} candidates"
            tally.calls.append(Call(self.name, "reward", seconds=scored.seconds, why=why))
        return tally


class _Scored:
    """One job's rule: raw logits (vocabulary,) to logits plus reward, the candidates' texts scored together."""

    def __init__(self, by: RewardGuided, question: str) -> None:
        self.by = by
        self.question = question
        self.texts = 0
        self.seconds = 0.0

    def __call__(self, tokens: list[int], logits: Tensor) -> Tensor:
        started = time.perf_counter()
        ids = candidates(logits, self.by.k)
        texts = [text_of(self.by.tokenizer, [*tokens, token]) for token in ids.tolist()]
        rewards = [float(x) for x in self.by.reward(self.question, texts)]
        if len(rewards) != len(texts):
            raise ModelError(f"{self.by.name}: {len(rewards)} rewards for {len(texts)} texts")
        self.texts += len(texts)
        self.seconds += time.perf_counter() - started
        found = logits.gather(-1, ids) + self.by.weight * logits.new_tensor(rewards)
        return (logits - OUT).scatter(-1, ids, found)
