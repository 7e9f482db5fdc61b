"""Perplexity of a decoder on windows of a text, against transformers' own forward on the same windows."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models._decoded_scoring import score_ids

PIECE = 64  # tokens whose logits are made float32 at once


def windows(tokenizer: Any, text: Path, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Return `count` windows of `length` tokens that do not overlap, drawn from a text."""
    ids = tokenizer(text.read_text(encoding="utf-8"))["input_ids"]
    starts = random.Random(seed).sample(range(len(ids) // length), count)
    return [ids[at * length : (at + 1) * length] for at in starts]


def by_decoder(decoder: Any, window: list[int]) -> float:
    """Return the mean negative log-likelihood of a window's tokens after the first, in nats."""
    (scored,) = score_ids(decoder, [(window, 1)], batch_tokens=len(window))
    return -scored.total / (len(window) - 1)


def by_transformers(module: Any, window: list[int]) -> float:
    """Return the same by the module's own forward over the whole window."""
    with torch.inference_mode():
        logits = module(input_ids=torch.tensor([window])).logits[0, :-1]
        pieces = zip(logits.split(PIECE), torch.tensor(window[1:]).split(PIECE), strict=True)
        total = sum(float(cross_entropy(some.float(), targets, reduction="sum")) for some, targets in pieces)
    return total / (len(window) - 1)


def relative(mine: list[float], theirs: list[float]) -> Interval:
    """Return how much higher our perplexity is, as a share of theirs, over windows drawn again in pairs."""
    found = bootstrap([a - b for a, b in zip(mine, theirs, strict=True)])
    return Interval(math.expm1(found.value), math.expm1(found.low), math.expm1(found.high), found.level, n=len(mine))
