"""Models of growing size in a row, each taught by the one before it, as one strong model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.supervise.strong.model import StrongModel, Taught, bootstrapped

__all__ = ["Chain"]


class Chain:
    """The last of the models counts; the others hand weak labels on (see `bootstrapped`).

    Args:
        models: from the smallest on.

    Raises:
        ConfigError: no model.
    """

    def __init__(self, models: Sequence[StrongModel]) -> None:
        if not models:
            raise ConfigError("bootstrapping needs at least one model")
        self.models = list(models)

    def fit(self, texts: Sequence[str], labels: NDArray[np.float64], classes: Sequence[str]) -> Self:
        """Teach each model; as `StrongModel.fit`."""
        bootstrapped(self.models, texts, labels, classes)
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the last model's probabilities: (texts, classes)."""
        return self.models[-1].predict_proba(texts)

    @property
    def report_(self) -> Taught:
        """What the last model learnt from."""
        return self.models[-1].report_

    def save(self, folder: str | Path) -> None:
        """Write the last model."""
        self.models[-1].save(folder)
