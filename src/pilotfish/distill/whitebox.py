"""White-box distillation: a student learns its teacher's next-token distributions, over texts or over its own words.

Sources: Hinton et al. 2015; Kim and Rush 2016 (word level); Agarwal et al. 2024 (GKD) for the student's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pilotfish.distill.backbone import checked, seen
from pilotfish.distill.batch import Rows, rows_of
from pilotfish.distill.divergence import Divergence
from pilotfish.distill.fused import FromHead, Target, fused_loss
from pilotfish.train.examples import Example
from pilotfish.train.plan import batches

__all__ = ["Weighing", "WhiteBox"]


@dataclass(frozen=True)
class Weighing:
    """What the loss of a token is made of: α T² D(teacher, student at T) + (1 − α) CE.

    Attributes:
        divergence: D.
        alpha: its share.
        temperature: T, of the loss; the one at which answers are sampled is another.
    """

    divergence: Divergence
    alpha: float = 1.0
    temperature: float = 1.0


class WhiteBox(torch.nn.Module):  # type: ignore[misc]
    """A `Task`: the student is trained, the teacher looked at.

    Args:
        student: a transformers causal LM, adapters or not.
        teacher: another one of the same vocabulary but for rows of padding; None where `alpha` is 0.
        weighing: the loss.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.
    """

    def __init__(
        self, student: Any, teacher: Any, weighing: Weighing, *, batch_tokens: int = 2048, name: str = "the student"
    ) -> None:
        super().__init__()
        self.student = student
        # In a list: a module that is an attribute would be trained, counted and saved with this one.
        self._teacher = [] if teacher is None else [teacher.eval().requires_grad_(False)]
        self.weighing = weighing
        self._batch_tokens = batch_tokens
        self.head = checked(student, name)
        self.teacher_head = checked(teacher, "the teacher") if teacher is not None else None

    def prepare(self, examples: Sequence[Example], step: int) -> Rows:
        """See `Task`."""
        return rows_of(examples, self.head.weight.device)

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        """Return the loss's sum over a batch, and the sums of its parts."""
        weighing = self.weighing
        target = self.target(rows) if weighing.alpha else None
        losses = fused_loss(
            seen(self.student, rows).at(rows),
            self.head,
            target,
            weighing.divergence,
            rows.labels,
            alpha=weighing.alpha,
            temperature=weighing.temperature,
            weights=rows.weights,
        )
        figures = {}
        if weighing.alpha:
            figures["divergence"] = (losses.divergence * rows.weights).sum()
        if weighing.alpha < 1:
            figures["cross_entropy"] = (losses.cross_entropy * rows.weights).sum()
        return losses.total, figures

    def target(self, rows: Rows) -> Target:
        """Return the teacher's distributions at the tokens in the loss."""
        assert self.teacher_head is not None
        with torch.no_grad():
            return FromHead(seen(self._teacher[0], rows).at(rows), self.teacher_head)

    def looked(self, examples: Sequence[Example]) -> dict[str, float]:
        """See `Task`: the loss, its parts, and the perplexity of the data."""
        sums = {"loss": 0.0, "divergence": 0.0, "cross_entropy": 0.0}
        count = 0.0
        weighing = self.weighing
        for batch in batches([len(one.ids) for one in examples], self._batch_tokens):
            rows = self.prepare([examples[i] for i in batch], 0)
            states = seen(self.student, rows).at(rows)
            # The cross-entropy is always told; where only the divergence is learnt it costs one more softmax.
            losses = fused_loss(
                states,
                self.head,
                self.target(rows) if weighing.alpha else None,
                weighing.divergence,
                rows.labels,
                alpha=0.5 if weighing.alpha else 0.0,
                temperature=weighing.temperature,
            )
            parts = {"divergence": losses.divergence, "cross_entropy": losses.cross_entropy}
            for name, part in parts.items():
                sums[name] += float((part * rows.weights).sum())
            count += rows.count
        means = {name: value / max(count, 1e-9) for name, value in sums.items()}
        means["loss"] = (
            weighing.alpha * weighing.temperature**2 * means["divergence"]
            + (1 - weighing.alpha) * means["cross_entropy"]
        )
        means["perplexity"] = float(torch.tensor(means["cross_entropy"], dtype=torch.float64).exp())
        return means
