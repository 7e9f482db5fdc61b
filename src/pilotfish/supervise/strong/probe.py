"""A linear head over a model's frozen vectors, taught weak labels.

Source: Burns et al. 2023, section 5.1.2 and appendix D.1 (linear probes on weak labels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.supervise.strong.loss import WeakLoss

__all__ = ["Probe", "probed"]


@dataclass(frozen=True)
class Probe:
    """How a head is fitted.

    Attributes:
        epochs: how often each row is seen.
        rows: of a pass.
        rate: the highest learning rate of Adam; it falls to 0 by a cosine.
        decays: strengths of the L2 penalty that are tried; the one with the least cross-entropy to the weak labels of
            rows kept back is taken, and fitted on all.
        held_out: the share of rows that is kept back for that.
        seed: of the order and the split.

    Raises:
        ConfigError: a size is out of range.
    """

    epochs: int = 40
    rows: int = 256
    rate: float = 0.01
    decays: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    held_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.rows < 1 or not self.rate > 0:
            raise ConfigError(f"epochs, rows and rate are above 0, not {self.epochs}, {self.rows} and {self.rate}")
        if not self.decays or min(self.decays) < 0:
            raise ConfigError(f"decays are strengths of 0 or more, not {self.decays}")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share, not {self.held_out}")


def probed(
    x: Any,
    rows: NDArray[np.int64],
    loss: WeakLoss,
    how: Probe,
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return a head's weights (classes, features), its biases (classes,), and the strength of the penalty.

    Args:
        x: (all rows, features), dense, or sparse as TF-IDF's counts.
        rows: those with weak labels.
        loss: of the weak labels of all rows.
        how: sizes and rates.
    """
    torch = need("torch", "train")
    # In standard units one learning rate and one penalty fit any model's vectors: a language model's states have
    # dimensions that are a hundred times as wide as others. Counts of words, nearly all noughts, keep their own.
    learnt = np.asarray(x[rows].toarray() if hasattr(x, "toarray") else x[rows], dtype=np.float64)
    sparse = hasattr(x, "toarray")
    middle = np.zeros(learnt.shape[1]) if sparse else learnt.mean(axis=0)
    spread = np.full(learnt.shape[1], _wide(learnt)) if sparse else learnt.std(axis=0) + 1e-6
    units = torch.zeros((x.shape[0], x.shape[1]), dtype=torch.float32)
    units[torch.from_numpy(rows)] = torch.tensor((learnt - middle) / spread, dtype=torch.float32)
    decay = how.decays[0]
    if len(how.decays) > 1 and round(how.held_out * len(rows)) >= 2:
        order = np.random.default_rng([how.seed, 1]).permutation(rows)
        held, rest = np.split(order, [round(how.held_out * len(rows))])
        away = torch.from_numpy(held)
        found = []
        for one in how.decays:
            head = _fitted(units, rest, loss, how, one)
            with torch.no_grad():
                found.append(float(loss.look(head(units[away]), away, torch.ones(len(held)))))
        decay = how.decays[int(np.argmin(found))]
    head = _fitted(units, rows, loss, how, decay)
    weight = head.weight.detach().double().numpy() / spread
    bias = head.bias.detach().double().numpy() - weight @ middle
    return np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32), decay


def _wide(x: NDArray[np.float64]) -> float:
    """Return a scale by which rows are as long as standard units of 32 dimensions would be."""
    return float(np.sqrt(np.square(x).sum(axis=1).mean() / 32)) or 1.0


def _fitted(units: Any, rows: NDArray[np.int64], loss: WeakLoss, how: Probe, decay: float) -> Any:
    torch = need("torch", "train")
    random = np.random.default_rng(how.seed)
    head = torch.nn.Linear(units.shape[1], loss.labels.shape[1])
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    adam = torch.optim.Adam(head.parameters(), lr=how.rate)
    passes = -(-len(rows) // how.rows)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, passes * how.epochs)
    for epoch in range(how.epochs):
        # Passes as even as can be: a last one of three rows would be hardened to no balance.
        for at, some in enumerate(np.array_split(random.permutation(rows), passes)):
            loss.at((epoch * passes + at) / (passes * how.epochs))
            which = torch.from_numpy(some)
            told = loss(head(units[which]), which, torch.ones(len(some))) / len(some)
            adam.zero_grad()
            (told + decay / 2 * head.weight.square().sum()).backward()
            adam.step()
            slower.step()
    return head
