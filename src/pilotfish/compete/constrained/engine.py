"""What reads tokens for a language model that runs without torch, and keeps what it has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.constrained.session import Session

__all__ = ["Engine", "GraphEngine"]

Floats = NDArray[np.float32]


class Engine(Protocol):
    """One line of tokens that is held, and rows that stand beside it for a moment."""

    about: str

    def extend(self, ids: Sequence[int], at: int, wanted: Sequence[int]) -> Floats:
        """Forget all behind the first `at` tokens, read `ids` after them, and keep them.

        Args:
            ids: at least one.
            at: no more than are held.
            wanted: places in `ids`, whose logits are wanted.

        Returns:
            (wanted, vocabulary).
        """

    def beside(self, rows: Sequence[Sequence[int]], at: int, wanted: Sequence[int]) -> Floats:
        """Read rows of one length, each after the first `at` tokens that are held; keep none of them.

        Returns:
            (rows, wanted, vocabulary).
        """


class GraphEngine:
    """An engine on a graph that takes the keys and values of earlier tokens and gives those of new ones.

    Args:
        session: inputs `ids` (rows, tokens), `positions` (tokens,), `wanted` (places,) int64 and `past` (held, rows,
            2 x layers, heads, width) float32; outputs logits (rows, places, vocabulary) and the new part of `past`.
        facts: of the manifest: `layers`, `heads`, `width`.
    """

    def __init__(self, session: Session, facts: dict[str, Any]) -> None:
        self.session, self.about = session, session.about
        self._shape = (2 * int(facts["layers"]), int(facts["heads"]), int(facts["width"]))
        # The token is the first axis, so that a beginning of what is held is one piece of memory.
        self._past: Floats = np.zeros((64, 1, *self._shape), dtype=np.float32)

    def extend(self, ids: Sequence[int], at: int, wanted: Sequence[int]) -> Floats:
        """Read on from the first `at` tokens, and keep what was read."""
        logits, new = self._run([ids], at, wanted, self._past[:at])
        end = at + len(ids)
        if end > len(self._past):
            grown = np.zeros((max(end, 2 * len(self._past)), 1, *self._shape), dtype=np.float32)
            grown[:at] = self._past[:at]
            self._past = grown
        self._past[at:end] = new
        return np.asarray(logits[0])

    def beside(self, rows: Sequence[Sequence[int]], at: int, wanted: Sequence[int]) -> Floats:
        """Read rows after the first `at` tokens, and keep none."""
        return self._run(rows, at, wanted, np.repeat(self._past[:at], len(rows), axis=1))[0]

    def _run(
        self, rows: Sequence[Sequence[int]], at: int, wanted: Sequence[int], past: Floats
    ) -> tuple[Floats, Floats]:
        logits, new = self.session.run(
            {
                "ids": np.array(rows, dtype=np.int64),
                "positions": np.arange(at, at + len(rows[0]), dtype=np.int64),
                "wanted": np.array(wanted, dtype=np.int64),
                "past": past,
            }
        )
        return logits, new
