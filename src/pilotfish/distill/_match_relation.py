"""Relations among tokens: how alike their queries, keys or values are, whatever the number of heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pilotfish.distill._match_attention import apart
from pilotfish.distill._match_real import at_least_float, mean, pick, real_tokens
from pilotfish.errors import ConfigError

__all__ = ["RelationMatch"]


class RelationMatch(nn.Module):  # type: ignore[misc]
    """Mean KL(teacher ‖ student) of softmax(X Xᵀ / √d), X being queries, keys or values, over real tokens.

    ("v",) with as many `heads` as the models have are MiniLM's value relations (Wang et al. 2020, eq. 3 and 4); ("q",
    "k", "v") are MiniLMv2's (Wang et al. 2021, eq. 2 to 4), whose relation heads cut the vectors of all attention heads
    anew, so neither the numbers of heads nor their sizes need be equal.

    Args:
        layers: student layer -> teacher layer, from 1; both papers take one layer.
        heads: relation heads; they divide both models' vectors (the papers' base students: 12 and 48).
        relations: of "q", "k" and "v".
        causal: relate each token only to those before it and itself.

    Raises:
        ConfigError: no layers, no heads, or an unknown relation.
    """

    def __init__(
        self, layers: Mapping[int, int], heads: int, *, relations: Sequence[str] = ("q", "k", "v"), causal: bool = False
    ) -> None:
        super().__init__()
        if heads < 1:
            raise ConfigError(f"relations need a head, not {heads}")
        if not relations or set(relations) - set("qkv"):
            raise ConfigError(f"relations are some of q, k and v, not {', '.join(relations) or 'none'}")
        self.layers = {layer: of for layer, of in layers.items() if layer and of}
        if not self.layers:
            raise ConfigError("there are no layers to match; the embedding has no queries")
        self.heads, self.relations, self.causal = heads, tuple(relations), causal

    def forward(
        self,
        student: Mapping[str, Mapping[int, Tensor]],
        teacher: Mapping[str, Mapping[int, Tensor]],
        real: Tensor,
        count: float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar; 0 where no token is real.

        Args:
            student: for each relation, by layer from 1, (batch, length, width): `Projections.states`.
            teacher: likewise; no gradient flows into them.
            real: lengths (batch,), or a mask (batch, length).
            count: what the sum over real tokens is divided by: their number in a whole step where this is a part of it.

        Raises:
            ConfigError: a layer is not there, `real` has another shape, or the heads do not divide a width.
        """
        total: Tensor | None = None
        for name in self.relations:
            for layer, of in self.layers.items():
                ours = pick(student.get(name, {}), layer, "student")
                theirs = pick(teacher.get(name, {}), of, "teacher").detach()
                chosen = real_tokens(real, ours.shape[0], ours.shape[1]).to(ours.device)
                each = apart(self._relation(ours, chosen), self._relation(theirs, chosen)).mean(1)
                distance = mean(each.sum(), len(each), count)
                total = distance if total is None else total + distance
        assert total is not None
        return total / (len(self.layers) * len(self.relations))

    def _relation(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Return each real token's relation to all: (tokens, heads, length), rows sum to 1, 0 for what is not real."""
        if vectors.shape[-1] % self.heads:
            raise ConfigError(f"{self.heads} relation heads do not divide vectors of {vectors.shape[-1]}")
        vectors = torch.where(real[..., None], at_least_float(vectors), 0.0)
        cut = vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = cut @ cut.transpose(-1, -2) / math.sqrt(cut.shape[-1])
        length = real.shape[1]
        keys = real[:, None, :].expand(-1, length, -1)
        if self.causal:
            keys = keys & torch.ones((length, length), dtype=torch.bool, device=real.device).tril()
        # Rows of real tokens only: each has a key at least, itself, so none is without a softmax.
        rows = scores.transpose(1, 2)[real].masked_fill(~keys[real][:, None, :], -math.inf)
        return rows.softmax(-1)
