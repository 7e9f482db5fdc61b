"""What an advice on answers knows, and puts into its folder, before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.advisor.task import schema_of
from pilotfish.compete.advisor.ways import EXAMPLES, SCHEMA, Facts
from pilotfish.models.local import LocalModel
from pilotfish.rows._atomic import atomic
from pilotfish.rows.write import write

if TYPE_CHECKING:
    from pilotfish.compete.advisor.parts import Parts
    from pilotfish.compete.advisor.task import AnswerTask

__all__ = ["facts_of", "prepare"]

_LOOKED = 64  # prompts whose length is looked at
_CHARACTERS = 4.0  # a token, of a model whose tokenizer is elsewhere


def facts_of(task: AnswerTask, parts: Parts, local: frozenset[str], *, large: bool, documents: bool) -> Facts:
    """Return what decides which ways fit.

    Args:
        task: what is asked.
        parts: builds "small" and "large".
        local: those of the two whose weights are here.
        large: there is a large model.
        documents: there are some to look things up in.
    """
    small = parts.model("small") if "small" in local else None
    prompts = [task.requests[row].prompt for row in task.calibrate[:_LOOKED].tolist()]
    counts = [small.count(text) if isinstance(small, LocalModel) else len(text) / _CHARACTERS for text in prompts]
    same = False
    if {"small", "large"} <= local:
        from pilotfish.decode.vocabulary import first_difference

        other = parts.model("large")
        assert isinstance(small, LocalModel)
        assert isinstance(other, LocalModel)
        same = first_difference(small.tokenizer, other.tokenizer) is None
    return Facts(
        "small",
        "large" if large else None,
        local,
        same,
        isinstance(small, LocalModel),
        int(np.median(counts)),
        documents,
        parts.weights("small"),
    )


def prepare(task: AnswerTask, folder: Path) -> None:
    """Write what tables refer to: the training rows as solved examples, and the schema of the fields."""
    folder.mkdir(parents=True, exist_ok=True)
    write(task.examples(), folder / EXAMPLES)
    if task.fields:
        with atomic(folder / SCHEMA) as file:
            file.write(json.dumps(schema_of(task.fields), indent=1).encode() + b"\n")
