"""What a divergence of two distributions is to the fused loss; the kinds are in `pilotfish.distill.divergence`."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Divergence"]


class Divergence(Protocol):
    """A divergence of rows of distributions."""

    @property
    def name(self) -> str:
        """What settings call it."""

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """Return (rows,) nats, and write the gradient with respect to the student's logits into `grad`.

        Args:
            p: the student's probabilities, (rows, classes).
            q: the teacher's, likewise.
            log_p: their logarithms.
            log_q: likewise; finite.
            grad: (rows, classes), overwritten; none of the others.
        """
