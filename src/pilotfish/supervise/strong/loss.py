"""What a strong model learns of weak labels: cross-entropy, its own confidence, small losses first.

Sources: the auxiliary confidence loss, Burns et al. 2023 (Weak-to-Strong Generalization), section 4.3.2 and appendix
A.4; small-loss selection, Han et al. 2018 (Co-teaching), algorithm 1, with one network; label smoothing, Szegedy et al.
2016, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError

__all__ = ["Objective", "WeakLoss", "hardened", "quotas"]

Balance = Literal["pass", "rows"] | tuple[float, ...]


@dataclass(frozen=True)
class Objective:
    """What is made of weak labels.

    Attributes:
        confidence: the most that the strong model's own hardened prediction counts; 0 is plain cross-entropy. The paper
            takes .5 for small gaps between the models and .75 for its largest student.
        warmup: the share of the steps over which that rises from 0 in a straight line; .2 in the paper. Forgetting
            rises so too.
        balance: how many rows of a pass are hardened to each class: as many as the weak labels have in this pass
            ("pass"), in all rows ("rows"), or given shares, in the order of the classes (the paper's is one half each).
        smoothing: of the weak labels.
        forget: the share of a pass's rows, those with the largest loss, that count nothing once warm-up is over.

    Raises:
        ConfigError: a share is none.
    """

    confidence: float = 0.0
    warmup: float = 0.2
    balance: Balance = "pass"
    smoothing: float = 0.0
    forget: float = 0.0

    def __post_init__(self) -> None:
        for name in ("confidence", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")
        for name in ("smoothing", "forget"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is a share below 1, not {getattr(self, name)}")
        if isinstance(self.balance, tuple):
            if not self.balance or min(self.balance) < 0 or abs(sum(self.balance) - 1) > 1e-6:
                raise ConfigError(f"balance is shares that add up to 1, not {self.balance}")
        elif self.balance not in ("pass", "rows"):
            raise ConfigError(f"balance is pass, rows or shares, not {self.balance!r}")

    def risen(self, done: float) -> float:
        """Return how far warm-up has come when a share of the steps is done: 0 to 1."""
        return 1.0 if done >= self.warmup else done / self.warmup


class WeakLoss:
    """The loss of weak labels, for the training of an encoder with a head or of a head alone.

    Args:
        labels: (rows, classes) probabilities; rows without a label are not asked for.
        objective: what is made of them.
        device: of the tensors.

    Attributes:
        done: the share of the steps that are done; `at` sets it.
    """

    def __init__(self, labels: NDArray[np.float64], objective: Objective, device: Any = "cpu") -> None:
        self.objective, self.done = objective, 0.0
        torch = need("torch", "train")
        classes = labels.shape[1]
        shares = objective.balance
        if isinstance(shares, tuple) and len(shares) != classes:
            raise DataError(f"balance has {len(shares)} shares, and there are {classes} classes")
        known = np.logical_not(np.isnan(labels).any(axis=1))
        self.labels = torch.tensor(np.where(known[:, None], labels, 0.0), dtype=torch.float32, device=device)
        self._shares: NDArray[np.float64] | None = None
        if shares == "rows":
            self._shares = labels[known].mean(axis=0)
        elif isinstance(shares, tuple):
            self._shares = np.asarray(shares)

    def at(self, done: float) -> None:
        """Set which share of the steps is done."""
        self.done = done

    def __call__(self, logits: Any, rows: Any, weights: Any) -> Any:
        """Return the loss's sum over a pass: logits (rows, classes), their numbers, what each counts."""
        torch = need("torch", "train")
        logs = torch.log_softmax(logits.float(), dim=-1)
        each = -(self._targets(logs.detach(), self.labels[rows]) * logs).sum(dim=-1)
        return (each * weights * self._kept(each.detach(), weights)).sum()

    def look(self, logits: Any, rows: Any, weights: Any) -> Any:
        """Return the sum of the plain cross-entropy to the weak labels, by which training stops early."""
        logs = need("torch", "train").log_softmax(logits.float(), dim=-1)
        return (-(self.labels[rows] * logs).sum(dim=-1) * weights).sum()

    def _targets(self, logs: Any, weak: Any) -> Any:
        """Return (1 - alpha) weak + alpha hardened: cross-entropy is linear in what it is held against."""
        torch = need("torch", "train")
        o, classes = self.objective, weak.shape[1]
        weak = weak * (1 - o.smoothing) + o.smoothing / classes
        alpha = o.confidence * o.risen(self.done)
        if not alpha:
            return weak
        shares = self.labels.new_tensor(self._shares) if self._shares is not None else weak.mean(dim=0)
        own = hardened(logs.cpu().numpy(), quotas(shares.cpu().numpy().astype(np.float64), len(weak)))
        sure = torch.nn.functional.one_hot(torch.from_numpy(own), classes).to(weak)
        return (1 - alpha) * weak + alpha * sure

    def _kept(self, each: Any, weights: Any) -> Any:
        """Return (rows,) 0 for the rows that are forgotten, and for the others what makes the pass count as much."""
        torch = need("torch", "train")
        dropped = int(self.objective.forget * self.objective.risen(self.done) * len(each))
        if not dropped:
            return torch.ones_like(each)
        kept = torch.ones_like(each)
        kept[each.argsort(descending=True, stable=True)[:dropped]] = 0
        return kept * (weights.sum() / (weights * kept).sum().clamp_min(1e-9))


def quotas(shares: NDArray[np.float64], rows: int) -> NDArray[np.int64]:
    """Return how many of so many rows each class gets: the shares rounded by largest remainder; (classes,)."""
    exact = shares / shares.sum() * rows
    found = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - found), kind="stable")[: rows - int(found.sum())]
    found[rest] += 1
    return np.asarray(found)


def hardened(logs: NDArray[np.floating[Any]], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one class a row, each class as often as `counts` says, of the greatest probability of all together.

    Of two classes this is a threshold on the probability, the quantile that makes the counts right (Burns et al. 2023,
    appendix A.4); of more it is what a threshold for each class comes to: an assignment.

    Args:
        logs: (rows, classes) log-probabilities.
        counts: (classes,) whose sum is the rows.
    """
    places = np.repeat(np.arange(len(counts)), counts)
    if len(counts) == 2:
        order = np.argsort(logs[:, 0] - logs[:, 1], kind="stable")
        found = np.zeros(len(logs), dtype=np.int64)
        found[order[: counts[1]]] = 1
        return found
    optimize = need("scipy.optimize", "train")
    finite = np.maximum(logs, -1e4)  # where a class is impossible it stays the last choice
    row, column = optimize.linear_sum_assignment(finite[:, places], maximize=True)
    found = np.empty(len(logs), dtype=np.int64)
    found[row] = places[column]
    return found
