"""A run's state on disk: weights and the optimizer's moments as safetensors, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        tensors = {f"weight/{name}": value.detach().contiguous() for name, value in weights.items()}
        for name, value in weights.items():
            for key, held in optimizer.state.get(value, {}).items():
                tensors[f"{key}/{name}"] = held.detach().reshape(held.shape or (1,)).contiguous()
        name = f"step-{told['step']}.safetensors"
        self._put(name, tensors)
        # The marker is renamed into place after the tensors are on the disk, so it never names half a file.
        with atomic(self.folder / MARKER) as file:
            file.write(json.dumps({"identity": self.identity, "file": name, **told}).encode())
        for old in self.folder.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()

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
        self._put("best.safetensors", {name: value.detach().contiguous() for name, value in weights.items()})

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
        held = need("safetensors.torch", "local").save(dict(tensors))
        with atomic(self.folder / name) as file:
            file.write(held)
