"""Transformers models of pairs of texts: loading them once, and rows of tokens as one rectangle."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models import _weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["Loaded", "padded", "places_of"]


class Loaded:
    """Weights with their tokenizer. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder of transformers weights.
        name: the name in reports.
        dtype: "float32", "bfloat16", "float16" or "auto".
        device: "auto", "cpu", "cuda", "mps".
        batch_tokens: the most tokens, padding included, in one pass.
        catalog: where names are looked up.

    Attributes:
        kind: transformers' class that loads such a model.
        what: it is, in words.
    """

    kind: str
    what: str

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        device: str = "auto",
        batch_tokens: int = 4096,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        self.weights, self.name = str(weights), name or Path(str(weights)).name
        self.dtype, self.device, self.batch_tokens = dtype, device, batch_tokens
        self._catalog = catalog
        self._lock = threading.RLock()
        self._loaded: tuple[Any, Any] | None = None

    def load(self) -> tuple[Any, Any]:
        """Return model and tokenizer, loaded.

        Raises:
            ModelError: no such model, or none of this kind.
            MissingExtra: torch or transformers are not installed.
        """
        with self._lock:
            if self._loaded is None:
                torch, transformers = need("torch", "local"), need("transformers", "local")
                _weights.quiet(transformers)
                folder, _ = _weights.located(self.weights, self._catalog)
                device = _weights.pick_device(self.device)
                dtype = _weights.pick_dtype(self.dtype, device)
                try:
                    kind = getattr(transformers, self.kind)
                    model = kind.from_pretrained(str(folder), dtype=dtype, use_safetensors=True)
                    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
                except Exception as error:  # each library on the way raises its own kinds
                    reason = _weights.first_line(error)
                    raise ModelError(f"{self.weights}: no {self.what} that loads: {reason}") from error
                model.to(device).eval()
                if dtype == torch.float32 and device == "cpu":
                    from pilotfish.models._fast_linear import fast_linears

                    model = fast_linears(model)
                self._loaded = model, tokenizer
            return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        # A worker loads its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"} | {"_loaded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    @property
    def most(self) -> int:
        """How many tokens it takes at once, as far as it tells."""
        model, tokenizer = self.load()
        return int(min(places_of(model.config) or 2**31, tokenizer.model_max_length))


# Their positions are counted from behind the padding's number.
_OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "roberta-prelayernorm")


def places_of(config: Any) -> int | None:
    """Return how many tokens a transformer has positions for; None where it counts none."""
    places = getattr(config, "max_position_embeddings", None)
    if not places:
        return None
    return int(places) - (int(config.pad_token_id) + 1 if config.model_type in _OFFSET else 0)


def padded(rows: Sequence[Sequence[int] | NDArray[np.int64]]) -> tuple[Any, Any]:
    """Return rows of tokens with zeros behind them, and a mask that is 1 where a token stands: both (rows, longest)."""
    torch = need("torch", "local")
    longest = max(1, *map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.as_tensor(row, dtype=torch.long)
        mask[place, : len(row)] = 1
    return ids, mask
