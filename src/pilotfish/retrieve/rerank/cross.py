"""Cross-encoders: a classifier of (query, passage) with one output, as transformers or sentence-transformers save it.

Source: Nogueira and Cho 2019 (Passage Re-ranking with BERT), section 2.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets
from pilotfish.retrieve.rerank.reranked import Relevance

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Cross"]


class Cross:
    """A cross-encoder. Loads on first use, once.

    Its score is the model's own number, before any sigmoid, which would change no order.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder.
        name: the name in reports.
        dtype: "float32", "bfloat16", "float16" or "auto".
        device: "auto", "cpu", "cuda", "mps".
        batch_tokens: the most tokens, padding included, in one pass.
        catalog: where names are looked up.
    """

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
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The `CrossEncoder`, loaded.

        Raises:
            ModelError: no such model, or none of this kind with one output.
            MissingExtra: sentence-transformers is not installed.
        """
        with self._lock:
            if self._model is None:
                torch = need("torch", "retrieve")
                library = need("sentence_transformers", "retrieve")
                _weights.quiet(need("transformers", "retrieve"))
                folder, _ = _weights.located(self.weights, self._catalog)
                device = _weights.pick_device(self.device)
                dtype = _weights.pick_dtype(self.dtype, device)
                try:
                    model = library.CrossEncoder(
                        str(folder),
                        device=device,
                        trust_remote_code=False,
                        model_kwargs={"use_safetensors": True, "dtype": dtype},
                    )
                except Exception as error:  # each library on the way raises its own kinds
                    reason = _weights.first_line(error)
                    raise ModelError(f"{self.weights}: no cross-encoder that loads: {reason}") from error
                outputs = int(model.config.num_labels)
                if outputs != 1:
                    raise ModelError(f"{self.weights}: a classifier with {outputs} outputs; a cross-encoder has one")
                model.eval()
                if dtype == torch.float32 and device == "cpu":
                    from pilotfish.models._fast_linear import fast_linears

                    model = fast_linears(model)
                self._model = model
            return self._model

    @property
    def max_length(self) -> int:
        """How many tokens of a pair are read; of a longer one the longer text is cut."""
        model = self.model
        # Its name until sentence-transformers 6 was max_length.
        most = getattr(model, "max_seq_length", None) or getattr(model, "max_length", None)
        return int(most or model.tokenizer.model_max_length)

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        """See `Reads`."""
        scores = np.zeros(len(pairs))
        if not pairs:
            return Relevance(scores, np.zeros(0, np.int64))
        model, most = self.model, self.max_length
        same = need("torch", "retrieve").nn.Identity()
        with self._lock:
            told = model.tokenizer([one for one, _ in pairs], [other for _, other in pairs], verbose=False)["input_ids"]
            sizes = [min(most, len(ids)) for ids in told]
            for batch in buckets(sizes, self.batch_tokens):
                scores[batch] = model.predict(
                    [pairs[place] for place in batch],
                    batch_size=len(batch),
                    show_progress_bar=False,
                    activation_fn=same,
                )
        return Relevance(scores, np.asarray(sizes, np.int64))
