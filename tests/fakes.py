"""The doubles that tests talk to: `ScriptedModel` (in process) and `ScriptedUpstream` (a real HTTP server).

`python -m tests.fakes --port 0` serves the upstream for subprocess tests: it prints its URL, and `GET /_calls` tells
how many calls came, for each prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TypeAlias

from pilotfish.errors import ModelError, UpstreamError
from pilotfish.model import Call, Delta, Price, Reply, Request, TokenLogprob, Trace
from tests.fakes_answers import Answer, failing, malformed, pieces, rate_limited, redirect, wrong_type
from tests.fakes_http import ScriptedUpstream, Seen

__all__ = [
    "Answer",
    "ScriptedModel",
    "ScriptedUpstream",
    "Seen",
    "failing",
    "malformed",
    "rate_limited",
    "redirect",
    "wrong_type",
]

Said: TypeAlias = "str | Reply | Exception"


class ScriptedModel:
    """A model whose answers are scripted: a text for all, a mapping by prompt, a list in order, or a function.

    An answer is a text, a `Reply`, or an exception to raise. In a mapping `"*"` answers every other prompt; without it
    an unknown prompt is a ModelError, as is the end of a list. Tokens are words. Token log-probabilities come only
    where the request asks for them: `logprob` for each word (a number, or a function of the request and the text).

    Attributes:
        calls: requests received, failed ones too; `requests`: the requests.
        active, peak: requests being answered now, and the most at one time.
        cancelled: requests whose caller gave up while they were being answered.
    """

    def __init__(
        self,
        script: str | Mapping[str, Said] | Iterable[Said] | Callable[[Request], Said] = "ok",
        *,
        name: str = "scripted",
        logprob: float | Callable[[Request, str], float] | None = None,
        delay: float = 0.0,
        fail_first: int = 0,
        error: Callable[[], Exception] = lambda: UpstreamError("scripted failure", status=500),
        price: Price | None = None,
    ) -> None:
        self.name = name
        self._script = script if isinstance(script, str | Mapping) or callable(script) else list(script)
        self._logprob = logprob
        self._delay = delay
        self._fail_first = fail_first
        self._error = error
        self._price = price or Price()
        self.requests: list[Request] = []
        self.calls = self.active = self.peak = self.cancelled = 0

    async def reply(self, request: Request) -> Reply:
        """Answer by the script, after `delay` seconds.

        Raises:
            UpstreamError: one of the first `fail_first` calls (or what `error` makes).
            ModelError: the script has no answer for this request.
        """
        reply = self._take(request)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await asyncio.sleep(self._delay)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1
        return reply()

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Answer a word at a time; `delay` is spread over the words. The last delta carries the reply."""
        reply = self._take(request)()
        words = pieces(reply.text)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            for word in words:
                await asyncio.sleep(self._delay / len(words))
                yield Delta(text=word)
            yield Delta(tool_calls=reply.tool_calls, reply=reply)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.active -= 1

    def _take(self, request: Request) -> Callable[[], Reply]:
        """Choose the answer now, in the order of asking; the thunk gives or raises it after the delay."""
        call, self.calls = self.calls, self.calls + 1
        self.requests.append(request)
        said: Said = self._error() if call < self._fail_first else self._said(request, call - self._fail_first)

        def give() -> Reply:
            if isinstance(said, Exception):
                raise said
            return self._whole(request, said)

        return give

    def _said(self, request: Request, call: int) -> Said:
        script = self._script
        if isinstance(script, str):
            return script
        if callable(script):
            return script(request)
        if isinstance(script, Mapping):
            found = script.get(request.prompt, script.get("*"))
            return ModelError(f"{self.name}: no answer for {request.prompt!r}") if found is None else found
        return script[call] if call < len(script) else ModelError(f"{self.name}: the script ends at {len(script)}")

    def _whole(self, request: Request, said: str | Reply) -> Reply:
        reply = Reply(said) if isinstance(said, str) else said
        if request.logprobs and reply.logprobs is None and self._logprob is not None:
            score = self._logprob if isinstance(self._logprob, float | int) else self._logprob(request, reply.text)
            tokens = tuple(TokenLogprob(word, score, ((word, score),)) for word in pieces(reply.text))
            reply = reply.with_(logprobs=tokens)
        if reply.trace.calls:
            return reply
        tokens_in = sum(len(pieces(message.text)) for message in request.messages)
        tokens_out = len(pieces(reply.text))
        cost = self._price.cost(tokens_in, tokens_out)
        call = Call(self.name, tokens_in=tokens_in, tokens_out=tokens_out, seconds=self._delay, cost=cost)
        return reply.with_(trace=Trace((call,)))


def main(arguments: list[str] | None = None) -> None:
    """Serve the scripted upstream until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description="A scripted OpenAI-compatible endpoint.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--reply", default=None, help="the text of every answer (default: an echo of the prompt)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--key", default=None, help="refuse every other key with a 401")
    options = parser.parse_args(arguments)
    upstream = ScriptedUpstream(Answer(options.reply, delay=options.delay), key=options.key, port=options.port)
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the thread starts, which inherits it: sigwait gets them
    upstream.start()
    print(upstream.url, flush=True)
    try:
        signal.sigwait(ends)
    finally:
        upstream.stop()


if __name__ == "__main__":
    main()
