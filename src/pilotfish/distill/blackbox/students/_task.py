"""What an encoder student learns, as a task of the training loop: texts go in, a loss of their vectors comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pilotfish.models.encoder import Encoder
from pilotfish.train.examples import Example
from pilotfish.train.loop import Fitted, fit
from pilotfish.train.settings import Fit

__all__ = ["train"]

# (vectors of a pass, its rows, what each counts) -> the loss's sum
Loss = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class _Batch:
    rows: Any
    weights: Any
    inputs: dict[str, Any]

    @property
    def count(self) -> float:
        """What the loss's sum is divided by."""
        return float(self.weights.sum())


class _EncoderTask(torch.nn.Module):  # type: ignore[misc]
    """An encoder, what stands on it, and the loss of the two."""

    def __init__(self, module: Any, head: Any, texts: Sequence[str], loss: Loss) -> None:
        super().__init__()
        self.module, self.head = module, head
        self._texts, self._loss = texts, loss

    def prepare(self, examples: Sequence[Example], step: int) -> _Batch:
        device = self.module.device
        prepared = getattr(self.module, "preprocess", None) or self.module.tokenize  # its name until version 5.2
        inputs = prepared([self._texts[one.row] for one in examples])
        return _Batch(
            torch.tensor([one.row for one in examples], device=device),
            torch.tensor([one.weight for one in examples], dtype=torch.float32, device=device),
            {name: value.to(device) if hasattr(value, "to") else value for name, value in inputs.items()},
        )

    def forward(self, batch: _Batch) -> tuple[Any, dict[str, Any]]:
        vectors = self.module(dict(batch.inputs))["sentence_embedding"].float()
        return self._loss(self.head(vectors), batch.rows, batch.weights), {}

    def looked(self, examples: Sequence[Example]) -> dict[str, float]:
        batches = [self.prepare(examples[i : i + 32], 0) for i in range(0, len(examples), 32)]
        total = sum(float(self(batch)[0]) for batch in batches)
        return {"loss": total / max(sum(batch.count for batch in batches), 1e-9)}


def train(
    encoder: Encoder,
    head: Any,
    texts: Sequence[str],
    weights: NDArray[np.float64],
    loss: Loss,
    how: Fit,
    folder: str | Path | None,
    identity: str,
) -> Fitted:
    """Train a copy of an encoder and a head on texts, in place; a run that was killed in `folder` goes on.

    Args:
        encoder: a copy of its own weights (`Encoder.copied`).
        head: a torch module over its vectors.
        texts: what to learn from.
        weights: (texts,) what each counts; those that count nothing are left out.
        loss: of the head's outputs: the sum over a pass, each row times what it counts.
        how: sizes and rates.
        folder: of checkpoints and log; None for one that goes when the run ends.
        identity: a digest of everything that decides the result.
    """
    sizes = encoder.lengths(texts)
    # One "token in the loss" a text, whatever its length: the loop then divides by what the rows of a step count.
    examples = [
        Example((0,) * max(2, min(size, encoder.max_length)), max(2, min(size, encoder.max_length)) - 1, float(w), row)
        for row, (size, w) in enumerate(zip(sizes, weights, strict=True))
        if w > 0
    ]
    task = _EncoderTask(encoder.model, head, texts, loss)
    _freeze_unused(task, examples[:1])
    if folder is not None:
        fitted = fit(task, examples, [], how, Path(folder), identity, progress=False)
    else:
        with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
            fitted = fit(task, examples, [], how, Path(own), identity, progress=False)
    task.eval()
    return fitted


def _freeze_unused(task: _EncoderTask, examples: Sequence[Example]) -> None:
    """Take out of training what no gradient comes to, as BERT's pooler: a checkpoint would lack its moments."""
    if not examples:
        return
    task(task.prepare(examples, 0))[0].backward()
    for value in task.parameters():
        value.requires_grad_(value.grad is not None)
        value.grad = None
