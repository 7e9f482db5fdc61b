"""An encoder and a head over its vectors, as a task of the training loop: texts go in, a loss comes out.

Students and routers are trained here, each by a loss of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.train.examples import Example
from pilotfish.train.loop import Fitted, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder
    from pilotfish.train.settings import Fit

__all__ = ["Loss", "ScaledHead", "train"]

# (the head's outputs of a pass, its rows, what each counts) -> the loss's sum
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


def train(
    encoder: Encoder,
    head: Any,
    texts: Sequence[str],
    weights: NDArray[np.float64],
    loss: Loss,
    how: Fit,
    folder: str | Path | None,
    identity: str,
    *,
    beside: NDArray[np.float64] | None = None,
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
        beside: (texts, columns) numbers that the head is given after the vector's.

    Raises:
        DataError: nothing to learn from, or the folder holds another run's checkpoint.
        ModelError: the loss is not finite.
    """
    torch = need("torch", "train")
    sizes = [max(2, min(size, encoder.max_length)) for size in encoder.lengths(texts)]
    # One "token in the loss" a text, whatever its length: the loop then divides by what the rows of a step count.
    examples = [
        Example((0,) * size, size - 1, float(weight), row)
        for row, (size, weight) in enumerate(zip(sizes, weights, strict=True))
        if weight > 0
    ]
    module = encoder.model
    given = None if beside is None else torch.tensor(beside, dtype=torch.float32, device=module.device)
    task = _task(module, head, texts, loss, given)
    _freeze_unused(task, examples[:1])
    if folder is not None:
        fitted = fit(task, examples, [], how, Path(folder), identity, progress=False)
    else:
        with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
            # Nobody could go on from these checkpoints: there is only the one that ends a run.
            fitted = fit(task, examples, [], replace(how, every=2**31), Path(own), identity, progress=False)
    task.eval()
    return fitted


def _task(module: Any, head: Any, texts: Sequence[str], loss: Loss, beside: Any) -> Any:
    """Return an encoder, what stands on it, and the loss of the two, as the loop wants them."""
    torch = need("torch", "train")

    class EncoderTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module, self.head = module, head

        def prepare(self, examples: Sequence[Example], step: int) -> _Batch:
            device = module.device
            prepared = getattr(module, "preprocess", None) or module.tokenize  # its name until version 5.2
            inputs = prepared([texts[one.row] for one in examples])
            return _Batch(
                torch.tensor([one.row for one in examples], device=device),
                torch.tensor([one.weight for one in examples], dtype=torch.float32, device=device),
                {name: value.to(device) if hasattr(value, "to") else value for name, value in inputs.items()},
            )

        def forward(self, batch: _Batch) -> tuple[Any, dict[str, Any]]:
            vectors = self.module(dict(batch.inputs))["sentence_embedding"].float()
            if beside is not None:
                vectors = torch.cat([vectors, beside[batch.rows]], dim=1)
            return loss(self.head(vectors), batch.rows, batch.weights), {}

        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            batches = [self.prepare(examples[i : i + 32], 0) for i in range(0, len(examples), 32)]
            total = sum(float(self(batch)[0]) for batch in batches)
            return {"loss": total / max(sum(batch.count for batch in batches), 1e-9)}

    return EncoderTask()


def _freeze_unused(task: Any, examples: Sequence[Example]) -> None:
    """Take out of training what no gradient comes to, as BERT's pooler: a checkpoint would lack its moments."""
    if not examples:
        return
    task(task.prepare(examples, 0))[0].backward()
    for value in task.parameters():
        value.requires_grad_(value.grad is not None)
        value.grad = None


class ScaledHead:
    """A linear head whose weights stand there divided by `rate`: one learning rate then moves them `rate` times as far.

    Adam's steps go by the rate alone, not by the gradient's size, and a head that starts from nothing has to go far.

    Args:
        width: of what it is given.
        outputs: how many numbers it gives.
        rate: how many times the encoder's learning rate its own is.
        seed: of its first weights.
        bias: (outputs,) its first biases; zeros where there are none.
    """

    def __init__(
        self, width: int, outputs: int, rate: float, seed: int, bias: NDArray[np.float64] | None = None
    ) -> None:
        torch = need("torch", "train")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            linear = torch.nn.Linear(width, outputs)
            torch.nn.init.normal_(linear.weight, std=0.01 / rate)
        first = np.zeros(outputs) if bias is None else np.asarray(bias) / rate
        linear.bias.data = torch.tensor(first, dtype=torch.float32)
        self.rate, self.linear = rate, linear
        self.module = torch.nn.Sequential(linear, _times(rate))

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the head's weights (outputs, width) and biases (outputs,) as they count."""
        coef, bias = (value.detach().float().cpu().numpy() * self.rate for value in self.linear.parameters())
        return np.ascontiguousarray(coef, np.float32), np.ascontiguousarray(bias, np.float32)


def _times(rate: float) -> Any:
    torch = need("torch", "train")

    class Times(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x * rate

    return Times()
