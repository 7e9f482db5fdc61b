"""Text to vectors, by a sentence-transformers folder or name; batches bucketed by length."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["Encoder"]


class Encoder:
    """A text encoder: `encode(texts)` gives one vector a text. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a sentence-transformers folder.
        name: the name in reports; the weights' own by default.
        dtype: of the linear layers' weights and products: "float32" (the default), "bfloat16", "float16", or "auto":
            bfloat16 where the machine multiplies it natively, else float32. Embeddings, norms and pooling stay in
            float32, so that half precision is 2.5 times as fast on such a CPU and turns MiniLM's vectors by a cosine
            of 0.99998 at least (measured; 0.997 with all of it in bfloat16).
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads for torch, for the whole process; None leaves torch's choice.
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
        threads: int | None = None,
        batch_tokens: int = 4096,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        self.weights = str(weights)
        self.name = name or Path(self.weights).name
        self.dtype = dtype
        self.device = device
        self.threads = threads
        self.batch_tokens = batch_tokens
        self.licence = "unknown"
        self._catalog = catalog
        self._lock = threading.RLock()
        self._model: Any = None
        self._mixed: Any = None

    def __repr__(self) -> str:
        return f"Encoder({self.weights!r}, dtype={self.dtype!r})"

    def load(self) -> Encoder:
        """Load the weights now rather than at the first use, and return this encoder.

        Raises:
            ModelError: no such model, or its folder does not load.
            MissingExtra: sentence-transformers is not installed.
        """
        with self._lock:
            if self._model is not None:
                return self
            library = need("sentence_transformers", "local")
            _weights.quiet(need("transformers", "local"))
            _weights.use_threads(self.threads)
            folder, resolved = _weights.located(self.weights, self._catalog)
            self.licence = resolved.licence
            if resolved.kind == "causal-lm":
                raise ModelError(f"{self.weights}: a language model, not an encoder; load it as a local model")
            device = _weights.pick_device(self.device)
            try:
                model = library.SentenceTransformer(
                    str(folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
                )
            except Exception as error:  # each library on the way raises its own kinds
                reason = _weights.first_line(error)
                raise ModelError(f"{self.weights}: not an encoder that loads: {reason}") from error
            self._model = self._lowered(model, _weights.pick_dtype(self.dtype, device)).eval()
            return self

    def _lowered(self, model: Any, dtype: Any) -> Any:
        torch = need("torch", "local")
        self._mixed = None if dtype == torch.float32 else dtype
        if self._mixed is None:
            from pilotfish.models._fast_linear import fast_linears

            return fast_linears(model.float())
        for part in model.float().modules():
            if isinstance(part, torch.nn.Linear):
                # Once here, so that autocast does not convert them at each call.
                part.to(dtype)
        return model

    def copied(self) -> Encoder:
        """Return a float32 copy of its own weights, to train while this encoder stays as it is."""
        found = copy.copy(self)
        found._model = copy.deepcopy(self.model).float()
        found.dtype, found._mixed, found._lock = "float32", None, threading.RLock()
        return found

    @property
    def model(self) -> Any:
        """The SentenceTransformer, loaded."""
        return self.load()._model

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self.model.tokenizer

    @property
    def max_length(self) -> int:
        """How many tokens of a text are read; the rest is cut off."""
        return int(self.model.max_seq_length or 2**31)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        model = self.model
        # Its name until sentence-transformers 5.
        size = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        return int(size())

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(weight.numel() for weight in self.model.parameters())

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Within the block the transformer may be called, without gradients: token ids in, states out; yields it."""
        torch = need("torch", "local")
        model = self.model
        mixed = torch.autocast(model.device.type, dtype=self._mixed or torch.bfloat16, enabled=self._mixed is not None)
        with self._lock, torch.inference_mode(), mixed:
            yield model[0].auto_model

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return each text's number of tokens, uncut, special ones included."""
        if not texts:
            return []
        tokenizer = self.tokenizer
        # A fast tokenizer's truncation is a setting of the tokenizer itself: to turn it off while another thread reads
        # texts is an error of its ("Already borrowed").
        with self._lock:
            return [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return the vectors: (texts, dimension), float32, normalised where the model's own recipe normalises.

        A text longer than `max_length` tokens is cut (`lengths` tells which). The order of texts does not matter to
        the result but for the last bits. `progress` is called with the number of texts each batch finishes.
        """
        model = self.model
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        sizes = [min(n, self.max_length) for n in self.lengths(texts)]
        out: NDArray[np.float32] = np.empty((len(texts), self.dimension), dtype=np.float32)
        torch = need("torch", "local")
        mixed = torch.autocast(model.device.type, dtype=self._mixed or torch.bfloat16, enabled=self._mixed is not None)
        with self._lock, mixed:
            for batch in buckets(sizes, self.batch_tokens):
                vectors = model.encode(
                    [texts[i] for i in batch],
                    batch_size=len(batch),
                    show_progress_bar=False,
                    convert_to_numpy=False,
                    convert_to_tensor=True,
                )
                out[batch] = vectors.float().cpu().numpy()
                if progress:
                    progress(len(batch))
        return out
