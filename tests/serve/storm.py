"""A gateway before an endpoint that goes wrong in every way, asked by many at once; and whether it stayed honest."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fakes import Answer, Seen, failing, malformed, rate_limited, wrong_type

__all__ = ["FAULTS", "Storm", "ask_all", "expected", "faulty"]

# Each fault by its name; a drop is in the middle of a body or of a stream.
FAULTS: dict[str, Callable[[str], Answer]] = {
    "timeout": lambda _: Answer(hang=True),
    "429": lambda _: rate_limited(1),
    "500": lambda _: failing(500),
    "malformed": lambda _: malformed(),
    "drop": lambda text: Answer(text, drop_after=4),
    "drip": lambda text: Answer(text, drip=0.03, write_bytes=1),
    "type": lambda _: wrong_type(),
}


def expected(prompt: str) -> str:
    """Return the one right answer to a prompt; no two prompts share a word of it."""
    return " ".join(f"{prompt}-{i}" for i in range(6))


def faulty(share: float, seed: int) -> Callable[[Seen], Answer]:
    """Return a script in which each fault befalls this share of the calls, at random."""
    rng = random.Random(seed)

    def script(seen: Seen) -> Answer:
        text = expected(seen.prompt)
        at = rng.random() / share
        if at < len(FAULTS):
            return list(FAULTS.values())[int(at)](text)
        return Answer(text)

    return script


@dataclass
class Storm:
    """What came of it.

    Attributes:
        right: answers that were right and whole.
        errors: clear errors, by status.
        broken: streams that began right, broke off, and said so.
        wrong: everything else, which must be empty: wrong or spliced texts, wrong usage, unclear ends.
        tokens_in, tokens_out: summed over what the right answers told.
    """

    right: int = 0
    errors: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    wrong: list[str] = field(default_factory=list)
    tokens_in: int = 0
    tokens_out: int = 0

    def judge(self, prompt: str, status: int, body: str, streamed: bool, headers: Mapping[str, str]) -> None:
        """Look at one answer."""
        try:
            self._judge(prompt, status, body, streamed, headers)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            self.wrong.append(f"{prompt}: {status} {error!r} {body[:200]}")

    def _judge(self, prompt: str, status: int, body: str, streamed: bool, headers: Mapping[str, str]) -> None:
        if status != 200:
            error = json.loads(body)["error"]
            clear = error["message"] and error["type"] and status in (429, 502, 504)
            if not clear or (status == 429 and "retry-after" not in headers):
                raise ValueError("an error that is not clear")
            self.errors[status] += 1
            return
        text, usage, whole = _read_stream(body) if streamed else _read_whole(body)
        if not whole:
            if not expected(prompt).startswith(text) or not text:
                raise ValueError(f"a stream that broke off had {text!r}")
            self.broken += 1
            return
        if text != expected(prompt) or usage != {"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7}:
            raise ValueError(f"{text!r}, {usage}")
        self.right += 1
        self.tokens_in += usage["prompt_tokens"]
        self.tokens_out += usage["completion_tokens"]


def _read_whole(body: str) -> tuple[str, Any, bool]:
    data = json.loads(body)
    return data["choices"][0]["message"]["content"], data["usage"], True


def _read_stream(body: str) -> tuple[str, Any, bool]:
    """Return the text, the usage, and whether the stream ended as it should; raise where it is unclear."""
    *rows, last = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    data = [json.loads(row) for row in rows]
    text = "".join(row["choices"][0]["delta"].get("content") or "" for row in data if row["choices"])
    if last == "[DONE]":
        return text, data[-1]["usage"], True
    if not json.loads(last)["error"]["message"]:
        raise ValueError("a stream that ends without a word")
    return text, None, False


async def ask_all(url: str, count: int, clients: int, model: str = "small") -> Storm:
    """Ask so many times, every second time for a stream, and judge every answer."""
    storm = Storm()
    numbers = iter(range(count))

    async def one(client: httpx.AsyncClient) -> None:
        for number in numbers:
            prompt, streamed = f"q{number}", number % 2 == 1
            body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
            if streamed:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            try:
                answer = await client.post(f"{url}/v1/chat/completions", json=body)
            except httpx.HTTPError as error:
                storm.wrong.append(f"{prompt}: {error!r}")
                continue
            storm.judge(prompt, answer.status_code, answer.text, streamed, answer.headers)

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=clients)) as client:
        await asyncio.gather(*(one(client) for _ in range(clients)))
    return storm
