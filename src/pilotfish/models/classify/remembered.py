"""Features of texts that were read once, for heads that are fitted many times on much the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.models.classify.features import Features, Progress

__all__ = ["Remembered"]


class Remembered:
    """Gives the vectors of texts that it knows, and has its features read the others, each once.

    Args:
        features: fitted, and dense, such as an encoder's.
        known: text -> its vector, where some were read before.
    """

    def __init__(self, features: Features, known: Mapping[str, Any] | None = None) -> None:
        self.features, self.kind = features, features.kind
        self._known = dict(known or {})

    def fit(self, texts: Sequence[str]) -> Features:
        """Return self: there is nothing more to learn."""
        return self

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> Any:
        """Return (texts, features)."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known |= zip(new, np.asarray(self.features.transform(new, progress=progress)), strict=True)
        return np.stack([self._known[text] for text in texts])

    def save(self, folder: Path) -> None:
        """Save the features that read the texts."""
        self.features.save(folder)
