"""Phrases by their characters: what an encoder of word pieces does not see in typing errors, forms and rare names.

Sources: character n-grams with the ends of a word marked: Bojanowski et al. 2017 (fastText), section 3.2; hashed:
Weinberger et al. 2009; beside an encoder of phrases: Chen et al. 2024 (PEARL), section 3. There both are one network;
here the two vectors stand beside each other: the cosine is the weighted mean of theirs, and the encoder stays plain.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.phrases.measured import by_kind, found_again
from pilotfish.compete.phrases.pair import Pair, normal
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.rows.vectors import unit_vectors

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Characters", "WithCharacters", "choose_share"]

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)


class Characters:
    """Character n-grams as vectors: no model at all.

    Args:
        sizes: the shortest and the longest n-gram, the marks of a word's ends among its characters.
        buckets: the vector's length; n-grams share them by chance.
    """

    name = "characters"
    weights = "characters"

    def __init__(self, sizes: tuple[int, int] = (3, 5), buckets: int = 1024) -> None:
        if not 1 <= sizes[0] <= sizes[1] or buckets < 1:
            raise ConfigError(f"n-grams have 1 character or more and buckets are 1 or more, not {sizes}, {buckets}")
        self.sizes, self.buckets = sizes, buckets

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.buckets

    @property
    def identity(self) -> str:
        """What tells its vectors from those of other settings."""
        return f"characters {self.sizes[0]} {self.sizes[1]} {self.buckets}"

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return how often each n-gram stands in each text, of length one: (texts, buckets)."""
        found = np.zeros((len(texts), self.buckets), np.float32)
        for row, text in enumerate(texts):
            for gram in self.grams(text):
                found[row, zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.buckets] += 1
        if progress:
            progress(len(texts))
        return unit_vectors(found) if len(texts) else found

    def grams(self, text: str) -> list[str]:
        """Return the n-grams of each word, and each word whole; never none."""
        found = []
        for word in normal(text).split() or [""]:
            marked = f"<{word}>"
            found.append(marked)
            for size in range(self.sizes[0], min(self.sizes[1], len(marked) - 1) + 1):
                found += [marked[at : at + size] for at in range(len(marked) - size + 1)]
        return found


class WithCharacters:
    """An encoder's vectors with those of characters beside them.

    Args:
        encoder: of phrases.
        share: what the characters' cosine counts, 0 to 1; the encoder's counts the rest.
        characters: which.
    """

    def __init__(self, encoder: Encoder, share: float, characters: Characters | None = None) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"the characters' share is 0 to 1, not {share}")
        self.encoder, self.share, self.characters = encoder, share, characters or Characters()
        self.name = f"{encoder.name} and characters"

    @property
    def weights(self) -> str:
        """The encoder's."""
        return self.encoder.weights

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.encoder.dimension + self.characters.dimension

    @property
    def identity(self) -> str:
        """What tells its vectors from those of another encoder or share."""
        own = getattr(self.encoder, "identity", None) or identity_of(self.encoder.weights)
        return f"{own} {self.share} {self.characters.identity}"

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return vectors of length one whose products are the weighted means of both cosines: (texts, dimension)."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        meaning = unit_vectors(self.encoder.encode(texts, progress=progress))
        shape = self.characters.encode(texts)
        parts = [np.sqrt(1 - self.share) * meaning, np.sqrt(self.share) * shape]
        return np.concatenate(parts, axis=1).astype(np.float32)


def choose_share(
    encoder: Encoder, pairs: Sequence[Pair], shares: Sequence[float] = SHARES
) -> tuple[float, dict[float, float]]:
    """Return the share of characters that finds a pair's other phrase best, the least of equal ones, and all figures.

    Args:
        encoder: of phrases.
        pairs: that nothing else is measured on.
        shares: to choose from.

    Raises:
        DataError: no pairs.
        ConfigError: no shares.
    """
    if not shares:
        raise ConfigError("there is no share to choose from")
    found = {share: by_kind(found_again(WithCharacters(encoder, share), pairs)) for share in sorted(shares)}
    return max(found, key=lambda share: (found[share], -share)), found
