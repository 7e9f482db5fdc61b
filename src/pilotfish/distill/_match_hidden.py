"""Hidden states: the student's, projected, are to be its teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from pilotfish.distill._match_real import at_least_float, mean, pick, real_tokens
from pilotfish.errors import ConfigError

__all__ = ["HiddenMatch"]


class HiddenMatch(nn.Module):  # type: ignore[misc]
    """Mean distance of projected student states from teacher states, over real tokens and mapped layers.

    Jiao et al. 2020 (TinyBERT), eq. 8 and 9: MSE(H_S W, H_T); one W for the embedding and one for all layers, learned
    with the student. Sun et al. 2019 (Patient KD), eq. 7, is MSE with `normalise`.

    Args:
        layers: student layer -> teacher layer, 0 the embedding (`layer_map`).
        student_dim: size of the student's states.
        teacher_dim: size of the teacher's.
        loss: "mse": the mean over dimensions of the squared difference; "cosine": 1 - cos.
        normalise: with "mse", states are first divided by their length, so that tokens with huge states (the first of a
            text, often) count no more than others; the loss is then the squared distance of unit vectors.
        project: learn projections; None: where the sizes differ.
        shared: one projection for all layers (as in the paper) instead of one each; the embedding has its own always.

    Raises:
        ConfigError: an unknown loss, no layers, or no projection between different sizes.
    """

    def __init__(
        self,
        layers: Mapping[int, int],
        student_dim: int,
        teacher_dim: int,
        *,
        loss: Literal["mse", "cosine"] = "mse",
        normalise: bool = False,
        project: bool | None = None,
        shared: bool = True,
    ) -> None:
        super().__init__()
        if loss not in ("mse", "cosine"):
            raise ConfigError(f"loss must be mse or cosine, not {loss!r}")
        if not layers:
            raise ConfigError("there are no layers to match")
        if project is False and student_dim != teacher_dim:
            raise ConfigError(f"states of {student_dim} and {teacher_dim} dimensions need a projection")
        self.layers = dict(layers)
        self.loss, self.normalise, self.shared = loss, normalise, shared
        self.projections = nn.ModuleDict()
        if project or student_dim != teacher_dim:
            for key in dict.fromkeys(self._key(layer) for layer in self.layers):
                linear = nn.Linear(student_dim, teacher_dim, bias=False)
                # Lengths and angles are kept at first, as far as the sizes allow.
                nn.init.orthogonal_(linear.weight)
                self.projections[key] = linear

    def _key(self, layer: int) -> str:
        if layer == 0:
            return "embedding"
        return "layers" if self.shared else f"layer{layer}"

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], real: Tensor, count: float | None = None
    ) -> Tensor:
        """Return the loss, a scalar; 0 where no token is real.

        Args:
            student: hidden states by layer, each (batch, length, student_dim); transformers' `hidden_states`.
            teacher: likewise, (batch, length, teacher_dim); no gradient flows into them.
            real: lengths (batch,), or a mask (batch, length).
            count: what the sum over real tokens is divided by: their number in a whole step where this is a part of it.

        Raises:
            ConfigError: a mapped layer is not there, or `real` has another shape.
        """
        total: Tensor | None = None
        for layer, of in self.layers.items():
            ours = pick(student, layer, "student")
            chosen = real_tokens(real, ours.shape[0], ours.shape[1]).to(ours.device)
            # Picked before anything is computed: zero times what stands in the padding may be no number.
            mine = at_least_float(ours[chosen])
            theirs = at_least_float(pick(teacher, of, "teacher").detach()[chosen])
            if self.projections:
                linear = self.projections[self._key(layer)]
                mine = linear(mine.to(linear.weight.dtype))
            distance = mean(self._distance(mine, theirs.to(mine.dtype)).sum(), len(mine), count)
            total = distance if total is None else total + distance
        assert total is not None
        return total / len(self.layers)

    def _distance(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Return each token's distance: (tokens,)."""
        if self.loss == "cosine":
            return 1 - nn.functional.cosine_similarity(mine, theirs, dim=-1, eps=1e-8)
        if self.normalise:
            mine, theirs = (nn.functional.normalize(states, dim=-1, eps=1e-8) for states in (mine, theirs))
            return (mine - theirs).square().sum(-1)
        return (mine - theirs).square().mean(-1)
