"""White-box distillation from a cache: the teacher's likeliest tokens are read, and the teacher is never loaded."""

from __future__ import annotations

from typing import Any

import torch

from pilotfish.distill.cache import TopKCache, bucketed, example_key
from pilotfish.distill.whitebox import Weighing, WhiteBox
from pilotfish.errors import ConfigError
from pilotfish.train.batch import Rows
from pilotfish.train.divergence import Divergence
from pilotfish.train.fused import Target

__all__ = ["CachedWhiteBox", "FromTopK"]


class FromTopK:
    """A teacher of whom k tokens are known at each position, and how much all others have together.

    Args:
        ids: (tokens, k).
        logprobs: (tokens, k), at the loss's own temperature.
    """

    rows: int | None = None  # the student's whole vocabulary: what the teacher lacks is part of the bucket

    def __init__(self, ids: Any, logprobs: Any) -> None:
        self._ids, self._logprobs = ids, logprobs
        self._start = 0

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        """See `Target`."""
        self._start = start

    def compare(self, within: slice, log_p: Any, p: Any, divergence: Divergence, grad: Any) -> Any:
        """See `Target`."""
        at = slice(self._start + within.start, self._start + within.stop)
        return bucketed(log_p, self._ids[at], self._logprobs[at], divergence, grad)

    def likeliest(self, within: slice) -> Any:
        """See `Target`."""
        at = slice(self._start + within.start, self._start + within.stop)
        return self._ids[at].gather(1, self._logprobs[at].argmax(-1, keepdim=True))[:, 0]


class CachedWhiteBox(WhiteBox):
    """A `Task`: the student learns what a cache tells of its teacher.

    Args:
        student: a transformers causal LM, adapters or not.
        cache: of every example that will be asked for.
        weighing: the loss; its temperature is the one the cache was captured at.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.

    Raises:
        ConfigError: the cache was captured at another temperature: what is left of a distribution can't be cooled.
    """

    def __init__(
        self,
        student: Any,
        cache: TopKCache,
        weighing: Weighing,
        *,
        batch_tokens: int = 2048,
        name: str = "the student",
    ) -> None:
        super().__init__(student, None, weighing, batch_tokens=batch_tokens, name=name)
        captured = cache.manifest.temperature
        if captured != weighing.temperature:
            raise ConfigError(
                f"the cache was captured at temperature {captured:g}; a loss at {weighing.temperature:g} needs its own"
            )
        self._cache = cache
        self.measured_at = captured

    def target(self, rows: Rows, states: Any) -> Target:
        """Return what the cache holds of the tokens in the loss."""
        ids, logprobs = self._cache.batch([example_key(one.ids, one.start) for one in rows.examples])
        device = rows.ids.device
        return FromTopK(torch.from_numpy(ids).to(device), torch.from_numpy(logprobs).to(device))
