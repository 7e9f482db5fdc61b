"""What the test of `kill -9` runs in a process of its own: an index of many small documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pilotfish.retrieve import Document, Encoders, Index
from tests.retrieve.made import Hashed

MANY = 400


def many() -> Iterator[Document]:
    for number in range(MANY):
        yield Document(f"d{number}", f"number {number} of kind {number % 7}")


def main(folder: Path, kept: str) -> None:
    encoder = Hashed(folder / "encoder")
    with Index.create(folder / "index", ["bm25", "dense"], encoders=Encoders(dense=encoder)) as index:
        print("ready", flush=True)
        added = index.add(many(), batch=8)
    print(kept, added.new, added.same, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
