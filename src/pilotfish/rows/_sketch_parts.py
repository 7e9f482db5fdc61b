"""Equal keys brought together where a file holds more of them than memory: shared out by their high bits, then sorted.

A key is a hash of 64 bits, so the parts are about even, but where one key has more rows than a part has room for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["parts_of"]

Words = NDArray[np.uint64]


def parts_of(path: Path, size: int, room: int, number: DTypeLike = np.int32) -> Iterator[tuple[Words, NDArray[Any]]]:
    """Yield (keys, their places in the file) of some keys at a time; equal keys come together, places ascend.

    Args:
        path: a file of keys, 8 bytes each; the parts lie beside it for a while.
        size: how many keys there are.
        room: about how many are held at a time.
        number: what places are told in.
    """
    if 0 < size <= room:
        yield np.fromfile(path, np.uint64), np.arange(size, dtype=number)
    if size <= room:
        return
    count = -(-size // room)
    both = np.dtype([("key", np.uint64), ("place", number)])
    paths = [path.with_suffix(f".part-{part}") for part in range(count)]
    with ExitStack() as stack:
        files = [stack.enter_context(one.open("wb")) for one in paths]
        for start in range(0, size, room):
            keys = np.fromfile(path, np.uint64, count=room, offset=8 * start)
            part = (((keys >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)).astype(np.uint16)
            order = np.argsort(part, kind="stable")
            pairs = np.empty(len(keys), dtype=both)
            pairs["key"], pairs["place"] = keys[order], order + start
            ends = np.cumsum(np.bincount(part, minlength=count))
            for file, first, last in zip(files, [0, *ends], ends, strict=False):
                file.write(pairs[first:last].tobytes())
    for one in paths:
        pairs = np.fromfile(one, dtype=both)
        one.unlink()
        if len(pairs):
            yield pairs["key"].copy(), pairs["place"].copy()
