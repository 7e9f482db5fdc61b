"""An encoder that runs on a graph: texts to vectors, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.constrained.session import Session
from pilotfish.compete.constrained.tokens import LightTokenizer
from pilotfish.models._tokens import buckets

__all__ = ["SessionEncoder"]

BATCH_TOKENS = 4096


class SessionEncoder:
    """A sentence encoder: `encode(texts)` gives one vector a text, pooled and normalised by the graph.

    Args:
        session: inputs `ids` and `mask` (rows, tokens) int64; output (rows, dimension) float32.
        folder: with the tokenizer.
        facts: of the manifest: `max_length`, `dimension`, `pad`, `lower`.
        name: in reports.
    """

    def __init__(self, session: Session, folder: Path, facts: dict[str, Any], name: str) -> None:
        self.session, self.name = session, name
        self.tokenizer = LightTokenizer(folder / "tokenizer")
        self.max_length, self.dimension = int(facts["max_length"]), int(facts["dimension"])
        self._pad, self._lower = int(facts["pad"]), bool(facts["lower"])

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension) float32; a text longer than `max_length` tokens is cut."""
        out: NDArray[np.float32] = np.empty((len(texts), self.dimension), dtype=np.float32)
        rows = self.tokenizer.cut([text.lower() if self._lower else text for text in texts], self.max_length)
        for batch in buckets([len(row) for row in rows], BATCH_TOKENS):
            longest = len(rows[batch[0]])
            ids = np.full((len(batch), longest), self._pad, dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(batch):
                ids[place, : len(rows[row])] = rows[row]
                mask[place, : len(rows[row])] = 1
            (out[batch],) = self.session.run({"ids": ids, "mask": mask})
            if progress:
                progress(len(batch))
        return out
