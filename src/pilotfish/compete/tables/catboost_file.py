"""CatBoost's models in its own form, which holds no code: its categories are sums over rows, and no plain splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need

__all__ = ["CatBoostFile", "as_catboost"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CatBoostFile:
    """A model of CatBoost.

    Attributes:
        model: of the library.
        categorical: places of the columns of categories.
        number: whether it foretells one.
    """

    model: Any
    categorical: tuple[int, ...]
    number: bool

    def predict(self, x: Floats) -> Floats:
        """See `Inner`."""
        rows = as_catboost(self.categorical)(x)
        return np.asarray(self.model.predict(rows) if self.number else self.model.predict_proba(rows))

    def save(self, folder: str | Path) -> None:
        """Write it in the library's own form, which holds no code."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_model(str(folder / "catboost.cbm"))
        told = {"categorical": list(self.categorical), "number": self.number}
        (folder / "catboost.json").write_text(json.dumps(told) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> CatBoostFile:
        """Read what `save` wrote."""
        folder = Path(folder)
        told = json.loads((folder / "catboost.json").read_text(encoding="utf-8"))
        library = need("catboost", "tables")
        model = (library.CatBoostRegressor if told["number"] else library.CatBoostClassifier)()
        model.load_model(str(folder / "catboost.cbm"))
        return cls(model, tuple(map(int, told["categorical"])), bool(told["number"]))


def as_catboost(categorical: Sequence[int]) -> Callable[[Floats], Any]:
    """Return what turns rows into those of CatBoost, whose categories are whole numbers; what is missing is one."""
    if not categorical:
        return lambda x: x

    def turned(x: Floats) -> Any:
        rows: NDArray[Any] = x.astype(object)
        for place in categorical:
            rows[:, place] = np.where(np.isnan(x[:, place]), -1, x[:, place]).astype(int)
        return rows

    return turned
