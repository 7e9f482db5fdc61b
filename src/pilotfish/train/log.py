"""What a run says as it goes: a line of JSON a step, and the same for TensorBoard where it is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotfish._extras import need

__all__ = ["Log", "read_log"]

NAME = "log.jsonl"


class Log:
    """A run's log; one that goes on after a stop forgets the steps that are trained again.

    Args:
        folder: where `log.jsonl` lies.
        step: the steps that are done.
        tensorboard: whether to write TensorBoard's files too.

    Raises:
        MissingExtra: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        kept = [row for row in read_log(folder) if row["step"] <= step]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._board: Any = None
        if tensorboard:
            need("tensorboard", "tensorboard")
            writer = need("torch.utils.tensorboard", "train").SummaryWriter
            self._board = writer(str(folder / "tensorboard"), purge_step=step + 1)

    def put(self, step: int, figures: Mapping[str, float]) -> None:
        """Note a step's figures."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log; half a line at its end, left by a kill, is none."""
    path = folder / NAME
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
