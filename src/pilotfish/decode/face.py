"""A strategy as a model: requests in, answers and streams out, many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.decode.decoder import Prompt
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call, Delta, Reply, Request, Trace

if TYPE_CHECKING:
    from pilotfish.decode._answer import Answer
    from pilotfish.decode.constraint import Constraint
    from pilotfish.decode.scheduler import Scheduler
    from pilotfish.decode.strategy import Job, Step, Strategy, Tally
    from pilotfish.decode.tools import Tools

__all__ = ["DecodedModel"]


@dataclass
class _Work:
    """A request made ready: its jobs and the answers that are to come of them."""

    scheduler: Scheduler
    prompt: Prompt
    jobs: list[Job]
    answers: list[Answer]


class DecodedModel:
    """A `Model` whose answers a strategy makes. Requests that come while others run join their batch.

    Nothing is loaded before the first request; its weights are loaded, and prompts cut, on threads of their own.

    Args:
        name: the name in traces.
        strategy: gives the strategy; called once, at first use.
        prompt: turns a request into the decoder's prompt; raises `ModelError` where it does not fit.
        tokenizer: gives the transformers tokenizer of the tokens that are shown.
        ends: gives the tokens that end an answer.
        max_tokens: how many tokens an answer may have where the request does not say.
        max_rows: how many answers run together; further ones wait.
        turn: entered around every pass, to take turns with other users of the same weights.
    """

    def __init__(
        self,
        name: str,
        *,
        strategy: Callable[[], Strategy],
        prompt: Callable[[Request], Prompt],
        tokenizer: Callable[[], Any],
        ends: Callable[[], frozenset[int]],
        max_tokens: int = 256,
        max_rows: int = 32,
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.name = name
        self.max_tokens = max_tokens
        self.max_rows = max_rows
        self._strategy = strategy
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._ends = ends
        self._turn = turn
        self._preparing = threading.Lock()
        self._scheduler: Scheduler | None = None

    def asked(self, request: Request) -> Request:
        """Return the request as it is to be run; a face may settle here what it leaves open."""
        return request

    async def reply(self, request: Request) -> Reply:
        """Generate the whole answer (greedy unless the request sets a temperature).

        Raises:
            ModelError: the prompt does not fit, or the request asks for what cannot be done here.
        """
        reply: Reply | None = None
        async with contextlib.aclosing(self._deltas(request, shown=False)) as deltas:
            async for delta in deltas:
                reply = delta.reply
        assert reply is not None
        return reply

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Generate piece by piece; leaving the loop early frees the row before the next step.

        Raises:
            ModelError: see `reply`.
        """
        async with contextlib.aclosing(self._deltas(request, shown=True)) as deltas:
            async for delta in deltas:
                yield delta

    async def _deltas(self, request: Request, shown: bool) -> AsyncGenerator[Delta, None]:
        request = self.asked(request)
        work = await asyncio.to_thread(self._prepare, request)
        relay = _Relay(asyncio.get_running_loop())
        # Where no token is asked for there are answers without jobs.
        pairs = zip(work.jobs, work.answers, strict=False)
        readers = [_Reader(*pair, relay, shown and not i) for i, pair in enumerate(pairs)]
        running = len(readers)
        ticket = work.scheduler.submit(work.jobs, readers) if readers else None
        try:
            while running:
                item = await relay.queue.get()
                if isinstance(item, str):
                    yield Delta(text=item)
                    continue
                running -= 1
                if item is not None:
                    raise item
        finally:
            if ticket is not None:
                ticket.cancel()
            # The worker must not touch this loop after the coroutine has gone, and the rows be free when it has.
            while running:
                running -= not isinstance(await relay.queue.get(), str)
        if work.answers[0].calls:
            yield Delta(tool_calls=work.answers[0].calls)
        yield Delta(reply=self._whole(request, work, readers))

    def _prepare(self, request: Request) -> _Work:
        """Make a request ready to run; not on the event loop, since weights may have to be loaded."""
        need("torch", "local")  # before the modules that import it: whoever lacks it is told what to install
        from pilotfish.decode._answer import Answer
        from pilotfish.decode._asked import check_request, sampling_of
        from pilotfish.decode.sampler import Sampler
        from pilotfish.decode.strategy import Job
        from pilotfish.decode.tools import ToolText, tools_of

        check_request(request, self.name)
        sampling = sampling_of(request, self.name)
        tools = tools_of(request, self.name)
        # One at a time: tokenizers are not made for threads, and weights are loaded once.
        with self._preparing:
            prompt = self._prompt(request)
            scheduler = self._ready()
            tokenizer, ends = self._tokenizer(), self._ends()
        limit = request.max_tokens if request.max_tokens is not None else self.max_tokens
        strategy = scheduler.strategy
        constraint = self._constraint(request, tools, strategy.vocabulary, tokenizer, ends) if limit > 0 else None
        jobs, answers = [], []
        for sample in range(request.n):
            answers.append(
                Answer(
                    tokenizer,
                    ends,
                    stops=request.stop,
                    limit=limit,
                    top=request.top_logprobs if request.logprobs else None,
                    tools=ToolText(tools, f"{prompt}{sample}") if tools else None,
                )
            )
            if limit > 0:
                own = constraint.fork() if constraint is not None and sample else constraint
                try:
                    sampler = Sampler(sampling, strategy.vocabulary, prompt[0], own, strategy.device, sample)
                except ConfigError as error:
                    raise ModelError(f"{self.name}: {error}") from error
                jobs.append(Job(prompt, sampler, limit, wants_logits=request.logprobs))
        return _Work(scheduler, prompt, jobs, answers)

    def _constraint(
        self, request: Request, tools: Tools | None, vocabulary: int, tokenizer: Any, ends: frozenset[int]
    ) -> Constraint | None:
        """Return what the answer must look like, where the request says so."""
        from pilotfish.decode.constraint import compile_grammar, grammar_of, schema_grammar

        try:
            grammar = grammar_of(request.response_format)
            if tools and grammar is not None:
                raise ModelError("response_format and tools exclude each other here; ask for one of them")
            if tools and tools.forced:
                grammar = schema_grammar(tools.schema())
            return None if grammar is None else compile_grammar(grammar, tokenizer, vocabulary, ends)
        except ModelError as error:
            raise ModelError(f"{self.name}: {error}") from error

    def _ready(self) -> Scheduler:
        """Return the scheduler, made at first use."""
        if self._scheduler is None:
            from pilotfish.decode.scheduler import Scheduler

            self._scheduler = Scheduler(
                self._strategy(), max_rows=self.max_rows, name=f"pilotfish-{self.name}", turn=self._turn
            )
        return self._scheduler

    def _whole(self, request: Request, work: _Work, readers: Sequence[_Reader]) -> Reply:
        """Put the answers together: the first with the others as its choices, and everyone's trace."""
        replies = []
        for i, answer in enumerate(work.answers):
            tally, seconds = (readers[i].tally, readers[i].seconds) if readers else (None, 0.0)
            # The prompt was run once for all samples.
            size = len(work.prompt[0]) if i == 0 else 0
            calls = tuple(tally.calls) if tally else ()
            trace = Trace(
                calls or (Call(self.name, "model", size, answer.tokens, seconds),),
                tuple(tally.decisions) if tally else (),
            )
            logprobs = tuple(answer.logprobs) if request.logprobs else None
            replies.append(
                Reply(
                    answer.text, answer.calls, finish_reason=answer.finish or "length", logprobs=logprobs, trace=trace
                )
            )
        whole = Trace()
        for reply in replies:
            whole = whole + reply.trace
        return replies[0].with_(trace=whole, choices=tuple(replies[1:]))


class _Relay:
    """Carries text, and each job's end (an error or None), from the scheduler's thread to the coroutine that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        self._loop = loop

    def put(self, item: str | BaseException | None) -> bool:
        """Put an item, from any thread; return whether anyone can still take it."""
        try:
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)
        except RuntimeError:  # a reader that was cancelled has closed its loop
            return False
        return True


class _Reader:
    """Takes one job's steps into its answer; passes its text on where it is `shown`."""

    def __init__(self, job: Job, answer: Answer, relay: _Relay, shown: bool) -> None:
        self.tally: Tally | None = None
        self.seconds = 0.0
        self._job = job
        self._answer = answer
        self._relay = relay
        self._shown = shown

    def took(self, step: Step) -> bool:
        """Take a step; return whether the answer is complete."""
        constraint = self._job.sampler.constraint
        over = constraint is not None and constraint.over
        piece = self._answer.take(step, self._job.limit, over)
        if piece and self._shown and not self._relay.put(piece):
            return True
        return self._answer.finish is not None

    def ended(self, tally: Tally, seconds: float, error: BaseException | None) -> None:
        """Keep what it took, and say that no more comes."""
        self.tally, self.seconds = tally, seconds
        self._relay.put(error)
