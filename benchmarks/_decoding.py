"""Timing greedy decoding: ours step by step, and `transformers.generate` with a clock in it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

PROMPTS = (
    "Write a function that returns the n-th Fibonacci number, and explain how long it takes.",
    "The history of the sea is the history of those who crossed it, and",
    "def quicksort(items):",
    "List three reasons why a small model may answer better than a large one.",
    "My card has not arrived yet, and the letter that came said nothing about it. What should I do?",
    "In the year 1815 the harvest failed in most of Europe because",
    "class LinkedList:\n    def __init__(self):\n        self.head = None\n\n    def append(self, value):",
    "Translate to French: the cat sat on the mat and looked at the moon.",
)


@dataclass(frozen=True)
class Run:
    """Greedy tokens (rows, steps), and when each step's tokens were known, in seconds."""

    tokens: list[list[int]]
    times: list[float]

    @property
    def rate(self) -> float:
        """Tokens a second of all rows together, once the prompts have been run."""
        return len(self.tokens) * (len(self.times) - 1) / (self.times[-1] - self.times[0])


def prompts(tokenizer: Any, rows: int) -> list[list[int]]:
    """Return the first `rows` prompts as ids."""
    return [tokenizer(text)["input_ids"] for text in PROMPTS[:rows]]


def ours(decoder: Any, ids: list[list[int]], steps: int) -> Run:
    """Decode greedily with one of our decoders."""
    rows, logits = decoder.start([[row] for row in ids])
    picked, times = [logits.argmax(dim=-1).tolist()], [time.perf_counter()]
    while len(picked) < steps:
        logits = torch.cat(decoder.feed(rows, [[token] for token in picked[-1]]))
        picked.append(logits.argmax(dim=-1).tolist())
        times.append(time.perf_counter())
    for row in rows:
        decoder.close(row)
    return Run([list(row) for row in zip(*picked, strict=True)], times)


def generate(module: Any, ids: list[list[int]], steps: int) -> Run:
    """Decode greedily with `transformers.generate`, rows padded on the left; the clock is a stopping criterion.

    The module's generation config is replaced by an empty one: no end token (ours has none here), no penalties.
    """
    from transformers import GenerationConfig

    module.generation_config = GenerationConfig(pad_token_id=0)
    times: list[float] = []

    def clock(ids: Any, scores: Any, **_: Any) -> Any:
        times.append(time.perf_counter())
        return torch.zeros(len(ids), dtype=torch.bool)

    longest = max(len(row) for row in ids)
    padded = torch.tensor([[0] * (longest - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    with torch.inference_mode():
        out = module.generate(
            input_ids=padded,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=steps,
            stopping_criteria=[clock],
        )
    return Run(out[:, longest:].tolist(), times)


def prefill_ours(decoder: Any, ids: list[int]) -> float:
    """Return the seconds a prompt takes."""
    started = time.perf_counter()
    rows, _ = decoder.start([[ids]])
    seconds = time.perf_counter() - started
    decoder.close(rows[0])
    return seconds


def prefill_transformers(module: Any, ids: list[int]) -> float:
    """Return the seconds the module's forward takes over a prompt, with a cache, logits of the last token only."""
    started = time.perf_counter()
    with torch.inference_mode():
        module(input_ids=torch.tensor([ids]), use_cache=True, logits_to_keep=1)
    return time.perf_counter() - started


def differing(mine: Run, theirs: Run) -> float:
    """Return the share of tokens that differ; greedy paths that part once stay apart."""
    pairs = [pair for row in zip(mine.tokens, theirs.tokens, strict=True) for pair in zip(*row, strict=True)]
    return sum(a != b for a, b in pairs) / len(pairs)


def bandwidth() -> float:
    """Return bytes a second that reading memory reaches here: the best of several passes over 512 MB."""
    block = torch.ones(2**27)
    table, ones = block.view(8192, -1), torch.ones(2**14)
    best = 0.0
    for read in (block.sum, lambda: torch.mv(table, ones)) * 5:
        started = time.perf_counter()
        read()
        best = max(best, block.numel() * 4 / (time.perf_counter() - started))
    return best
