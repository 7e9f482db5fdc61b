"""Attention: the student is to look where its teacher looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pilotfish.distill._match_real import at_least_float, mean, pick, real_tokens
from pilotfish.errors import ConfigError

__all__ = ["AttentionMatch", "apart"]

TINY = 1e-30


class AttentionMatch(nn.Module):  # type: ignore[misc]
    """Mean distance of attention probabilities, over real queries, heads and mapped layers.

    "kl" is KL(teacher ‖ student) (Wang et al. 2020, MiniLM, eq. 2, of the last layer there); "mse" is Jiao et al. 2020
    (TinyBERT), eq. 7, on probabilities, where the paper takes the scores before the softmax, which transformers does
    not return. transformers gives attention from models loaded with `attn_implementation="eager"`.

    Args:
        layers: student layer -> teacher layer, from 1 (`layer_map`); the embedding's entry 0 is left out.
        loss: "kl" or "mse" (the sum over keys of the squared difference).
        heads: "each" matches them one to one, "mean" their means, "auto" means where their numbers differ.

    Raises:
        ConfigError: an unknown word, or no layers.
    """

    def __init__(
        self,
        layers: Mapping[int, int],
        *,
        loss: Literal["kl", "mse"] = "kl",
        heads: Literal["auto", "each", "mean"] = "auto",
    ) -> None:
        super().__init__()
        if loss not in ("kl", "mse"):
            raise ConfigError(f"loss must be kl or mse, not {loss!r}")
        if heads not in ("auto", "each", "mean"):
            raise ConfigError(f"heads must be auto, each or mean, not {heads!r}")
        self.layers = {layer: of for layer, of in layers.items() if layer and of}
        if not self.layers:
            raise ConfigError("there are no layers to match; the embedding has no attention")
        self.loss, self.heads = loss, heads

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], real: Tensor, count: float | None = None
    ) -> Tensor:
        """Return the loss, a scalar; 0 where no token is real.

        Args:
            student: attention probabilities, layer 1's first, each (batch, heads, length, length); transformers'
                `attentions`.
            teacher: likewise; no gradient flows into them.
            real: lengths (batch,), or a mask (batch, length), of queries and keys alike; what a query gives to keys
                that are not real is shared out among the real ones.
            count: what the sum over real tokens is divided by: their number in a whole step where this is a part of it.

        Raises:
            ConfigError: a mapped layer is not there, `real` has another shape, or "each" with unequal heads.
        """
        total: Tensor | None = None
        for layer, of in self.layers.items():
            ours, theirs = pick(student, layer - 1, "student"), pick(teacher, of - 1, "teacher").detach()
            if self.heads == "each" and ours.shape[1] != theirs.shape[1]:
                raise ConfigError(f"{ours.shape[1]} and {theirs.shape[1]} heads cannot be matched one to one")
            chosen = real_tokens(real, ours.shape[0], ours.shape[-1]).to(ours.device)
            mine, other = _rows(ours, chosen), _rows(theirs, chosen)
            if self.heads == "mean" or mine.shape[1] != other.shape[1]:
                mine, other = mine.mean(1, keepdim=True), other.mean(1, keepdim=True)
            each = apart(mine, other) if self.loss == "kl" else (mine - other).square().sum(-1)
            distance = mean(each.mean(1).sum(), len(mine), count)
            total = distance if total is None else total + distance
        assert total is not None
        return total / len(self.layers)


def _rows(attention: Tensor, real: Tensor) -> Tensor:
    """Return real queries' probabilities of real keys: (queries, heads, keys); those of other keys are 0."""
    rows = at_least_float(attention.transpose(1, 2)[real])
    keys = real[:, None, :].expand(-1, real.shape[1], -1)[real][:, None, :]
    rows = torch.where(keys, rows, 0.0)
    return rows / rows.sum(-1, keepdim=True).clamp_min(TINY)


def apart(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(teacher ‖ student) of probabilities over the last dimension."""
    return (torch.xlogy(teacher, teacher) - teacher * student.clamp_min(TINY).log()).sum(-1)
