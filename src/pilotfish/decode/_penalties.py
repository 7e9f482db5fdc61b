"""Which tokens a row has seen, and how often, in tensors that grow by a token at constant cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["Counts"]


class Counts:
    """A multiset of token ids: `ids` (distinct,) and `counts` (distinct,) are views of growing buffers.

    What was added last can be taken back (`add` and `pop` as on a stack), so that positions ahead of the history are
    looked at without copying it.
    """

    def __init__(self, tokens: Iterable[int] = (), device: Any = "cpu") -> None:
        self._at: dict[int, int] = {}
        self._ids = torch.zeros(64, dtype=torch.long, device=device)
        self._counts = torch.zeros(64, device=device)
        # All at once: a prompt has thousands of tokens, and setting them one by one would take milliseconds.
        often: dict[int, int] = {}
        for token in tokens:
            often[token] = often.get(token, 0) + 1
        if often:
            self._at = {token: at for at, token in enumerate(often)}
            self._grow(len(often))
            self._ids[: len(often)] = torch.tensor(list(often), device=device)
            self._counts[: len(often)] = torch.tensor(list(often.values()), dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self._at)

    @property
    def ids(self) -> torch.Tensor:
        """The distinct ids, (distinct,)."""
        return self._ids[: len(self._at)]

    @property
    def counts(self) -> torch.Tensor:
        """How often each was added, (distinct,), float32."""
        return self._counts[: len(self._at)]

    def add(self, token: int) -> None:
        """Count one more of this token."""
        at = self._at.get(token)
        if at is None:
            at = self._at[token] = len(self._at)
            self._grow(len(self._at))
            self._ids[at] = token
            self._counts[at] = 0
        self._counts[at] += 1

    def pop(self, token: int) -> None:
        """Take back the token that was added last."""
        at = self._at[token]
        self._counts[at] -= 1
        if at == len(self._at) - 1 and not self._counts[at]:
            del self._at[token]

    def copy(self) -> Counts:
        """Return an independent copy."""
        made = Counts(device=self._ids.device)
        made._at, made._ids, made._counts = dict(self._at), self._ids.clone(), self._counts.clone()
        return made

    def _grow(self, size: int) -> None:
        if size > len(self._ids):
            more = max(size, 2 * len(self._ids)) - len(self._ids)
            self._ids = torch.cat([self._ids, self._ids.new_zeros(more)])
            self._counts = torch.cat([self._counts, self._counts.new_zeros(more)])
