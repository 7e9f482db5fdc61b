"""A taught encoder in a folder: its weights, what stands over it, and a file of facts, which is there when all is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder

__all__ = ["FOLDER", "HEAD", "keep_encoder"]

FOLDER, HEAD = "encoder", "head.safetensors"


def keep_encoder(
    folder: str | Path,
    file: str,
    encoder: Encoder,
    facts: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write an encoder, the arrays of what stands over it, and facts.

    Args:
        folder: of all of it.
        file: of the facts: it goes first and comes last, so a folder that has it is whole.
        encoder: taught; its name goes into the facts.
        facts: plain data.
        arrays: of the head; None where there is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).unlink(missing_ok=True)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    encoder.model.save(str(folder / FOLDER), create_model_card=False)
    if arrays is not None:
        need("safetensors.numpy", "local").save_file(dict(arrays), folder / HEAD)
    told = {**facts, "name": encoder.name}
    (folder / file).write_text(json.dumps(told) + "\n", encoding="utf-8")
