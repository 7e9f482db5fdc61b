"""A linear model of a table: numbers standardised, a column a category, what is missing noted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.models.forest.forest import Link, linked

__all__ = ["Encoded", "Linear"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Numbers as deviations from their mean, medians in the place of missing ones, and a column a category.

    Attributes:
        numeric, categorical: places of the columns.
        medians, mean, scale: (numeric,) of the rows that were learnt from.
        missing: which of the numeric ones have a column that says that they are missing.
        sizes: (categorical,) how many categories were seen; one that was not is none of them.
    """

    numeric: Ints
    categorical: Ints
    medians: Floats
    mean: Floats
    scale: Floats
    missing: Ints
    sizes: Ints

    @classmethod
    def of(cls, x: Floats, categorical: Sequence[int]) -> Encoded:
        """Learn from rows: (rows, columns), NaN where a value is missing."""
        numeric = np.array([i for i in range(x.shape[1]) if i not in set(categorical)], np.int64)
        numbers = x[:, numeric]
        known = [column[~np.isnan(column)] for column in numbers.T]
        medians = np.array([np.median(one) if len(one) else 0.0 for one in known])
        filled = np.where(np.isnan(numbers), medians, numbers)
        return cls(
            numeric,
            np.array(categorical, np.int64),
            medians,
            filled.mean(axis=0),
            np.maximum(filled.std(axis=0), 1e-9),
            np.flatnonzero(np.isnan(numbers).any(axis=0)),
            np.array([int(np.nanmax(x[:, i], initial=-1)) + 1 for i in categorical], np.int64),
        )

    def __call__(self, x: Floats) -> Floats:
        """Return (rows, features)."""
        numbers = x[:, self.numeric]
        parts = [(np.where(np.isnan(numbers), self.medians, numbers) - self.mean) / self.scale]
        parts.append(np.isnan(numbers[:, self.missing]).astype(np.float64))
        for place, size in zip(self.categorical.tolist(), self.sizes.tolist(), strict=True):
            parts.append((x[:, place, None] == np.arange(size)).astype(np.float64))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights over encoded rows.

    Attributes:
        encoded: turns rows into features.
        coef: (outputs, features).
        intercept: (outputs,).
        link: of the sums, as of a `Forest`.
    """

    encoded: Encoded
    coef: Floats
    intercept: Floats
    link: Link

    def predict(self, x: Floats) -> Floats:
        """Return probabilities (rows, classes), or numbers (rows,)."""
        return linked(self.encoded(x) @ self.coef.T + self.intercept, self.link)

    def save(self, folder: str | Path) -> None:
        """Write linear.safetensors and linear.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(value) for name, value in vars(self.encoded).items()}
        arrays |= {"coef": np.ascontiguousarray(self.coef), "intercept": np.ascontiguousarray(self.intercept)}
        kept = {name: value for name, value in arrays.items() if value.size}
        need("safetensors.numpy", "local").save_file(kept, folder / "linear.safetensors")
        (folder / "linear.json").write_text(json.dumps({"link": self.link}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Linear:
        """Read what `save` wrote."""
        folder = Path(folder)
        arrays = need("safetensors.numpy", "local").load_file(folder / "linear.safetensors")
        link = json.loads((folder / "linear.json").read_text(encoding="utf-8"))["link"]
        whole = ("numeric", "categorical", "missing", "sizes")
        fields = {}
        for name in Encoded.__dataclass_fields__:
            fields[name] = arrays.get(name, np.zeros(0, np.int64 if name in whole else np.float64))
        return cls(Encoded(**fields), arrays["coef"], arrays["intercept"], link)
