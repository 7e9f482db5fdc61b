"""Language modelling as a task: the cross-entropy of the tokens in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pilotfish.train.backbone import check, head_in, seen
from pilotfish.train.batch import Rows, rows_of
from pilotfish.train.examples import Example
from pilotfish.train.fused import Losses, fused_loss
from pilotfish.train.plan import batches

__all__ = ["Causal"]


class Causal(torch.nn.Module):  # type: ignore[misc]
    """A `Task`: a causal LM learns the tokens that stand in its examples.

    Args:
        student: a transformers causal LM, adapters or not.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the model's, for errors.
    """

    def __init__(self, student: Any, *, batch_tokens: int = 2048, name: str = "the student") -> None:
        super().__init__()
        self.student = student
        self.batch_tokens = batch_tokens
        check(student, name)

    def prepare(self, examples: Sequence[Example], step: int) -> Rows:
        """See `Task`."""
        return rows_of(examples, next(self.student.parameters()).device)

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        """Return the loss's sum over a batch, and the sums of its parts."""
        return self.losses(rows).total, {}

    def losses(self, rows: Rows) -> Losses:
        """Return the losses of a batch's tokens."""
        states = seen(self.student, rows).at(rows)
        return fused_loss(states, head_in(self.student), None, None, rows.labels, alpha=0, weights=rows.weights)

    def looked(self, examples: Sequence[Example]) -> dict[str, float]:
        """See `Task`: the cross-entropy and the perplexity, over all tokens with their weights."""
        losses, counts = self.each(examples)
        mean = float(losses.sum() / max(counts.sum(), 1e-9))
        return {"loss": mean, "perplexity": float(np.exp(mean))}

    def each(self, examples: Sequence[Example]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return each example's summed cross-entropy in nats, and its tokens, both with their weights: (examples,)."""
        losses = np.zeros(len(examples))
        with torch.no_grad():
            for batch in batches([len(one.ids) for one in examples], self.batch_tokens):
                rows = Causal.prepare(self, [examples[i] for i in batch], 0)
                found = (Causal.losses(self, rows).cross_entropy * rows.weights).double().cpu().numpy()
                np.add.at(losses, np.asarray(batch)[rows.row.cpu().numpy()], found)
        return losses, np.array([one.weight * one.count for one in examples])
