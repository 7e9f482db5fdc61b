"""Small collections, and an encoder without a model, for tests of retrieval."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish.retrieve.documents import Document

SAID = {
    "boats": "A boat with a sail goes by the wind. Sailors trim the sails.",
    "engines": "An engine burns fuel and turns the wheels of a car.",
    "bread": "Bread is baked from flour, water and yeast in a hot oven.",
    "wind": "Wind is air that moves; a storm is a strong wind over the sea.",
    "sea": "The sea is salt water. Fish live in the sea.",
    "fish": "A pilot fish swims with the shark and eats what it leaves.",
}
DOCUMENTS = [Document(name, text, name.title(), {"number": place}) for place, (name, text) in enumerate(SAID.items())]


class Hashed:
    """An encoder that needs no model: each word has a direction of its own, a text the sum of its words'.

    `texts` counts what was encoded.
    """

    def __init__(self, folder: Path, dimension: int = 32) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(f'{{"dimension": {dimension}}}')
        self.weights, self.name, self.dimension = str(folder), "hashed", dimension
        self.texts = 0

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        self.texts += len(texts)
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), self.dimension)

    def _vector(self, text: str) -> NDArray[np.float64]:
        words = ["", *text.lower().replace(".", " ").replace(",", " ").split()]
        found: NDArray[np.float64] = np.sum([self._word(word) for word in words], axis=0)
        return found

    def _word(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=self.dimension) * (0.1 if not word else 1.0)
