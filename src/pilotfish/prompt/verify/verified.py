"""A model whose replies are verified before anybody sees them, and drawn again, refined, or withheld.

Sources: draws until one is accepted: Cobbe et al. 2021, section 4; feedback and refinement: Madaan et al. 2023
(Self-Refine), algorithm 1, here with the verifier's words and not the model's own; abstaining: Kamath et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.errors import ConfigError
from pilotfish.measure.checks import Verdict
from pilotfish.measure.evidence import listening, shown, to_look_up
from pilotfish.measure.judging import filled_in
from pilotfish.model import Message, Model, Reply, Request, Trace, WholeReplies
from pilotfish.prompt.verify.every import Verifier, judged

__all__ = ["ABSTAINED", "REFINE", "OnReject", "Then", "Verified"]

OnReject = Literal["retry", "refine", "stop"]
Then = Literal["abstain", "best"]
ABSTAINED = "I have no answer that I could verify."
REFINE = """Your answer is not right yet. {why}

Answer again, as if for the first time: give the whole answer, and say nothing of this remark."""


@dataclass(frozen=True)
class Verified(WholeReplies):
    """A model, and a verifier that its replies have to pass.

    A stream waits for the whole reply: what was not verified is never shown. A reply that calls tools is passed on as
    it is. All attempts, and what verifying took, are in the trace.

    Attributes:
        model: who answers.
        verifier: says whether to trust a reply: any way that a cascade accepts by, and those of this package.
        on_reject: "retry" draws another answer, "refine" tells the model what is wrong with its last one, "stop" asks
            no more.
        tries: replies at most, the first one included.
        then: where none was trusted: "abstain" says so, "best" gives the one with the highest score.
        fallback: who answers instead of `then`; its reply is not verified.
        temperature: of further draws; the first answer is as the request wants it.
        otherwise: what is said where it abstains.
        refine: how the model is told, with {why}.
        logprobs: ask for log-probabilities, which verifiers by score need.
        name: in traces.

    Raises:
        ConfigError: a setting out of range.
    """

    model: Model
    verifier: Verifier
    on_reject: OnReject = "retry"
    tries: int = 3
    then: Then = "abstain"
    fallback: Model | None = None
    temperature: float = 0.7
    otherwise: str = ABSTAINED
    refine: str = REFINE
    logprobs: bool = False
    name: str = "verified"

    def __post_init__(self) -> None:
        for given, known in ((self.on_reject, get_args(OnReject)), (self.then, get_args(Then))):
            if given not in known:
                raise ConfigError(f"{self.name}: one of {', '.join(known)}, not {given!r}")
        if self.tries < 1 or self.temperature < 0:
            raise ConfigError(f"{self.name}: one try or more, and a temperature of 0 or more")
        if self.on_reject == "retry" and self.tries > 1 and self.temperature == 0:
            raise ConfigError(f"{self.name}: at temperature 0 another draw is the same answer again")
        if "{why}" not in self.refine:
            raise ConfigError(f"{self.name}: the words of a refinement need the place {{why}}")

    async def reply(self, request: Request) -> Reply:
        """Answer, verify, and do what is to be done where the answer is not trusted.

        Raises:
            ConfigError: the request asks for several answers.
        """
        if request.n > 1:
            raise ConfigError(f"{self.name}: one answer is verified, and n = {request.n} asks for several")
        tried: list[tuple[Reply, Verdict]] = []
        spent = Trace()
        tries = 1 if self.on_reject == "stop" else self.tries
        for number in range(tries):
            asked, heard = listening(self._asked(request, number, tried))
            said = await self.model.reply(asked)
            if said.tool_calls:
                return self._given(request, said, spent, "left: it calls tools")
            # It is held against what was asked, and against the passages that were found on the way.
            verdict = await judged(self.verifier, shown(request, heard) if heard else request, said)
            if verdict.accepted:
                word = "accepted" if not number else f"accepted at try {number + 1}"
                return self._given(request, verdict.reply or said, spent, word, verdict, said.trace)
            tried.append((said, verdict))
            spent += said.trace + verdict.trace
        attempts = f"none of {len(tried)} trusted" if len(tried) > 1 else "not trusted"
        if self.fallback is not None:
            last = await self.fallback.reply(request)
            return self._given(request, last, spent, f"{attempts}: {self.fallback.name} answers")
        said, verdict = max(tried, key=lambda one: -1e300 if one[1].score is None else one[1].score)
        if self.then == "abstain":
            # The passages were shown, whatever came of them.
            return Reply(self.otherwise, trace=spent).decided(
                self.name, f"{attempts}: abstained", verdict.score, verdict.threshold
            )
        whole = said.with_(trace=spent, **({} if request.logprobs else {"logprobs": None}))
        return whole.decided(self.name, f"{attempts}: the best is given", verdict.score, verdict.threshold)

    def _asked(self, request: Request, number: int, tried: list[tuple[Reply, Verdict]]) -> Request:
        if self.logprobs:
            request = request.with_(logprobs=True, top_logprobs=max(2, request.top_logprobs))
        if not number:
            return request
        metadata = {**request.metadata, "sample": request.sampled(number, self.tries)}
        if self.on_reject == "refine":
            said, verdict = tried[-1]
            told = filled_in(self.refine, why=verdict.why or "It was not accepted.")
            turns = (*request.messages, Message("assistant", said.text), Message("user", told))
            # A remark is no question: what looks passages up on the way looks for what was asked.
            return to_look_up(request.with_(messages=turns, metadata=metadata), request.prompt)
        seed = None if request.seed is None else request.seed + number
        return request.with_(temperature=self.temperature, seed=seed, metadata=metadata)

    def _given(
        self,
        request: Request,
        reply: Reply,
        spent: Trace,
        word: str,
        verdict: Verdict | None = None,
        own: Trace | None = None,
    ) -> Reply:
        """Return a reply with the trace of all that was tried before, its own, and its verdict's."""
        trace = spent + (reply.trace if own is None else own) + (Trace() if verdict is None else verdict.trace)
        whole = reply.with_(trace=trace, **({} if request.logprobs else {"logprobs": None}))
        score, threshold = (None, None) if verdict is None else (verdict.score, verdict.threshold)
        return whole.decided(self.name, word, score, threshold)
