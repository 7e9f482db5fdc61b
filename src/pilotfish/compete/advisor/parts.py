"""What an advice is given to build models with: the collaboration file that it writes as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pilotfish.model import Model

__all__ = ["Parts"]


class Parts(Protocol):
    """The models of the user's, and those that are built of tables beside them.

    Attributes:
        folder: the output folder; relative paths of tables start there.
    """

    folder: Path

    def add(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """Take tables of models in, all that will be built.

        Raises:
            ConfigError: one has the name of a model of the user's.
        """

    def model(self, name: str) -> Model:
        """Return a model, built with all that it refers to; the same object each time.

        Raises:
            PilotfishError: it cannot be built.
        """

    def identity(self, name: str) -> Any:
        """Return what decides a model's answers, as plain data."""

    def make_index(self) -> int:
        """Make the documents searchable, or go on where that was stopped; return how many passages there are."""

    def weights(self, name: str) -> str | None:
        """Return a local model's weights, as a path or a name that stands by itself; None of others."""
