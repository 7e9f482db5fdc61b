"""A source that is a model: a classifier, a labeller, any model that answers with a label."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.models.classify.classifier import ClassifierModel
from pilotfish.models.classify.labelled import labelled
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.model_stage import Template
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
        columns: ask with a JSON object of these in place of a text, as models of trees are asked.
        prompt: ask with this, columns in braces, in place of a text.
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
        columns: Sequence[str] | None = None,
        prompt: str | None = None,
        scope: Scope | None = None,
        least: float = 0.0,
        progress: bool = False,
    ) -> None:
        super().__init__(name or model.name, scope=scope, least=least)
        if not classes:
            raise ConfigError(f"{self.name}: no label that it may say")
        self.model, self.classes, self.text, self.progress = model, list(classes), text, progress
        if columns is not None and prompt is not None:
            raise ConfigError(f"{self.name}: it is asked with `columns` or with a `prompt`, not both")
        self.labels = dict(labels or {})
        self.columns = None if columns is None else list(columns)
        self.prompt = None if prompt is None else Template(prompt)

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Ask, and return the shares of the labels."""
        texts = self._texts(rows, numbers)
        if isinstance(self.model, ClassifierModel):
            shares = self.model.classifier.predict_proba(texts)
            return [self._shared(self.model.classifier.classes_, one) for one in shares]
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
                return self._told(texts, Path(own))
        return self._told(texts, folder)

    def _texts(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[str]:
        if self.prompt is not None:
            return [self.prompt.fill(row) for row in self._with(rows, self.prompt.columns, numbers)]
        if self.columns is not None:
            tables = ({name: row[name] for name in self.columns} for row in self._with(rows, self.columns, numbers))
            return [json.dumps(one, ensure_ascii=False, default=str) for one in tables]
        return column_of(rows, self.text, numbers)

    def _with(self, rows: Sequence[Row], columns: Sequence[str], numbers: Sequence[int]) -> Iterator[Row]:
        for number, row in zip(numbers, rows, strict=True):
            need_columns(row, *columns, source=f"row {number}")
            yield row

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
