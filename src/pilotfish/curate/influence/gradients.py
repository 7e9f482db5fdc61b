"""The gradient of one row, and the step that Adam would take by it.

Source: Xia et al. 2024 (LESS), sections 2 and 4.1: the direction of Adam's update after a row, at the moments that
training has reached, is Γ = m / (√v + ε), with m and v what they become with the row's gradient; rows to be learnt are
told by it, rows of what is wanted by their plain gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.curate.influence.sketch import Sketch
from pilotfish.train.causal import Causal
from pilotfish.train.examples import Example

__all__ = ["Moments", "gradients", "sketched"]


@dataclass(frozen=True)
class Moments:
    """Adam's state, of all trained weights one after another.

    Attributes:
        first: (numbers,), the mean of gradients.
        second: (numbers,), the mean of their squares.
        step: how many steps made them.
        betas, epsilon: as in training.
    """

    first: Any
    second: Any
    step: int
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    @classmethod
    def read(cls, file: Path, names: Sequence[str], betas: tuple[float, float]) -> Moments:
        """Read what `train` has kept at a mark."""
        tensors = need("safetensors.torch", "local").load_file(file)
        first, second = (torch.cat([tensors[f"{key}/{name}"].reshape(-1) for name in names]) for key in _KEYS)
        return cls(first.float(), second.float(), int(tensors[f"step/{names[0]}"].item()), betas)

    def update(self, gradient: Any) -> Any:
        """Return the direction of the update after one more step by this gradient: (numbers,)."""
        (b1, b2), step = self.betas, self.step + 1
        first = (b1 * self.first + (1 - b1) * gradient) / (1 - b1**step)
        second = (b2 * self.second + (1 - b2) * gradient * gradient) / (1 - b2**step)
        return first / (second.sqrt() + self.epsilon)


_KEYS = ("exp_avg", "exp_avg_sq")


def gradients(task: Causal, examples: Sequence[Example], weights: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the gradient of each example's mean loss a token by the weights, one after another: (numbers,), float32."""
    task.eval()  # dropout would make another gradient each time
    for example in examples:
        for value in weights.values():
            value.grad = None
        (task.losses(task.prepare([example], 0)).total / max(1e-9, example.weight * example.count)).backward()
        yield torch.cat(
            [
                (torch.zeros_like(value) if value.grad is None else value.grad).detach().reshape(-1).float()
                for value in weights.values()
            ]
        )


def sketched(
    task: Causal,
    examples: Sequence[Example],
    weights: Mapping[str, Any],
    sketch: Sketch,
    moments: Moments | None,
) -> Iterator[NDArray[np.float32]]:
    """Yield each example's gradient, or Adam's step by it, sketched and of length one: (size,)."""
    for gradient in gradients(task, examples, weights):
        found = sketch(gradient if moments is None else moments.update(gradient))
        yield (found / found.norm().clamp(min=1e-30)).cpu().numpy()
