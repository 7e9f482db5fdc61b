"""Queries in other words, by a small model, searched too: more of them, a made-up answer, a broader one, keywords.

Sources: Gao et al. 2023 (HyDE), section 3: a passage that a model makes up, searched in place of the query; Rackauckas
2024 (RAG-Fusion): several queries, joined by reciprocal ranks; Zheng et al. 2024 (Step-Back Prompting).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pilotfish._sync import wait
from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.model import Model, Reply, Request, Trace
from pilotfish.retrieve._traced import Searched, Traced, traced
from pilotfish.retrieve.found import Hit, Retriever
from pilotfish.retrieve.hybrid import RANK_CONSTANT, fused

__all__ = ["WAYS", "Rewriting", "Rewritten"]

Rewriting = Literal["multi-query", "hyde", "step-back", "keywords"]
WAYS: Mapping[str, str] = {
    "multi-query": "Write {n} different search queries that would find what this question asks for, one a line, "
    "without numbers and without any other words.\n\nQuestion: {query}",
    "hyde": "Write a short passage, as of an encyclopedia, that answers the question.\n\nQuestion: {query}\n\nPassage:",
    "step-back": "Write one more general question, whose answer would help with this one. Answer with the question "
    "alone.\n\nQuestion: {query}",
    "keywords": "Write the keywords that a search for this question needs, on one line, separated by spaces, and "
    "nothing else.\n\nQuestion: {query}",
}
_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):])\s*")


@dataclass(frozen=True)
class Rewritten(Traced):
    """A retriever that is asked in a model's words, too; what all of them find is joined by reciprocal ranks.

    Args:
        retriever: searches.
        model: writes. Its calls are in the traces of `traced`.
        way: what it writes; "hyde" writes `n` passages, each by a call of its own.
        n: how many queries, or passages; of "step-back" and "keywords" there is one.
        keep: search the query itself, too.
        prompt: another one, with the place {query}, and {n} if it likes.
        max_tokens: of each answer.
        temperature: of the model; None leaves its own. Several passages of one temperature 0 are all alike.
        depth: how many finds of each are joined.
        concurrency: calls under way at once.
        name: in reports.

    Raises:
        ConfigError: another way, a number below 1, or a prompt without its place.
    """

    retriever: Retriever
    model: Model
    way: Rewriting = "multi-query"
    n: int = 3
    keep: bool = True
    prompt: str | None = None
    max_tokens: int = 128
    temperature: float | None = None
    depth: int = 100
    concurrency: int = 8
    name: str = "rewritten"

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ConfigError(f"no way to rewrite is called {self.way!r}{did_you_mean(self.way, WAYS)}")
        if min(self.n, self.max_tokens, self.depth, self.concurrency) < 1:
            raise ConfigError("n, max_tokens, depth and concurrency are 1 or more")
        if self.prompt is not None and "{query}" not in self.prompt:
            raise ConfigError("the prompt needs the place {query}")

    def traced(self, queries: Sequence[str], k: int = 10) -> Searched:
        """See `Retriever` and `Traced`. Where the model writes nothing of use the query alone is searched.

        Raises:
            ModelError: the model fails.
        """
        written = self.rewrite(queries)
        asked = [self._asked(query, texts) for query, (texts, _) in zip(queries, written, strict=True)]
        every = [text for texts in asked for text in texts]
        found, told = traced(self.retriever, every, max(k, self.depth))
        hits: list[list[Hit]] = []
        traces: list[Trace] = []
        at = 0
        for texts, (_, trace) in zip(asked, written, strict=True):
            some = range(at, at + len(texts))
            at += len(texts)
            lists = {text: found[place] for text, place in zip(texts, some, strict=True)}
            hits.append(fused(lists, "rrf", None, RANK_CONSTANT)[:k] if len(texts) > 1 else found[some[0]][:k])
            traces.append(sum((told[place] for place in some), trace))
        return hits, traces

    def rewrite(self, queries: Sequence[str]) -> list[tuple[list[str], Trace]]:
        """Return what the model writes for each query, and what it took.

        Raises:
            ModelError: the model fails.
        """
        times = self.n if self.way == "hyde" else 1
        replies = wait(self._replies([query for query in queries for _ in range(times)]))
        found = []
        for place in range(len(queries)):
            some = replies[place * times : (place + 1) * times]
            texts = list(dict.fromkeys(text for reply in some for text in self._read(reply.text)))
            found.append((texts, sum((reply.trace for reply in some), Trace())))
        return found

    async def _replies(self, queries: Sequence[str]) -> list[Reply]:
        room = asyncio.Semaphore(self.concurrency)

        async def one(query: str) -> Reply:
            text = (self.prompt or WAYS[self.way]).replace("{n}", str(self.n)).replace("{query}", query)
            async with room:
                return await self.model.reply(
                    Request.of(text, max_tokens=self.max_tokens, temperature=self.temperature)
                )

        return await asyncio.gather(*(one(query) for query in queries))

    def _read(self, text: str) -> list[str]:
        """Return what a reply holds: a passage whole, of the others its lines, without the marks of a list."""
        if self.way == "hyde":
            return [text.strip()] if text.strip() else []
        lines = [_MARK.sub("", line).strip().strip('"').strip() for line in text.splitlines()]
        return [line for line in lines if line][: self.n if self.way == "multi-query" else 1]

    def _asked(self, query: str, texts: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([query, *texts])) if self.keep or not texts else list(texts)
