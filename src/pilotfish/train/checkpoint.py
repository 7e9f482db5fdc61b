"""A run's state on disk: weights and the optimizer's moments as safetensors, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic

__all__ = ["Checkpoint"]

MARKER = "checkpoint.json"


class Checkpoint:
    """The state of a run in a folder.

    Args:
        folder: where it lies; made at the first write.
        identity: a digest of everything that decides the run's result.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity

    def told(self) -> dict[str, Any] | None:
        """Return what the last checkpoint tells of the run; None where there is none.

        Raises:
            DataError: it is another run's.
        """
        marker = self.folder / MARKER
        if not marker.exists():
            return None
        told: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        if told.get("identity") != self.identity:
            raise DataError(f"{self.folder} holds the checkpoint of another run; remove it, or give a new folder")
        return told

    def write(self, weights: Mapping[str, Any], optimizer: Any, told: Mapping[str, Any]) -> None:
        """Write the weights (by name), what the optimizer holds of them, and `told`."""
        tensors = _tensors(weights, optimizer)
        name = f"step-{told['step']}.safetensors"
        self._put(name, tensors)
        # The marker is renamed into place after the tensors are on the disk, so it never names half a file.
        with atomic(self.folder / MARKER) as file:
            file.write(json.dumps({"identity": self.identity, "file": name, **told}).encode())
        for old in self.folder.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()
        for torn in self.folder.glob(".*.safetensors.*.tmp"):  # of a run that was killed while it wrote
            torn.unlink(missing_ok=True)

    def mark(self, weights: Mapping[str, Any], optimizer: Any, step: int) -> Path:
        """Write the same beside the checkpoints, where it stays; return the file."""
        self._put(f"mark-{step}.safetensors", _tensors(weights, optimizer))
        return self.folder / f"mark-{step}.safetensors"

    def read(self, weights: Mapping[str, Any], optimizer: Any) -> dict[str, Any] | None:
        """Put the last checkpoint's weights and moments back, and return what it told; None where there is none.

        Raises:
            DataError: it is another run's.
        """
        told = self.told()
        if told is None:
            return None
        torch = need("torch", "train")
        tensors = need("safetensors.torch", "local").load_file(self.folder / told["file"])
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(tensors[f"weight/{name}"])
                if f"step/{name}" not in tensors:
                    continue  # it has had no gradient yet, as the pooler of an encoder never has
                optimizer.state[value] = {
                    "step": tensors[f"step/{name}"].reshape(()),
                    "exp_avg": tensors[f"exp_avg/{name}"].to(value.device).reshape(value.shape),
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(value.device).reshape(value.shape),
                }
        return told

    def keep_best(self, weights: Mapping[str, Any]) -> None:
        """Write the weights as the best so far."""
        self._put("best.safetensors", {name: value.detach() for name, value in weights.items()})

    def take_best(self, weights: Mapping[str, Any]) -> bool:
        """Put the best weights back; return whether there were any."""
        path = self.folder / "best.safetensors"
        if not path.exists():
            return False
        torch = need("torch", "train")
        tensors = need("safetensors.torch", "local").load_file(path)
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(tensors[name])
        return True

    def _put(self, name: str, tensors: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self.folder / name) as file:
            _stream(tensors, file)


# What safetensors calls the types that weights, moments and counts of steps have.
_DTYPES = {"float64": "F64", "float32": "F32", "bfloat16": "BF16", "float16": "F16", "int64": "I64", "int32": "I32"}


def _stream(tensors: Mapping[str, Any], file: BinaryIO) -> None:
    """Write tensors in safetensors' format, one after the other.

    The library's own writer holds the bytes of all of them at once: of weights that are not here (an accelerator's)
    always, and in its older versions of any.
    """
    torch = need("torch", "train")
    # As the library does it: the widest first, so that each begins at a multiple of its width.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {}
    end = 0
    for name in names:
        value = tensors[name]
        begin, end = end, end + math.prod(value.shape) * value.element_size()
        dtype = _DTYPES[str(value.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [begin, end]}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    file.write(len(told).to_bytes(8, "little") + told)
    for name in names:
        if tensors[name].numel():
            file.write(tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _tensors(weights: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """Return weights by `weight/` and their names, and what the optimizer holds of them by its own words."""
    tensors = {f"weight/{name}": value.detach() for name, value in weights.items()}
    for name, value in weights.items():
        for key, held in optimizer.state.get(value, {}).items():
            tensors[f"{key}/{name}"] = held.detach().reshape(held.shape or (1,))
    return tensors
