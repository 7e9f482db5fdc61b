"""How near a student is to its teacher, example by example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pilotfish.distill.divergence import ForwardKL
from pilotfish.distill.whitebox import WhiteBox
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.train.backbone import head_in, seen
from pilotfish.train.causal import Causal
from pilotfish.train.divergence import Divergence
from pilotfish.train.examples import Example
from pilotfish.train.fused import Target, fused_loss
from pilotfish.train.plan import batches

__all__ = ["Nearness", "nearness"]

FIGURES = ("cross_entropy", "divergence", "agreement")


@dataclass(frozen=True)
class Nearness:
    """Sums over each example's tokens in the loss, with their weights; all arrays are (examples,).

    Attributes:
        cross_entropy: of the data's tokens, nats.
        counts: tokens.
        divergence: KL(teacher ‖ student) at temperature 1, or at the one the cache was captured at, nats; None without
            a teacher.
        agreement: where the student's likeliest token is the teacher's; None without one.
    """

    cross_entropy: NDArray[np.float64]
    counts: NDArray[np.float64]
    divergence: NDArray[np.float64] | None = None
    agreement: NDArray[np.float64] | None = None

    @property
    def figures(self) -> list[str]:
        """The names of the figures that there are."""
        return [name for name in FIGURES if getattr(self, name) is not None]

    def mean(self, name: str) -> float:
        """Return a figure's mean over tokens."""
        return float(getattr(self, name).sum() / self.counts.sum())

    def gain(self, name: str, before: Nearness, seed: int = 0) -> Interval:
        """Return how much a figure's mean over tokens grew, with a paired bootstrap over examples."""
        pairs = np.stack([getattr(self, name) - getattr(before, name), self.counts], axis=1)
        return bootstrap(pairs, lambda drawn: float(drawn[:, 0].sum() / drawn[:, 1].sum()), resamples=2000, seed=seed)


class _Agreeing:
    """A target that notes, on the way, where student and teacher have the same likeliest token."""

    def __init__(self, inner: Target, agreed: Any) -> None:
        self._inner, self._agreed = inner, agreed
        self.rows = inner.rows
        self._start = 0

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        self._start = start
        self._inner.begin(start, end, rows, temperature)

    def compare(self, within: slice, log_p: Any, p: Any, divergence: Divergence, grad: Any) -> Any:
        loss = self._inner.compare(within, log_p, p, divergence, grad)
        at = slice(self._start + within.start, self._start + within.stop)
        self._agreed[at] = (log_p.argmax(-1) == self._inner.likeliest(within)).to(self._agreed.dtype)
        return loss

    def likeliest(self, within: slice) -> Any:
        return self._inner.likeliest(within)


def nearness(task: Causal, examples: Sequence[Example]) -> Nearness:
    """Return how near the task's student is to the data on examples, and to its teacher where it has one."""
    if not isinstance(task, WhiteBox):
        task.eval()
        return Nearness(*task.each(examples))
    sums = {name: np.zeros(len(examples)) for name in FIGURES}
    task.eval()
    with torch.no_grad():
        for batch in batches([len(one.ids) for one in examples], task.batch_tokens):
            rows = task.prepare([examples[i] for i in batch], 0)
            agreed = torch.zeros(len(rows.labels), dtype=torch.float32, device=rows.ids.device)
            states = seen(task.student, rows).at(rows)
            losses = fused_loss(
                states,
                head_in(task.student),
                _Agreeing(task.target(rows, states), agreed),
                ForwardKL(),
                rows.labels,
                alpha=0.5,
                temperature=task.measured_at,
            )
            where = np.asarray(batch)[rows.row.cpu().numpy()]
            parts = (losses.cross_entropy, losses.divergence, agreed)
            for name, part in zip(FIGURES, parts, strict=True):
                np.add.at(sums[name], where, (part * rows.weights).double().cpu().numpy())
    counts = np.array([one.weight * one.count for one in examples])
    return Nearness(counts=counts, **sums)
