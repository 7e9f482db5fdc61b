"""Preference distillation: the student learns to like the answers that its teacher preferred.

Source: Rafailov et al. 2023 (DPO), equation 7, the pairs being judged by the teacher (Tunstall et al. 2023, Zephyr).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pilotfish.distill.blackbox.dpo import dpo_loss
from pilotfish.train.backbone import head_in, seen
from pilotfish.train.batch import Rows, rows_of
from pilotfish.train.causal import Causal
from pilotfish.train.examples import Example
from pilotfish.train.fused import fused_loss
from pilotfish.train.plan import batches

__all__ = ["Pair", "Preferring", "referred"]


@dataclass(frozen=True)
class Pair:
    """Two answers to one question; what the loop asks of an `Example`.

    Attributes:
        chosen: the better one.
        rejected: the other one.
        reference: log-probabilities of both under the student before it learns.
        weight: what the pair counts.
        row: which row of the data it comes from.
    """

    chosen: Example
    rejected: Example
    reference: tuple[float, float] = (0.0, 0.0)
    weight: float = 1.0
    row: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens of both, by which passes are filled: each is padded to the longer one."""
        return max(self.chosen.ids, self.rejected.ids, key=len) * 2

    @property
    def count(self) -> int:
        """One pair, or none where it is there for its shape alone."""
        return int(self.weight > 0)

    def emptied(self) -> Pair:
        """Return a pair that counts for nothing."""
        return replace(self, weight=0.0)


@dataclass(frozen=True)
class PairRows:
    """Pairs of one pass.

    Attributes:
        rows: the chosen answers, then the rejected ones.
        reference: (2, pairs) log-probabilities under the student before it learns.
        weights: (pairs,).
    """

    rows: Rows
    reference: Any
    weights: Any

    @property
    def count(self) -> float:
        """The weighted pairs."""
        return float(self.weights.sum())


class Preferring(Causal):
    """A `Task`: direct preference optimisation over pairs.

    Args:
        student: a transformers causal LM, adapters or not.
        beta: how much a nat of margin counts.
        label_smoothing: the share of pairs thought to be the wrong way round.
        batch_tokens: the most tokens, padding included, in one pass over held-out pairs.
        name: the student's, for errors.
    """

    def __init__(
        self,
        student: Any,
        beta: float = 0.1,
        label_smoothing: float = 0.0,
        *,
        batch_tokens: int = 2048,
        name: str = "the student",
    ) -> None:
        super().__init__(student, batch_tokens=batch_tokens, name=name)
        self.beta, self.label_smoothing = beta, label_smoothing

    def prepare(self, examples: Sequence[Any], step: int) -> Any:
        """See `Task`; the examples are pairs."""
        device = next(self.student.parameters()).device
        rows = rows_of([one.chosen for one in examples] + [one.rejected for one in examples], device)
        reference = torch.tensor([one.reference for one in examples], dtype=torch.float64, device=device).T
        weights = torch.tensor([one.weight for one in examples], dtype=torch.float64, device=device)
        return PairRows(rows, reference, weights)

    def forward(self, pairs: PairRows) -> tuple[Any, dict[str, Any]]:  # type: ignore[override]
        """Return the loss's sum over pairs, and the sums of margins and of pairs in the right order."""
        states, head = seen(self.student, pairs.rows).at(pairs.rows), head_in(self.student)
        with torch.no_grad():
            crossed = fused_loss(states.detach(), head, None, None, pairs.rows.labels, alpha=0).cross_entropy
        said = torch.zeros(2 * len(pairs.weights), dtype=torch.float64, device=states.device)
        said = said.index_add(0, pairs.rows.row, -crossed.double()).view(2, -1).requires_grad_()
        with torch.enable_grad():
            reference = pairs.reference
            each, _ = dpo_loss(said[0], said[1], reference[0], reference[1], self.beta, self.label_smoothing)
            loss = (each * pairs.weights).sum()
            (slope,) = torch.autograd.grad(loss, said)
        # By the chain rule the gradient is that of each answer's cross-entropy, times minus the loss's slope there.
        weights = -slope.reshape(-1)[pairs.rows.row].float()
        total = fused_loss(states, head, None, None, pairs.rows.labels, alpha=0, weights=weights).total
        margins = (said[0] - said[1] - pairs.reference[0] + pairs.reference[1]).detach()
        right = (margins > 0).double() + 0.5 * (margins == 0).double()
        figures = {"margin": (margins * pairs.weights).sum(), "preferred": (right * pairs.weights).sum()}
        return total + (loss.detach() - total.detach().double()).to(total.dtype), figures

    def looked(self, examples: Sequence[Any]) -> dict[str, float]:
        """See `Task`: the loss, the mean margin in nats, the share of pairs in the right order; a tie counts half."""
        sums = {"loss": 0.0, "margin": 0.0, "preferred": 0.0}
        count = 0.0
        with torch.no_grad():
            for batch in batches([len(one.ids) for one in examples], self.batch_tokens):
                pairs = self.prepare([examples[i] for i in batch], 0)
                loss, figures = self(pairs)
                for name, value in {"loss": loss, **figures}.items():
                    sums[name] += float(value)
                count += pairs.count
        return {name: value / max(count, 1e-9) for name, value in sums.items()}


def referred(task: Causal, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs with the log-probabilities that the student gives both answers now."""
    task.eval()
    chosen, rejected = (-task.each([getattr(one, name) for one in pairs])[0] for name in ("chosen", "rejected"))
    return [replace(one, reference=(float(a), float(b))) for one, a, b in zip(pairs, chosen, rejected, strict=True)]
