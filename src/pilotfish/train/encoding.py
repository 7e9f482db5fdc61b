"""An encoder and a head over its vectors, as a task of the training loop: texts go in, a loss comes out.

Students, routers and strong models are trained here, each by a loss of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.train.examples import Example, Learnable
from pilotfish.train.loop import Fitted, fit
from pilotfish.train.lora import adapted, merged
from pilotfish.train.plan import planned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder
    from pilotfish.train.settings import Fit

__all__ = ["Loss", "ScaledHead", "freeze_unused", "put_body", "train"]

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
    texts: Sequence[str] | Sequence[tuple[str, ...]],
    weights: NDArray[np.float64],
    loss: Loss,
    how: Fit,
    folder: str | Path | None,
    identity: str,
    *,
    beside: NDArray[np.float64] | None = None,
    held_out: Sequence[int] = (),
    look: Loss | None = None,
    moment: Callable[[float], None] | None = None,
    progress: bool = False,
) -> Fitted:
    """Train a copy of an encoder and a head on texts, in place; a run that was killed in `folder` goes on.

    Args:
        encoder: a copy of its own weights (`Encoder.copied`).
        head: a torch module over its vectors.
        texts: what to learn from; or groups of as many texts each, as the two of a preference, which are read together:
            the loss is then given (rows, texts of a group, outputs).
        weights: (texts,) what each counts; those that count nothing are left out.
        loss: of the head's outputs: the sum over a pass, each row times what it counts.
        how: sizes and rates; with a rank, adapters on the encoder learn, and are merged at the end.
        folder: of checkpoints and log; None for one that goes when the run ends.
        identity: a digest of everything that decides the result.
        beside: (texts, columns) numbers that the head is given after the vector's.
        held_out: texts that nothing is learnt from, by which `how.patience` stops.
        look: the loss of these; None is `loss`.
        moment: told before each pass which share of the steps is done.
        progress: show a bar.

    Raises:
        DataError: nothing to learn from, or the folder holds another run's checkpoint.
        ModelError: the loss is not finite.
    """
    torch = need("torch", "train")
    groups = [(one,) if isinstance(one, str) else one for one in texts]
    wide = len(groups[0]) if groups else 1
    each = [max(2, min(size, encoder.max_length)) for size in encoder.lengths([text for one in groups for text in one])]
    # All of a group are padded to its longest.
    sizes = [wide * max(each[i : i + wide]) for i in range(0, len(each), wide)]
    # One "token in the loss" a text, whatever its length: the loop then divides by what the rows of a step count.
    away = set(held_out)
    examples = [
        Example((0,) * size, size - 1, float(weight), row)
        for row, (size, weight) in enumerate(zip(sizes, weights, strict=True))
        if weight > 0
    ]
    learnt = [one for one in examples if one.row not in away]
    held = [one for one in examples if one.row in away]
    module = encoder.model
    adapters = _adapted(module, how)
    given = None if beside is None else torch.tensor(beside, dtype=torch.float32, device=module.device)
    task = _task(module, head, groups, (loss, look or loss), given)
    task.moment = None if moment is None else _told(moment, len(planned(learnt, how)))
    freeze_unused(task, learnt[:1])
    if folder is not None:
        fitted = fit(task, learnt, held, how, Path(folder), identity, progress=progress)
    else:
        with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
            # Nobody could go on from these checkpoints: there is only the one that ends a run.
            fitted = fit(task, learnt, held, replace(how, every=2**31), Path(own), identity, progress=progress)
    if adapters:
        put_body(module, merged(module[0].auto_model, how))
    task.eval()
    return fitted


def _adapted(module: Any, how: Fit) -> bool:
    """Put adapters on an encoder's transformer where they are wanted; say whether there are any."""
    if how.rank:
        put_body(module, adapted(module[0].auto_model, how, kind="FEATURE_EXTRACTION"))
    return how.rank > 0


def put_body(module: Any, body: Any) -> None:
    """Put another transformer in the place of an encoder's; `auto_model` was its name until version 5."""
    name = next(name for name, value in module[0].named_children() if value is module[0].auto_model)
    setattr(module[0], name, body)


def _told(moment: Callable[[float], None], steps: int) -> Callable[[int], None]:
    return lambda step: moment(step / max(1, steps))


def _task(module: Any, head: Any, groups: Sequence[tuple[str, ...]], losses: tuple[Loss, Loss], beside: Any) -> Any:
    """Return an encoder, what stands on it, and the losses of learning and of looking, as the loop wants them."""
    torch = need("torch", "train")

    class EncoderTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module, self.head = module, head
            self.moment: Callable[[int], None] | None = None

        def prepare(self, examples: Sequence[Example], step: int) -> _Batch:
            if self.training and self.moment is not None:
                self.moment(step)
            device = module.device
            prepared = getattr(module, "preprocess", None) or module.tokenize  # its name until version 5.2
            inputs = prepared([text for one in examples for text in groups[one.row]])
            return _Batch(
                torch.tensor([one.row for one in examples], device=device),
                torch.tensor([one.weight for one in examples], dtype=torch.float32, device=device),
                {name: value.to(device) if hasattr(value, "to") else value for name, value in inputs.items()},
            )

        def forward(self, batch: _Batch) -> tuple[Any, dict[str, Any]]:
            vectors = self.module(dict(batch.inputs))["sentence_embedding"].float()
            if beside is not None:
                vectors = torch.cat([vectors, beside[batch.rows]], dim=1)
            found = self.head(vectors)
            if len(groups[0]) > 1:
                found = found.view(len(batch.rows), len(groups[0]), -1)
            return losses[not self.training](found, batch.rows, batch.weights), {}

        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            batches = [self.prepare(examples[i : i + 32], 0) for i in range(0, len(examples), 32)]
            total = sum(float(self(batch)[0]) for batch in batches)
            return {"loss": total / max(sum(batch.count for batch in batches), 1e-9)}

    return EncoderTask()


def freeze_unused(task: Any, examples: Sequence[Learnable]) -> None:
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
        weight: (outputs, width) its first weights; small random ones where there are none.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        rate: float,
        seed: int,
        bias: NDArray[np.floating[Any]] | None = None,
        weight: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        torch = need("torch", "train")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            linear = torch.nn.Linear(width, outputs)
            torch.nn.init.normal_(linear.weight, std=0.01 / rate)
        first = np.zeros(outputs) if bias is None else np.asarray(bias) / rate
        linear.bias.data = torch.tensor(first, dtype=torch.float32)
        if weight is not None:
            linear.weight.data = torch.tensor(np.asarray(weight) / rate, dtype=torch.float32)
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
