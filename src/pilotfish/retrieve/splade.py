"""Texts as weighted words of a vocabulary, learnt from data: SPLADE, with or without a model for the queries.

Sources: Formal et al. 2021 (SPLADE v2), equations 1 and 6: of a vocabulary's entry j, max over tokens i of
log(1 + relu(logit_ij)); queries by inverse document frequencies alone: Geng et al. 2024 (inference-free retrievers).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Splade", "Weighed", "Weighs"]


@dataclass(frozen=True)
class Weighed:
    """The entries of a vocabulary that a text has, and their weights: both (entries,), by entry."""

    entries: NDArray[np.int32]
    weights: NDArray[np.float32]


class Weighs:
    """What gives texts weighted entries of a vocabulary."""

    @property
    def size(self) -> int:
        """How many entries the vocabulary has."""
        raise NotImplementedError

    def passages(self, texts: Sequence[str]) -> list[Weighed]:
        """Return the entries of passages."""
        raise NotImplementedError

    def queries(self, texts: Sequence[str]) -> list[Weighed]:
        """Return the entries of queries."""
        raise NotImplementedError

    def entries(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return which entries a text has as its tokenizer reads it, each once."""
        raise NotImplementedError


class Splade(Weighs):
    """A masked language model whose head weighs words. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder: of a transformers masked language model, or as
            sentence-transformers' `SparseEncoder` writes it, with or without a model of its own for queries.
        name: the name in reports.
        device: "auto", "cpu", "cuda", "mps".
        batch_tokens: the most tokens, padding included, in one pass; each takes 120 kB for a vocabulary of 30,000.
        most: how many entries a text keeps, the heaviest; None keeps all above 0.
        catalog: where names are looked up.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        device: str = "auto",
        batch_tokens: int = 2048,
        most: int | None = 256,
        catalog: Catalog | None = None,
    ) -> None:
        self.weights, self.name = str(weights), name or Path(str(weights)).name
        self.device, self.batch_tokens, self.most = device, batch_tokens, most
        self._catalog = catalog
        self._lock = threading.RLock()
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The `SparseEncoder`, loaded.

        Raises:
            ModelError: no such model, or its folder does not load.
            MissingExtra: sentence-transformers is not installed, or is older than 5.
        """
        with self._lock:
            if self._model is None:
                library = need("sentence_transformers.sparse_encoder", "retrieve")
                _weights.quiet(need("transformers", "retrieve"))
                folder, _ = _weights.located(self.weights, self._catalog)
                device = _weights.pick_device(self.device)
                try:
                    model = library.SparseEncoder(
                        str(folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
                    )
                except Exception as error:  # each library on the way raises its own kinds
                    raise ModelError(
                        f"{self.weights}: no sparse encoder that loads: {_weights.first_line(error)}"
                    ) from error
                self._model = model.float().eval()
            return self._model

    @property
    def size(self) -> int:
        """See `Weighs`."""
        return len(self.model.tokenizer)

    def passages(self, texts: Sequence[str]) -> list[Weighed]:
        """See `Weighs`."""
        return self._weighed(texts, self.model.encode_document)

    def queries(self, texts: Sequence[str]) -> list[Weighed]:
        """See `Weighs`."""
        return self._weighed(texts, self.model.encode_query)

    def entries(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """See `Weighs`."""
        if not texts:
            return []
        with self._lock:
            told = self.model.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [np.unique(np.asarray(ids, np.int32)) for ids in told]

    def _weighed(self, texts: Sequence[str], encode: Any) -> list[Weighed]:
        if not texts:
            return []
        found: list[Weighed | None] = [None] * len(texts)
        most = int(self.model.max_seq_length or 512)
        with self._lock:
            told = self.model.tokenizer(list(texts), verbose=False)["input_ids"]
            for batch in buckets([min(most, len(ids)) for ids in told], self.batch_tokens):
                rows = encode(
                    [texts[place] for place in batch],
                    batch_size=len(batch),
                    show_progress_bar=False,
                    convert_to_sparse_tensor=False,
                    save_to_cpu=True,
                )
                for place, row in zip(batch, rows.float().numpy(), strict=True):
                    found[place] = _heaviest(row, self.most)
        return [one for one in found if one is not None]


def _heaviest(row: NDArray[np.float32], most: int | None) -> Weighed:
    entries = np.flatnonzero(row > 0)
    if most is not None and len(entries) > most:
        entries = np.sort(entries[np.argsort(-row[entries], kind="stable")[:most]])
    return Weighed(entries.astype(np.int32), row[entries].astype(np.float32))
