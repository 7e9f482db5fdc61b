"""Trust by the model's own second look: it is shown its answer and asked whether that is right.

Source: Aggarwal et al. 2023 (AutoMix), section 3.1 and appendix A: verification by few-shot prompting, sampled several
times; the share of "correct" against a threshold is their router without the POMDP (AutoMix-T).
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.measure.checks import Verdict
from pilotfish.model import Message, Model, Reply, Request, Trace

__all__ = ["PROMPT", "SelfVerification"]

PROMPT = """You check answers. Decide whether the answer to the task below is correct.

Task: What is 17 + 25?
Answer: 42
Verdict: Yes

Task: Who wrote the play "Hamlet"?
Answer: Christopher Marlowe
Verdict: No

Task: {task}
Answer: {answer}
Is the answer correct? Reply with Yes or No only.
Verdict:"""

_YES = re.compile(r"\b(yes|correct|true)\b", re.IGNORECASE)
_NO = re.compile(r"\b(no|not|incorrect|wrong|false)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SelfVerification:
    """Trust a reply that the model itself calls right, at least in a share `above` of the looks; all are paid for.

    With one look and a model that gives log-probabilities the score is the probability of Yes against No; else it is
    the share of looks that say Yes. A look that says neither counts as No.

    Attributes:
        model: who looks, mostly the small model itself.
        above: the least score that is trusted, between 0 and 1.
        samples: how many looks.
        temperature: of the looks, where there are several.
        prompt: the question, with `{task}` and `{answer}`.
    """

    model: Model
    above: float
    samples: int = 1
    temperature: float = 0.7
    prompt: str = PROMPT

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 <= self.above <= 1:
            raise ConfigError("self-verification needs one sample or more, and `above` between 0 and 1")
        if "{task}" not in self.prompt or "{answer}" not in self.prompt:
            raise ConfigError("the prompt of self-verification needs the places {task} and {answer}")

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Look, and count."""
        asked = self.prompt.replace("{task}", _task(request)).replace("{answer}", reply.text)
        looks = [
            Request(
                (Message("user", asked),),
                max_tokens=4,
                temperature=self.temperature if self.samples > 1 else None,
                seed=None if request.seed is None else request.seed + i,
                logprobs=True,
                top_logprobs=5,
                metadata={**request.metadata, "sample": i},
            )
            for i in range(self.samples)
        ]
        said = await asyncio.gather(*(self.model.reply(look) for look in looks))
        score = sum(map(_yes, said)) / len(said) if self.samples > 1 else _probability(said[0])
        trace = sum((one.trace for one in said), Trace())
        return Verdict(score >= self.above, score, trace, threshold=self.above)


def _task(request: Request) -> str:
    """The conversation as one text; a single turn as it is."""
    if len(request.messages) == 1:
        return request.messages[0].text
    return "\n".join(f"{message.role}: {message.text}" for message in request.messages)


def _yes(reply: Reply) -> float:
    return float(bool(_YES.search(reply.text)) and not _NO.search(reply.text))


def _probability(reply: Reply) -> float:
    """The probability of Yes against No at the first token that is either; where none is, what the text says."""
    for token in reply.logprobs or ():
        yes = no = 0.0
        for text, logprob in token.top or ((token.token, token.logprob),):
            word = text.strip().casefold()
            yes += math.exp(logprob) * (word == "yes")
            no += math.exp(logprob) * (word == "no")
        if token.token.strip().casefold() in ("yes", "no") and yes + no > 0:
            return yes / (yes + no)
    return _yes(reply)
