"""Token vectors in few bytes: the number of the nearest centroid, and the rest of each coordinate in 1, 2 or 4 bits.

Source: Santhanam et al. 2022 (ColBERTv2), section 3.3; how many centroids: their PLAID, section 4.1. A bucket stands
for the mean of what falls into it.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve.late._kmeans import centroids_of
from pilotfish.retrieve.late._native import address, library
from pilotfish.retrieve.late._nearest import Nearest
from pilotfish.rows._atomic import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BITS", "Codec", "centroids_for"]

BITS = (1, 2, 4)
SAMPLE = 32  # vectors for one centroid that are looked at
_APART = 50_000  # vectors that tell the buckets, at most


def centroids_for(tokens: int) -> int:
    """Return how many centroids a collection of so many tokens gets: about 16 √tokens, a power of two."""
    return int(min(1 << int(np.log2(max(16 * np.sqrt(max(tokens, 1)), 1))), max(tokens, 1)))


@dataclass(frozen=True, eq=False)
class Codec:
    """How vectors are kept.

    Attributes:
        centroids: (centroids, d) float32, of length 1; those that `fit` finds are rounded to half precision.
        cuts: (2^bits - 1,) float32: where one bucket ends and the next begins.
        weights: (2^bits,) float32: what each bucket stands for.
        bits: for each coordinate.
        groups: (centroids,) int32: the group of each centroid, by which they are found; None where they are few.
    """

    centroids: NDArray[np.float32]
    cuts: NDArray[np.float32]
    weights: NDArray[np.float32]
    bits: int
    groups: NDArray[np.int32] | None = None
    native: bool = True

    @classmethod
    def fit(
        cls,
        sample: NDArray[np.float32],
        centroids: int,
        *,
        bits: int = 4,
        seed: int = 0,
        threads: int | None = None,
        native: bool = True,
    ) -> Codec:
        """Learn a codec from vectors of length 1.

        Args:
            sample: (vectors, d).
            centroids: how many; fewer where there are fewer vectors.
            bits: 1, 2 or 4.
            seed: decides where the centroids begin.
            threads: to use.
            native: use the C code where it can be had.

        Raises:
            ConfigError: other bits.
            DataError: nothing to learn from.
        """
        if bits not in BITS:
            raise ConfigError(f"bits is 1, 2 or 4, not {bits}")
        if not len(sample):
            raise DataError("there is no token to learn centroids from")
        random = np.random.default_rng(seed)
        apart = min(_APART, len(sample) // 20)
        learnt = sample
        if apart and len(sample) - apart >= centroids:
            # Residuals of what the centroids were not fitted to: theirs are the smaller ones.
            order = random.permutation(len(sample))
            told, learnt = sample[np.sort(order[:apart])], sample[np.sort(order[apart:])]
        else:
            told = sample[np.sort(random.permutation(len(sample))[:_APART])]
        found, groups = centroids_of(learnt, min(centroids, len(learnt)), random, threads=threads, native=native)
        found = found.astype(np.float16).astype(np.float32)  # as they are kept
        codes = Nearest(found, groups, native=native).of(told, threads=threads)
        rest = np.sort((told - found[codes]).reshape(-1))
        parts = np.array_split(rest, 1 << bits)
        cuts = np.array([part[0] if len(part) else 0 for part in parts[1:]], np.float32)
        weights = np.array([part.mean(dtype=np.float64) if len(part) else 0 for part in parts], np.float32)
        return cls(found, cuts, weights, bits, groups, native)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.centroids.shape[1])

    @property
    def width(self) -> int:
        """Bytes of what is kept beside the centroid of a vector."""
        return (self.dimension * self.bits + 7) // 8

    @property
    def kind(self) -> type[np.uint16] | type[np.int32]:
        """The type of a centroid's number."""
        return np.uint16 if len(self.centroids) <= 1 << 16 else np.int32

    @functools.cached_property
    def nearest(self) -> Nearest:
        """What finds centroids."""
        return Nearest(self.centroids, self.groups, native=self.native)

    @functools.cached_property
    def identity(self) -> str:
        """A digest of all of it."""
        found = hashlib.sha256(str(self.bits).encode())
        for array in (self.centroids, self.cuts, self.weights, self.groups):
            if array is not None:
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()[:16]

    def encode(
        self, vectors: NDArray[np.floating], *, threads: int | None = None
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return the centroid of each vector, (vectors,), and its residual, (vectors, width)."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        codes = self.nearest.of(vectors, threads=threads)
        lib = library() if self.native else None
        out: NDArray[np.uint8] = np.empty((len(vectors), self.width), np.uint8)
        if lib is not None:
            centroids, cuts = np.ascontiguousarray(self.centroids), np.ascontiguousarray(self.cuts)
            where = [address(one) for one in (vectors, codes)]
            shape = (len(vectors), self.dimension)
            lib.pf_late_pack(*where, *shape, address(centroids), address(cuts), self.bits, address(out))
        else:
            for at in range(0, len(vectors), 16384):
                rest = vectors[at : at + 16384] - self.centroids[codes[at : at + 16384]]
                out[at : at + 16384] = packed(np.searchsorted(self.cuts, rest).astype(np.uint8), self.bits)
        return codes.astype(self.kind), out

    def decode(self, codes: NDArray[Any], residuals: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors that are kept, of length 1: (vectors, d) float32."""
        rest = self.weights[unpacked(residuals, self.bits)[:, : self.dimension]]
        found = self.centroids[codes] + rest
        lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
        whole: NDArray[np.float32] = found / np.maximum(lengths, np.float32(1e-12))[:, None]
        return whole

    def save(self, folder: Path) -> None:
        """Write it into a folder, its bits last."""
        folder.mkdir(parents=True, exist_ok=True)
        half = self.centroids.astype(np.float16)
        centroids = half if np.array_equal(half, self.centroids) else self.centroids
        arrays = {"centroids": centroids, "cuts": self.cuts, "weights": self.weights, "groups": self.groups}
        for name, array in arrays.items():
            if array is not None:
                with atomic(folder / f"{name}.npy") as file:
                    np.save(file, array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, bits: int, *, native: bool = True) -> Codec:
        """Read what `save` wrote, within `reading`."""

        def read(name: str) -> Any:
            return np.load(folder / f"{name}.npy", allow_pickle=False)

        groups = read("groups") if (folder / "groups.npy").exists() else None
        return cls(read("centroids").astype(np.float32), read("cuts"), read("weights"), bits, groups, native)


def packed(buckets: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Return rows of buckets as bytes, the first of each byte in its lowest bits: (n, d) to (n, bytes)."""
    each = 8 // bits
    padded = np.pad(buckets, ((0, 0), (0, -buckets.shape[1] % each)))
    parts = padded.reshape(len(buckets), padded.shape[1] // each, each) << (
        np.arange(each, dtype=np.uint8) * np.uint8(bits)
    )
    found: NDArray[np.uint8] = np.bitwise_or.reduce(parts, axis=2)
    return found


def unpacked(residuals: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Return bytes as buckets again, those that fill up a last byte included."""
    each = 8 // bits
    parts = residuals[:, :, None] >> (np.arange(each, dtype=np.uint8) * np.uint8(bits))
    return (parts & np.uint8((1 << bits) - 1)).reshape(len(residuals), residuals.shape[1] * each)
