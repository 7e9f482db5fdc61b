"""Examples as one padded batch, and where in it the tokens in the loss are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.train.examples import Example

__all__ = ["Rows", "rows_of"]


@dataclass(frozen=True)
class Rows:
    """Examples of one pass.

    Attributes:
        examples: the examples.
        ids: (examples, longest), padded at the end with 0; `row` and `at` name real tokens alone, by length.
        row: (tokens,) the example of each token in the loss.
        at: (tokens,) the position that predicts it, one before its own: the shift is made here and nowhere else.
        labels: (tokens,) the token itself.
        weights: (tokens,) float32.
        sampled: whether the student wrote the tokens, so that there is nothing of the data's to imitate.
        advantages: (tokens,) of the student's own tokens, where they are learnt by a policy gradient.
        importance: (tokens,) how much likelier than they were drawn the student would say them; None for 1. It weighs
            the loss and is no part of its denominator.
    """

    examples: tuple[Example, ...]
    ids: Any
    row: Any
    at: Any
    labels: Any
    weights: Any
    sampled: bool = False
    advantages: Any = None
    importance: Any = None

    @property
    def count(self) -> float:
        """The weighted tokens in the loss."""
        return float(sum(one.weight * one.count for one in self.examples))


def rows_of(examples: Sequence[Example], device: Any, *, sampled: bool = False) -> Rows:
    """Return examples as one batch."""
    torch = need("torch", "train")
    width = max(len(one.ids) for one in examples)
    ids = torch.zeros((len(examples), width), dtype=torch.long)
    row: list[int] = []
    at: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    for i, one in enumerate(examples):
        ids[i, : len(one.ids)] = torch.tensor(one.ids)
        row += [i] * one.count
        at += range(one.start - 1, len(one.ids) - 1)
        labels += one.ids[one.start :]
        weights += [one.weight] * one.count
    whole = torch.tensor([row, at, labels], dtype=torch.long).to(device)
    return Rows(
        tuple(examples),
        ids.to(device),
        row=whole[0],
        at=whole[1],
        labels=whole[2],
        weights=torch.tensor(weights, dtype=torch.float32).to(device),
        sampled=sampled,
    )
