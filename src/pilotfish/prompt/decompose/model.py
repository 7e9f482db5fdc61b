"""A large model whose questions a small one takes apart.

Sources: Juneja et al. 2023 (DaSLaM), section 3 and figure 2: a first attempt, sub-questions by a small model, their
answers one after another by the large one, then the whole; Zhou et al. 2023 (Least-to-Most Prompting), section 2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Delta, Message, Model, Reply, Request, Trace
from pilotfish.prompt.decompose.questions import TEMPLATE, asked, questions_in

__all__ = ["WHOLE", "Decomposed"]

FIRST = "I want to know: {question}\n\nA smaller question first: "
NEXT = "The next one: "
WHOLE = "With that in mind, answer the question itself: {question}"


@dataclass(frozen=True)
class Decomposed:
    """A model that answers parts of a question before the whole.

    The question is the last user turn; sub-questions and their answers stand as turns before it, and the conversation
    before those. The trace has all calls: the attempt, the decomposer's, one a sub-question, and the last one, to
    which alone the request's own settings go (length, format, tools, temperature).

    Attributes:
        model: answers the parts and the whole.
        decomposer: the small model that writes sub-questions.
        most: sub-questions that are asked; further ones are not.
        attempt: let the model try the whole question first, and show that to the decomposer. Where it then asks
            nothing, the attempt is the reply.
        template: of what the decomposer is asked; the one that it was taught with.
        max_tokens: of each sub-question's answer, and of what the decomposer writes.
        name: in traces.

    Raises:
        ConfigError: a template that lacks the question, or a number below 1.
    """

    model: Model
    decomposer: Model
    most: int = 5
    attempt: bool = False
    template: str = TEMPLATE
    max_tokens: int = 256
    name: str = "decomposed"

    def __post_init__(self) -> None:
        asked("", "", self.template)
        if self.most < 1 or self.max_tokens < 1:
            raise ConfigError(f"{self.name}: `most` and max_tokens are 1 or more")

    async def reply(self, request: Request) -> Reply:
        """Answer the parts, and then the whole."""
        plan = await self._plan(request)
        if plan.reply is not None:
            return plan.reply
        return self._told(plan, await self.model.reply(plan.request))

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Answer the parts before the first byte; then the answer to the whole streams."""
        plan = await self._plan(request)
        if plan.reply is not None:
            yield Delta(text=plan.reply.text, tool_calls=plan.reply.tool_calls, reply=plan.reply)
            return
        async for delta in self.model.stream(plan.request):
            yield delta if delta.reply is None else replace(delta, reply=self._told(plan, delta.reply))

    def _told(self, plan: _Plan, said: Reply) -> Reply:
        return said.with_(trace=plan.trace + said.trace).decided(self.name, plan.word)

    async def _plan(self, request: Request) -> _Plan:
        question = request.prompt
        if not question.strip() or request.messages[-1].role != "user":
            return _Plan(request, Trace(), "left: the last turn asks nothing")
        first: Reply | None = None
        if self.attempt:
            first = await self.model.reply(request)
            if first.tool_calls:
                return _Plan(request, first.trace, "", first.decided(self.name, "left: it calls a function"))
        trace = Trace() if first is None else first.trace
        task = asked(question, "" if first is None else first.text, self.template)
        written = await self.decomposer.reply(self._small(request, (Message("user", task),)))
        trace += written.trace
        # The last line of an answer that was cut may be half a question.
        text = written.text
        if written.finish_reason == "length":
            text = text.rpartition("\n")[0]
        parts = questions_in(text, question, self.most)
        if not parts:
            if first is None:
                return _Plan(request, trace, "plain: no sub-questions")
            kept = first.with_(trace=trace)
            return _Plan(request, trace, "", kept.decided(self.name, "the first attempt: no sub-questions"))
        told: list[tuple[str, str]] = []
        for part in parts:
            said = await self.model.reply(self._small(request, self._turns(request, told, part)))
            trace += said.trace
            # Nothing can be built on an empty answer; it was paid for all the same.
            if said.text.strip():
                told.append((part, said.text.strip()))
        if not told:
            return _Plan(request, trace, "plain: no sub-question was answered")
        turns = self._turns(request, told, "")
        last = request.with_prompt(filled_in(WHOLE, question=question)).messages[-1]
        left = len(parts) - len(told)
        word = f"{len(told)} sub-questions" + (f", {left} unanswered" if left else "")
        return _Plan(request.with_(messages=(*turns, last)), trace, word)

    def _turns(self, request: Request, told: Sequence[tuple[str, str]], part: str) -> tuple[Message, ...]:
        """Return the conversation with the parts that have been answered, and with the next one."""
        turns = list(request.messages[:-1])
        first = filled_in(FIRST, question=request.prompt)
        for at, (question, answer) in enumerate(told):
            turns += [Message("user", (NEXT if at else first) + question), Message("assistant", answer)]
        if part:
            turns.append(Message("user", (NEXT if told else first) + part))
        return tuple(turns)

    def _small(self, request: Request, messages: tuple[Message, ...]) -> Request:
        """Return a question on the way: of the request only who asks is kept."""
        return Request(messages=messages, temperature=0.0, max_tokens=self.max_tokens, metadata=dict(request.metadata))


@dataclass(frozen=True)
class _Plan:
    """The last question and what went before it; or the reply, where there is nothing to ask any more."""

    request: Request
    trace: Trace
    word: str
    reply: Reply | None = None
