"""A causal language model without torch: scores, choices and answers. What two texts begin with is read once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.constrained.engine import Engine
from pilotfish.compete.constrained.sampling import pick
from pilotfish.compete.constrained.tokens import LightTokenizer
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call, Reply, Request, Scored, TokenLogprob, Trace, WholeReplies
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import buckets, encode, encode_pair, joint_choices, one_begins_another

__all__ = ["SessionLM"]

Floats = NDArray[np.float32]
BATCH_TOKENS = 512
LOGITS = 1 << 23  # of one pass that are held: 32 MiB
CHUNK = 256  # tokens of a prompt in one pass


class SessionLM(WholeReplies):
    """A language model as a `Model`, and what `Labeller` and metrics ask of one: `choices`, `score`, `count`, `render`.

    One request at a time; a further one waits.

    Args:
        engine: what reads tokens.
        folder: with the tokenizer.
        facts: of the manifest: `max_length`, `vocabulary`, `ends`.
        name: in traces.
        max_tokens: of an answer where the request does not say.
    """

    def __init__(
        self, engine: Engine, folder: Path, facts: dict[str, Any], name: str, *, max_tokens: int = 256
    ) -> None:
        self.engine, self.name, self.max_tokens = engine, name, max_tokens
        self.tokenizer = LightTokenizer(folder / "tokenizer")
        self.max_length, self.vocabulary = int(facts["max_length"]), int(facts["vocabulary"])
        self.ends = frozenset(int(one) for one in facts["ends"])
        self._lock = threading.Lock()
        self._held: list[int] = []

    def render(self, request: Request) -> str:
        """Return the text the model is given for a request: its chat template filled in."""
        return render_chat(self.tokenizer, request, self.name)

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special ones included."""
        return len(encode(self.tokenizer, text))

    def score(self, pairs: Iterable[tuple[str, str]], *, progress: Callable[[int], None] | None = None) -> list[Scored]:
        """Return log p(continuation | context) for each (context, continuation), in nats; see `LocalModel.score`.

        Raises:
            ModelError: a pair is longer than the model takes.
        """
        rows = [encode_pair(self.tokenizer, context, continuation) for context, continuation in pairs]
        self._fits(max((len(ids) for ids, _ in rows), default=1))
        found = [Scored((), (), True)] * len(rows)
        asked = [i for i, (ids, start) in enumerate(rows) if len(ids) > start]
        with self._lock:
            for bucket in buckets([len(rows[i][0]) for i in asked], BATCH_TOKENS):
                batch = [asked[j] for j in bucket]
                for i, scored in zip(batch, self._scored([rows[i] for i in batch]), strict=True):
                    found[i] = scored
                if progress:
                    progress(len(batch))
        return found

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return log p(choice | context) in nats: (contexts, choices); see `LocalModel.choices`.

        Raises:
            ConfigError: a choice is empty.
            ModelError: a context with its longest choice is longer than the model takes.
        """
        out = np.zeros((len(contexts), len(choices)))
        if not contexts or not choices:
            return out
        if not all(choices):
            raise ConfigError("a choice must not be empty")
        ids, tails = joint_choices(self.tokenizer, contexts, choices)
        end: list[int] = []
        if any(one_begins_another(row) for row in set(tails)):
            if self.tokenizer.eos_token_id is None:
                raise ModelError(f"{self.name}: one choice begins another, and no token ends a turn")
            end = [self.tokenizer.eos_token_id]
        self._fits(max(len(a) + len(t) for a, row in zip(ids, tails, strict=True) for t in row) + len(end))
        with self._lock:
            for number, (context, row) in enumerate(zip(ids, tails, strict=True)):
                out[number] = self._chosen(context, [[*tail, *end] for tail in row])
                if progress:
                    progress(1)
        return out

    async def reply(self, request: Request) -> Reply:
        """Generate the whole answer (greedy unless the request sets a temperature), on a thread of its own.

        Raises:
            ModelError: the prompt does not fit, or the request asks for what cannot be done here.
        """
        for field in ("tools", "response_format"):
            if getattr(request, field):
                raise ModelError(f"{self.name}: an exported model takes no {field}; a model of use = 'local' does")
        if request.n != 1:
            raise ModelError(f"{self.name}: an exported model gives one answer a request, not {request.n}")
        return await asyncio.to_thread(self._reply, request)

    def generate(self, ids: Sequence[int], limit: int, request: Request | None = None) -> Reply:
        """Return what follows tokens, `limit` tokens at most."""
        request = request or Request.of("")
        self._fits(len(ids) + 1)
        limit = min(limit, self.max_length - len(ids))
        start = time.perf_counter()
        random = np.random.default_rng(request.seed)
        told: list[int] = []
        logprobs: list[TokenLogprob] = []
        finish, text = "length", ""
        with self._lock:
            logits = self._read(ids)
            while len(told) < limit:
                token, logprob, rivals = pick(logits, told, request, random)
                if token in self.ends:
                    finish = "stop"
                    break
                told.append(token)
                top = tuple((self.tokenizer.decode([one]), value) for one, value in rivals)
                logprobs.append(TokenLogprob(self.tokenizer.decode([token]), logprob, top))
                text = self.tokenizer.decode(told)
                if at := [text.find(stop) for stop in request.stop if stop in text]:
                    finish, text = "stop", text[: min(at)]
                    break
                if len(told) < limit:
                    logits = self._read([*ids, *told])
        call = Call(self.name, "model", len(ids), len(told), time.perf_counter() - start)
        given = tuple(logprobs) if request.logprobs else None
        return Reply(text, finish_reason=finish, logprobs=given, trace=Trace((call,)))

    def _reply(self, request: Request) -> Reply:
        ids = encode(self.tokenizer, self.render(request))
        if len(ids) >= self.max_length:
            raise ModelError(f"{self.name} takes {self.max_length} tokens; the prompt alone has {len(ids)}: shorten it")
        return self.generate(ids, self.max_tokens if request.max_tokens is None else request.max_tokens, request)

    def _fits(self, longest: int) -> None:
        if longest > self.max_length:
            raise ModelError(f"{self.name} takes {self.max_length} tokens at most; a text has {longest}: shorten it")

    def _read(self, ids: Sequence[int]) -> Floats:
        """Return the logits after tokens, (vocabulary,); of what is held, what they begin with is kept."""
        at = 0
        while at < min(len(self._held), len(ids) - 1) and self._held[at] == ids[at]:
            at += 1
        logits: Floats = np.zeros((1, 0), np.float32)
        while at < len(ids):
            part = list(ids[at : at + CHUNK])
            logits = self._extended(part, at, [len(part) - 1])
            at += len(part)
        return np.asarray(logits[0])

    def _extended(self, ids: Sequence[int], at: int, wanted: Sequence[int]) -> Floats:
        held = [*self._held[:at], *ids]
        self._held = []  # of a pass that fails nothing is known
        logits = self.engine.extend(ids, at, wanted)
        self._held = held
        return logits

    def _chosen(self, context: Sequence[int], tails: Sequence[Sequence[int]]) -> list[float]:
        """Return log p of each tail after a context."""
        first = _logprobs(self._read(context)[None])[0]
        out = [float(first[tail[0]]) for tail in tails]
        more = [i for i, tail in enumerate(tails) if len(tail) > 1]
        longest = max((len(tails[i]) for i in more), default=1) - 1
        step = max(1, LOGITS // (self.vocabulary * max(1, longest)))
        for a in range(0, len(more), step):
            batch = more[a : a + step]
            rows = [[*tails[i][:-1], *[0] * (longest + 1 - len(tails[i]))] for i in batch]
            # Nothing looks at what stands behind it, so that padding there changes nothing.
            logprobs = _logprobs(self.engine.beside(rows, len(context), range(longest)))
            for place, i in enumerate(batch):
                out[i] += sum(float(logprobs[place, n, token]) for n, token in enumerate(tails[i][1:]))
        return out

    def _scored(self, rows: Sequence[tuple[list[int], int]]) -> list[Scored]:
        """Score rows of (ids, where the continuation begins), longest first."""
        longest = len(rows[0][0]) - 1  # what follows the last token is not asked for
        first = min(start for _, start in rows) - 1
        if (longest - first) * len(rows) * self.vocabulary > LOGITS:
            return [self._scored_alone(ids, start) for ids, start in rows]
        padded = [[*ids[:-1], *[0] * (longest + 1 - len(ids))] for ids, _ in rows]
        logits = self.engine.beside(padded, 0, range(first, longest))
        return [
            _of(logits[i, start - 1 - first : len(ids) - 1 - first], ids[start:]) for i, (ids, start) in enumerate(rows)
        ]

    def _scored_alone(self, ids: list[int], start: int) -> Scored:
        """Score a row, so many tokens at a time that their logits can be held: of a page they would be gigabytes."""
        step = max(1, min(BATCH_TOKENS, LOGITS // self.vocabulary))
        parts = []
        for at in range(0, len(ids) - 1, step):
            part = ids[at : min(at + step, len(ids) - 1)]
            wanted = range(max(0, start - 1 - at), len(part))
            # One is always asked for, though the part may stand before the continuation.
            logits = self._extended(part, at, list(wanted) or [len(part) - 1])
            if wanted:
                targets = ids[at + wanted[0] + 1 : at + len(part) + 1]
                parts.append(_of(logits, targets))
        logprobs = tuple(value for part in parts for value in part.logprobs)
        return Scored(logprobs, tuple(ids[start:]), all(part.greedy for part in parts))


def _of(logits: Floats, targets: Sequence[int]) -> Scored:
    """Return how likely tokens are by the logits (tokens, vocabulary) before each of them."""
    at = (np.arange(len(targets)), np.array(targets, dtype=np.int64))
    greedy = bool((logits.argmax(axis=-1) == at[1]).all())
    return Scored(tuple(float(one) for one in _logprobs(logits)[at]), tuple(targets), greedy)


def _logprobs(logits: Floats) -> Floats:
    """Return log-softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
