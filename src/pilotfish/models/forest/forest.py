"""Trees that were grown by a library, as arrays: what they answer is the library's own answer.

Where trees of gradient boosting come from: Chen and Guestrin 2016 (XGBoost), Ke et al. 2017 (LightGBM), and
scikit-learn's histogram trees after the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import DataError, ModelError
from pilotfish.models.forest._shapley import expected, shapley
from pilotfish.models.forest._walk import NODE, Trees, walk

__all__ = ["Forest", "Link", "linked"]

Link = Literal["identity", "sigmoid", "softmax"]
FILE = "forest.safetensors"


def linked(raw: NDArray[np.float64], link: Link) -> NDArray[np.float64]:
    """Return numbers (rows,), or probabilities (rows, classes), of sums (rows, outputs)."""
    if link == "identity":
        return raw[:, 0]
    if link == "sigmoid":
        second = 1 / (1 + np.exp(-np.clip(raw[:, 0], -700, 700)))
        return np.stack([1 - second, second], axis=1)
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Forest:
    """Sums of trees.

    Attributes:
        nodes: (nodes,) of `NODE`; a node's children stand behind it.
        sets: bits of categories.
        roots: (trees,) int32.
        outputs: (trees,) int32.
        base: (outputs,) what the trees add to.
        columns: how many a row has.
        link: of the sums: "sigmoid" is the probability of the second of two classes.
        single: whether values are compared in single precision.
    """

    nodes: NDArray[Any]
    sets: NDArray[np.uint32]
    roots: NDArray[np.int32]
    outputs: NDArray[np.int32]
    base: NDArray[np.float64]
    columns: int
    link: Link
    single: bool = False

    @property
    def trees(self) -> Trees:
        """What is walked."""
        return Trees(self.nodes, self.sets, self.roots, self.outputs, self.single)

    def raw(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums: (rows, outputs).

        Raises:
            DataError: rows of another width.
        """
        x = np.ascontiguousarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise DataError(f"rows of {self.columns} columns, not of shape {x.shape}")
        out = np.tile(self.base, (len(x), 1))
        walk(self.trees, x, out)
        return out

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers (rows,) of a regression, or probabilities (rows, classes)."""
        return linked(self.raw(x), self.link)

    def shares(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what each column adds to each sum, (rows, columns, outputs), and what they add to, (outputs,).

        They are exact Shapley values of the expectation along the trees' own covers; with the base they are `raw`.
        """
        x = np.ascontiguousarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise DataError(f"rows of {self.columns} columns, not of shape {x.shape}")
        out = np.zeros((len(x), self.columns, len(self.base)))
        shapley(self.trees, x, out)
        base = self.base.copy()
        np.add.at(base, self.outputs, expected(self.nodes, self.roots))
        return out, base

    def save(self, folder: str | Path) -> None:
        """Write forest.safetensors."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "nodes": np.ascontiguousarray(self.nodes).view(np.uint8).reshape(-1),
            "sets": self.sets,
            "roots": self.roots,
            "outputs": self.outputs,
            "base": self.base,
        }
        told = {"columns": str(self.columns), "link": self.link, "single": str(int(self.single))}
        # Arrays of no length are left out: not every version reads them back.
        kept = {name: array for name, array in arrays.items() if len(array)}
        need("safetensors.numpy", "local").save_file(kept, folder / FILE, metadata=told)

    @classmethod
    def load(cls, folder: str | Path) -> Forest:
        """Read what `save` wrote, and see that no row can walk out of it or for ever.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        path = Path(folder) / FILE
        try:
            with need("safetensors", "local").safe_open(path, "numpy") as file:
                told = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = cls(
                arrays.get("nodes", np.zeros(0, np.uint8)).view(NODE),
                arrays.get("sets", np.zeros(0, np.uint32)),
                arrays.get("roots", np.zeros(0, np.int32)),
                arrays.get("outputs", np.zeros(0, np.int32)),
                arrays["base"],
                int(told["columns"]),
                told["link"],
                bool(int(told["single"])),
            )
        except FileNotFoundError:
            raise ModelError(f"{path} is not there: no forest") from None
        except Exception as error:  # the library's own, of many kinds
            raise ModelError(f"{path} is damaged: {error}") from None
        if not found._sound():
            raise ModelError(f"{path} is damaged: its trees lead nowhere")
        return found

    def _sound(self) -> bool:
        nodes, count = self.nodes, len(self.nodes)
        split = nodes["left"] >= 0
        own = np.arange(count)
        sides = [nodes[side][split] for side in ("left", "right")]
        inside = all(bool(((side > own[split]) & (side < count)).all()) for side in sides)
        sets = (nodes["set"] >= 0) & (nodes["words"] >= 0) & (nodes["set"] + nodes["words"] <= len(self.sets))
        return bool(
            inside
            and sets.all()
            and (nodes["cover"] >= 0).all()
            and (nodes["cover"][split] > 0).all()
            and ((nodes["feature"] >= 0) & (nodes["feature"] < self.columns))[split].all()
            and len(self.roots) == len(self.outputs)
            and ((self.roots >= 0) & (self.roots < count)).all()
            and ((self.outputs >= 0) & (self.outputs < len(self.base))).all()
            and self.link in get_args(Link)
            and len(self.base) >= 1
        )
