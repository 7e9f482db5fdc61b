"""How a model is trained: sizes, rates and when to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.errors import ConfigError

__all__ = ["Fit", "Schedule"]

Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class Fit:
    """How a model is trained.

    Args:
        epochs: how often each example is seen.
        steps: stop after so many steps; None for all epochs.
        batch_tokens: the most tokens, padding included, in one pass of the model.
        accumulate: passes to a step, over all processes together; the step's loss is the mean over all its tokens.
        rate: the highest learning rate; it rises over the first `warmup` share of steps, then follows `schedule`.
        schedule: "cosine" or "linear" to 0, or "constant".
        warmup: share of the steps.
        decay: weight decay (Loshchilov and Hutter 2019), not of norms and biases.
        betas: of AdamW.
        clip: the largest norm of a gradient; None for no bound.
        rank: of low-rank adapters on every linear layer (Hu et al. 2022, LoRA); 0 trains all weights.
        scale: the adapters' alpha; their update counts alpha / rank.
        dtype: "float32", or "bfloat16" for products in bfloat16 over weights that stay in float32, or "auto":
            bfloat16 where the machine multiplies it natively.
        recompute: compute a layer's inner values again on the way back: less memory, a third more work.
        every: a checkpoint is written after so many steps.
        evaluate_every: the held-out examples are looked at after so many steps; None for only at the end.
        patience: stop after so many looks without a better one, and take the best weights; None goes on to the end,
            and takes the last.
        tensorboard: write TensorBoard's files beside the log.
        seed: of the order, the adapters' first values, dropout and sampling.
    """

    epochs: int = 1
    steps: int | None = None
    batch_tokens: int = 2048
    accumulate: int = 1
    rate: float = 2e-4
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = 1.0
    rank: int = 0
    scale: float = 32.0
    dtype: str = "auto"
    recompute: bool = False
    every: int = 50
    evaluate_every: int | None = None
    patience: int | None = None
    tensorboard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "batch_tokens", "accumulate", "every", "evaluate_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be 1 or more, not {value}")
        if self.rank < 0:
            raise ConfigError(f"rank must be 0 (all weights) or more, not {self.rank}")
        if not self.rate > 0 or not 0 <= self.warmup <= 1:
            raise ConfigError(f"rate must be above 0 and warmup a share, not {self.rate} and {self.warmup}")
        if self.schedule not in get_args(Schedule):
            raise ConfigError(f"schedule is one of {', '.join(get_args(Schedule))}, not {self.schedule!r}")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise ConfigError(f"dtype is auto, float32 or bfloat16, not {self.dtype!r}")
        if self.patience is not None and self.evaluate_every is None:
            raise ConfigError("patience counts looks at the held-out examples: set evaluate_every")
