"""A source that is a model: a classifier, a labeller, any model that answers with a label."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.models.classify.classifier import ClassifierModel
from pilotfish.models.classify.labelled import labelled
from pilotfish.rows._describe import known_as
from pilotfish.rows._row import Row
from pilotfish.supervise.sources.base import Said, Source
from pilotfish.supervise.sources.scope import Scope, column_of

__all__ = ["Asked"]


class Asked(Source):
    """Says what a model says of a text, with its probabilities where it gives them; no answer is asked for twice.

    Args:
        model: a classifier, a `Labeller`, or any model that answers with a label.
        classes: the labels that it may say; another answer is none.
        name: in reports; the model's own by default.
        labels: what the model says -> the label that is meant.
        text: the column.
        scope: as `Source`.
        least: as `Source`.
        progress: show a bar.
    """

    def __init__(
        self,
        model: Any,
        classes: Sequence[str],
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        text: str = "text",
        scope: Scope | None = None,
        least: float = 0.0,
        progress: bool = False,
    ) -> None:
        super().__init__(name or model.name, scope=scope, least=least)
        if not classes:
            raise ConfigError(f"{self.name}: no label that it may say")
        self.model, self.classes, self.text, self.progress = model, list(classes), text, progress
        self.labels = dict(labels or {})

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Ask, and return the shares of the labels."""
        texts = column_of(rows, self.text, numbers)
        if isinstance(self.model, ClassifierModel):
            shares = self.model.classifier.predict_proba(texts)
            return [self._shared(self.model.classifier.classes_, one) for one in shares]
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
                return self._told(texts, Path(own))
        return self._told(texts, folder)

    def _told(self, texts: Sequence[str], folder: Path) -> list[Said]:
        found = labelled(texts, self.model, self.classes, folder, progress=self.progress)
        return [self._shared(found.classes, one) for one in found.probabilities]

    def _shared(self, labels: Sequence[str], shares: Any) -> Said:
        if np.isnan(shares).any():
            return None
        found: dict[str, float] = {}
        for label, share in zip(labels, shares.tolist(), strict=True):
            meant = self.labels.get(label, label)
            found[meant] = found.get(meant, 0.0) + share
        return found

    def config(self) -> dict[str, Any]:
        """Return what decides what it says."""
        return {**super().config(), "model": known_as(self.model), "classes": self.classes, "labels": self.labels}
