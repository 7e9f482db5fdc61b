"""Perplexity of a decoder on windows of a text, against transformers' own forward on the same windows."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import torch

from pilotfish.measure.intervals import Interval, bootstrap

PIECE = 64  # tokens fed at once: their logits are held in float32


def windows(tokenizer: Any, text: Path, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Return `count` windows of `length` tokens that do not overlap, drawn from a text."""
    ids = tokenizer(text.read_text(encoding="utf-8"))["input_ids"]
    starts = random.Random(seed).sample(range(len(ids) // length), count)
    return [ids[at * length : (at + 1) * length] for at in starts]


def by_decoder(decoder: Any, window: list[int]) -> float:
    """Return the mean negative log-likelihood of a window's tokens after the first, in nats."""
    [row], logits = decoder.start([[window[:1]]])
    total = _loss(logits, window[1:2])
    for at in range(1, len(window) - 1, PIECE):
        fed = window[at : min(at + PIECE, len(window) - 1)]
        total += _loss(decoder.feed([row], [fed])[0], window[at + 1 : at + 1 + len(fed)])
    decoder.close(row)
    return total / (len(window) - 1)


def by_transformers(module: Any, window: list[int]) -> float:
    """Return the same by the module's own forward over the whole window."""
    with torch.inference_mode():
        logits = module(input_ids=torch.tensor([window])).logits[0, :-1]
        total = sum(
            _loss(logits[at : at + PIECE], window[at + 1 : at + 1 + PIECE]) for at in range(0, len(logits), PIECE)
        )
    return total / (len(window) - 1)


def _loss(logits: torch.Tensor, targets: list[int]) -> float:
    return float(torch.nn.functional.cross_entropy(logits.float(), torch.tensor(targets), reduction="sum"))


def relative(mine: list[float], theirs: list[float]) -> Interval:
    """Return how much higher our perplexity is, as a share of theirs, over windows drawn again in pairs."""
    found = bootstrap([a - b for a, b in zip(mine, theirs, strict=True)])
    return Interval(math.expm1(found.value), math.expm1(found.low), math.expm1(found.high), found.level, n=len(mine))
