"""Trainings of one small model on different rows, each measured on the same ones and kept when it has ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._row import Row

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.local import LocalModel
    from pilotfish.train.examples import Example
    from pilotfish.train.settings import Fit

__all__ = ["Trials"]


class Trials:
    """Trainings of one student, each in a folder of its own; what came of it is kept, its weights are not."""

    def __init__(
        self,
        student: str | Path,
        folder: Path,
        identity: str,
        fit: Fit,
        text: str,
        prompt: str | None,
        length: int,
        device: str,
        catalog: Catalog | None,
        progress: bool,
    ) -> None:
        self.student, self.folder, self.identity, self.how = student, folder, identity, fit
        self.text, self.prompt, self.length = text, prompt, length
        self.device, self.catalog, self.progress = device, catalog, progress

    def untaught(self, test: Sequence[Row]) -> NDArray[np.float64]:
        """Return (tested rows, 2): the summed loss of the student as it is, and the tokens."""
        kept = self.folder / "untaught.json"
        if not kept.exists():
            local = self._load()
            self._keep(kept, {"each": self._measured(local, local.model, test)})
        return np.array(json.loads(kept.read_text(encoding="utf-8"))["each"])

    def taught(
        self, name: str, rows: Sequence[Row], test: Sequence[Row], seed: int
    ) -> tuple[NDArray[np.float64], float, int]:
        """Return (tested rows, 2) of a student taught on rows, the tokens it saw and its steps."""
        from pilotfish.train.causal import Causal
        from pilotfish.train.loop import fit
        from pilotfish.train.lora import adapted

        kept = self.folder / f"{name}.json"
        if not kept.exists():
            local = self._load()
            how = replace(self.how, seed=seed)
            task = Causal(adapted(local.model, how), name=local.name)
            learnt = self._examples(local, rows)
            if not learnt:
                raise DataError(f"{name}: no row leaves a token to learn")
            found = fit(task, learnt, [], how, self.folder / name, f"{self.identity}-{name}", progress=self.progress)
            told = {"each": self._measured(local, task.student, test), "tokens": found.tokens, "steps": found.steps}
            self._keep(kept, told)
            # Weights and moments of each would fill a disk; what was measured is kept.
            shutil.rmtree(self.folder / name / "checkpoints", ignore_errors=True)
        told = json.loads(kept.read_text(encoding="utf-8"))
        return np.array(told["each"]), float(told["tokens"]), int(told["steps"])

    def _load(self) -> LocalModel:
        from pilotfish.models.local import LocalModel

        dtype = "auto" if self.how.rank else "float32"
        return LocalModel(self.student, dtype=dtype, device=self.device, catalog=self.catalog).load()

    def _measured(self, local: LocalModel, model: Any, test: Sequence[Row]) -> list[list[float]]:
        from pilotfish.train.causal import Causal

        model.eval()
        examples = self._examples(local, test)
        losses, counts = Causal(model, name=local.name).each(examples)
        each = np.zeros((len(test), 2))
        np.add.at(each, [one.row for one in examples], np.stack([losses, counts], axis=1))
        found: list[list[float]] = each.tolist()
        return found

    def _examples(self, local: LocalModel, rows: Sequence[Row]) -> list[Example]:
        from pilotfish.model import Request
        from pilotfish.train.examples import answered, pieces

        length = min(self.length, local.max_length)
        if self.prompt is None:
            return pieces(local.tokenizer, [row[self.text] for row in rows], length)
        found = []
        for i, row in enumerate(rows):
            try:
                asked = Request.of(row[self.prompt])
                found.append(answered(local.tokenizer, asked, row[self.text], length, name=local.name, row=i))
            except DataError:
                continue  # its prompt alone is too long: it teaches, and measures, nothing
        return found

    def _keep(self, path: Path, told: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            file.write(json.dumps(told).encode())
