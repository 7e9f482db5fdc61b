"""A group of several tokens as one event of the position that predicts its first.

Let a model cut a group of bytes g into the tokens a, a₂ … aₙ. At the position before g it gives a the probability p(a),
and g that of the chain p(a) · c, c = p(a₂ | a) … p(aₙ | … aₙ₋₁). So of what a has, p(a) c goes to the event "g comes",
and p(a) (1 − c) stays with a: "a, and then something else". The events of both models then are comparable whichever of
them writes g with one token, and each model's still sum to 1. With one token c is 1, and g is that token.

That a chunk's likelihoods are to be compared is from Minixhofer et al. 2025 (section 3.2), who have the two events "g"
and "not g"; that the rest of the vocabulary stays beside it is from TRL's GOLD trainer, which multiplies the whole
distribution by c. Keeping the remainder at a keeps distributions what they are, so that any divergence applies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need

__all__ = ["Events", "split"]


@dataclass(frozen=True)
class Events:
    """A model's events in rows whose groups are not one token each.

    Attributes:
        kept: (rows, vocabulary) probabilities without what went to the group.
        group: (rows,) the group's probability.
        first: (rows,) the first token.
        chain: (rows,) c.
        gone: (rows,) 1 − c, exact where c is near 1.
    """

    kept: Any
    group: Any
    first: Any
    chain: Any
    gone: Any

    def back(self, grad: Any, of_group: Any) -> Any:
        """Turn gradients by logarithms of the events into those by logarithms of the probabilities, in place.

        Args:
            grad: (rows, vocabulary), by log `kept`; overwritten with that by log p.
            of_group: (rows,), by log `group`.

        Returns:
            (rows,) the gradient by log c.
        """
        torch = need("torch", "train")
        at = self.first[:, None]
        # Where c is 1 for good (one token) nothing is kept at the first token, and there is no chain to move.
        of_first = torch.where(self.gone > 0, grad.gather(-1, at)[:, 0], 0)
        grad.scatter_(-1, at, (of_first + of_group)[:, None])
        return of_group - of_first * self.chain / self.gone.clamp_min(1e-30)


def split(p: Any, first: Any, tail: Any) -> Events:
    """Return the events of rows.

    Args:
        p: (rows, vocabulary) probabilities at the positions that predict the groups' first tokens.
        first: (rows,) ids of these tokens.
        tail: (rows,) log c, the log-probability of the tokens after the first; 0 where there are none.
    """
    torch = need("torch", "train")
    at = first[:, None]
    of_first = p.gather(-1, at)[:, 0]
    chain, gone = tail.exp(), -torch.expm1(tail)
    return Events(p.scatter(-1, at, (of_first * gone)[:, None]), of_first * chain, first, chain, gone)
