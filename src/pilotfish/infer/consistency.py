"""Trust by agreement: the small model answers several times, and is trusted where its answers agree.

Source: Wang et al. 2023 (self-consistency), section 2; as a cascade's deferral: Yue et al. 2024 (Large Language Model
Cascades with Mixture of Thoughts Representations), section 3.1, the vote-based decision.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.measure.answers import answer_by
from pilotfish.measure.checks import Verdict
from pilotfish.model import Model, Reply, Request, Trace

__all__ = ["Agreement"]


@dataclass(frozen=True)
class Agreement:
    """Trust the answer that at least a share `above` of the samples give; every sample is paid for.

    The reply is the first sample with that answer. Samples without an answer (the pattern finds none) agree with
    nothing, so a model that never answers is not trusted.

    Attributes:
        model: who is asked again, the small model.
        above: the least share of the samples, the first reply included, that must agree.
        samples: how many there are, the first reply included.
        temperature: of the further ones.
        answer: what reads an answer out of a reply: "text", "last-line", "last-number", "python" (its code,
            but for names and layout), or a pattern with one group.
    """

    model: Model
    above: float
    samples: int = 5
    temperature: float = 0.7
    answer: str = "text"

    def __post_init__(self) -> None:
        if self.samples < 2 or not 0 <= self.above <= 1:
            raise ConfigError("agreement needs two samples or more, and `above` a share between 0 and 1")
        answer_by(self.answer)

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Ask again, and count the votes."""
        again = [
            request.with_(
                n=1,
                temperature=self.temperature,
                # Other seeds, or a model that is given one would say the same each time.
                seed=None if request.seed is None else request.seed + i,
                metadata={**request.metadata, "sample": i},
            )
            for i in range(1, self.samples)
        ]
        others = await asyncio.gather(*(self.model.reply(one) for one in again))
        read = answer_by(self.answer)
        said = [reply, *others]
        answers = [read(one.text) for one in said]
        votes = Counter(answer for answer in answers if answer)
        trace = sum((one.trace for one in others), Trace())
        if not votes:
            return Verdict(False, 0.0, trace, threshold=self.above)
        # Of equally many votes the answer that came first.
        best = max(votes, key=lambda answer: (votes[answer], -answers.index(answer)))
        share = votes[best] / self.samples
        return Verdict(share >= self.above, share, trace, said[answers.index(best)], self.above)
