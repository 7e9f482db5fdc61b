"""Many texts as bytes one after another, so that C and files can have them: normalised, sketched, compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._grams import mixed
from pilotfish.rows._shingles import normalised
from pilotfish.rows._sketch_native import address, library, packed

__all__ = ["Packed", "encoded_texts", "plain_bytes", "salts", "similarities", "sketched_bytes"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
_PLAIN = np.array(
    [ord(" ") if unicodedata.category(chr(code))[0] in "PZC" else ord(chr(code).casefold()) for code in range(128)],
    dtype=np.uint8,
)


class Packed(Sequence[str]):
    """Texts in UTF-8, one after another.

    Going through them gives stand-ins that have a text's bytes as their length and nothing else: who compares pairs
    looks at all lengths, and reads the texts of the pairs alone.

    Attributes:
        data: (bytes,) all texts.
        starts: (texts + 1,) where each begins, and the last ends.
    """

    def __init__(self, data: NDArray[np.uint8], starts: Ints) -> None:
        self.data, self.starts = data, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: Any) -> Any:
        return bytes(self.data[self.starts[place] : self.starts[place + 1]]).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return cast("Iterator[str]", map(range, np.diff(self.starts).tolist()))


def encoded_texts(texts: Sequence[str]) -> list[bytes]:
    """Return the texts in UTF-8; half a surrogate pair passes."""
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def plain_bytes(texts: Sequence[str]) -> list[bytes]:
    """Return what `normalised` makes of each text, in UTF-8."""
    lib = library()
    if lib is None:
        return encoded_texts([normalised(text) for text in texts])
    data, starts = packed(encoded_texts(texts))
    out, sizes = np.empty(len(data), np.uint8), np.empty(len(texts), np.int64)
    lib.pf_normalised(address(data), address(starts), len(texts), address(_PLAIN), address(out), address(sizes))
    found, at, whole = [], 0, out.tobytes()
    for text, size in zip(texts, sizes.tolist(), strict=True):
        if size < 0:
            found.append(normalised(text).encode("utf-8", "surrogatepass"))
        else:
            found.append(whole[at : at + size])
            at += size
    return found


def salts(size: int, seed: int) -> Words:
    """Return what the rounds of a sketch mix in: (2 size,)."""
    return mixed(np.arange(2 * size, dtype=np.uint64) + mixed(np.array([seed], dtype=np.uint64)))


def sketched_bytes(
    data: NDArray[np.uint8], starts: Ints, n: int, unit: str, size: int, seed: int
) -> NDArray[np.uint32] | None:
    """Return the sketches of normalised texts: (texts, size); None where there is no compiled library.

    Raises:
        MemoryError: a text's n-grams do not fit into memory.
    """
    lib = library()
    if lib is None:
        return None
    out, mixing = np.empty((len(starts) - 1, size), dtype=np.uint32), salts(size, seed)
    where = (address(data), address(starts), len(out), n, unit == "word", size, address(mixing), address(out))
    if lib.pf_sketches(*where):
        raise MemoryError("no memory for a text's n-grams")
    return out


def similarities(texts: Packed, left: Ints, right: Ints, n: int, unit: str) -> NDArray[np.float64] | None:
    """Return the Jaccard similarity of the n-grams of pairs: (pairs,); None where there is no compiled library.

    Raises:
        MemoryError: a text's n-grams do not fit into memory.
    """
    lib = library()
    if lib is None:
        return None
    left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    out = np.empty(len(left), dtype=np.float64)
    sides = (address(left), address(right))
    if lib.pf_similar(address(texts.data), address(texts.starts), len(out), *sides, n, unit == "word", address(out)):
        raise MemoryError("no memory for a text's n-grams")
    return out
