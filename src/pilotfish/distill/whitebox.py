"""White-box distillation: a student learns its teacher's next-token distributions, over texts or over its own words.

Sources: Hinton et al. 2015; Kim and Rush 2016 (word level); Agarwal et al. 2024 (GKD) for the student's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pilotfish.train.backbone import check, head_in, seen
from pilotfish.train.batch import Rows
from pilotfish.train.causal import Causal
from pilotfish.train.divergence import Divergence
from pilotfish.train.examples import Example
from pilotfish.train.fused import FromHead, Losses, Target, fused_loss
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


class WhiteBox(Causal):
    """A `Task`: the student is trained, the teacher looked at.

    Args:
        student: a transformers causal LM, adapters or not.
        teacher: another one of the same vocabulary but for rows of padding; None where `target` is another class's.
        weighing: the loss.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.
    """

    def __init__(
        self, student: Any, teacher: Any, weighing: Weighing, *, batch_tokens: int = 2048, name: str = "the student"
    ) -> None:
        super().__init__(student, batch_tokens=batch_tokens, name=name)
        # In a list: a module that is an attribute would be trained, counted and saved with this one.
        self._teacher = [] if teacher is None else [teacher.eval().requires_grad_(False)]
        self.weighing = weighing
        self.measured_at = 1.0  # the temperature at which student and teacher are compared in the end
        if teacher is not None:
            check(teacher, "the teacher")

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        """Return the loss's sum over a batch, and the sums of its parts."""
        losses = self.losses(rows)
        figures = {}
        if self.weighing.alpha > 0:
            figures["divergence"] = (losses.divergence * rows.weights).sum()
        if self.weighing.alpha < 1:
            figures["cross_entropy"] = (losses.cross_entropy * rows.weights).sum()
        return losses.total, figures

    def losses(self, rows: Rows, alpha: float | None = None) -> Losses:
        """Return the losses of a batch's tokens; `alpha` stands in for the weighing's own."""
        weighing = self.weighing
        alpha = weighing.alpha if alpha is None else alpha
        states = seen(self.student, rows).at(rows)
        return fused_loss(
            states,
            head_in(self.student),
            self.target(rows, states) if alpha > 0 else None,
            weighing.divergence,
            rows.labels,
            alpha=alpha,
            temperature=weighing.temperature,
            weights=rows.weights,
        )

    def target(self, rows: Rows, states: Any) -> Target:
        """Return the teacher's distributions at the tokens in the loss; `states` are the student's there."""
        (teacher,) = self._teacher
        with torch.no_grad():
            return FromHead(seen(teacher, rows).at(rows), head_in(teacher))

    def looked(self, examples: Sequence[Example]) -> dict[str, float]:
        """See `Task`: the loss, its parts, and the perplexity of the data."""
        sums = {"divergence": 0.0, "cross_entropy": 0.0}
        count = 0.0
        with torch.no_grad():
            for batch in batches([len(one.ids) for one in examples], self.batch_tokens):
                rows = self.prepare([examples[i] for i in batch], 0)
                losses = self.losses(rows, alpha=0.5)  # both parts are told, whatever is learnt
                sums["divergence"] += float((losses.divergence * rows.weights).sum())
                sums["cross_entropy"] += float((losses.cross_entropy * rows.weights).sum())
                count += rows.count
        means = {name: value / max(count, 1e-9) for name, value in sums.items()}
        alpha, temperature = self.weighing.alpha, self.weighing.temperature
        loss = alpha * temperature**2 * means["divergence"] + (1 - alpha) * means["cross_entropy"]
        return {"loss": loss, **means, "perplexity": float(torch.tensor(means["cross_entropy"]).double().exp())}
