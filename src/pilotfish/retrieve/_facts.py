"""What an index says of itself, read and compared; and small parts of making one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pilotfish._saved import facts_in, reading
from pilotfish.retrieve._ways import WAYS
from pilotfish.retrieve.documents import Document

FILE, FORMAT = "index.json", 1


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what an index says of itself.

    Raises:
        ModelError: the folder holds no index, a damaged one, or one of another version.
    """
    with reading(folder, "index"):
        facts = facts_in(folder / FILE, "index", FORMAT)
        unknown = [name for name in facts["ways"] if name not in WAYS]
        if unknown:
            raise ValueError(f"a way {unknown[0]!r}, which this version does not know")
    return facts


def difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say what the index there and the one that is asked for have different."""
    for key in ("chunks", "ways"):
        one, other = held[key], wanted[key]
        for name in sorted({*one, *other}):
            if one.get(name) != json.loads(json.dumps(other.get(name))):
                return (
                    f"the index there has {key}.{name} = {json.dumps(one.get(name))}, not {json.dumps(other.get(name))}"
                )
    return "the index there is of another format"


def batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Yield documents, so many at a time."""
    left = iter(documents)
    while some := list(islice(left, size)):
        yield some


def counter(encoder: Any) -> Callable[[Sequence[str]], Sequence[int]]:
    """Return what counts the tokens of texts by an encoder's tokenizer, special ones aside."""
    tokenizer = getattr(encoder, "tokenizer", None) or encoder.model.tokenizer

    def counts(texts: Sequence[str]) -> list[int]:
        told = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(ids) for ids in told]

    return counts
