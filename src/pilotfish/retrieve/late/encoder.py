"""An encoder for late interaction: a vector for each token of a query or a document.

Source: Khattab and Zaharia 2020 (ColBERT), section 3.2: markers, expansion by [MASK], a projection, no punctuation,
length 1. What a folder says of itself is read as PyLate does, so its models give the same vectors here.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import reading
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets
from pilotfish.retrieve.late._layout import read_layout, write_layout
from pilotfish.retrieve.late._module import late_module, loaded, marked, projected
from pilotfish.retrieve.late.pooling import pooled
from pilotfish.retrieve.late.settings import LateSettings
from pilotfish.train.folder import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["Cut", "Kind", "LateEncoder", "tensors"]

Kind = Literal["query", "document"]
_CUT = 2048  # texts that are tokenized together


class Cut(NamedTuple):
    """A text as tokens; of these the others see the first `seen`."""

    ids: list[int]
    seen: int


def tensors(cuts: Sequence[Cut], device: Any) -> tuple[Any, Any]:
    """Return tokens as one rectangle and its mask, (texts, longest) each; no mask where all is seen.

    What is padded is told by the lengths, never by a token: the one that fills queries up is a real one.
    """
    torch = need("torch", "local")
    longest = max(len(cut.ids) for cut in cuts)
    ids = torch.zeros((len(cuts), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, cut in enumerate(cuts):
        ids[place, : len(cut.ids)] = torch.tensor(cut.ids)
        mask[place, : cut.seen] = 1
    # Where all is seen attention takes its quickest way.
    return ids.to(device), None if bool(mask.all()) else mask.to(device)


class LateEncoder:
    """An encoder whose tokens are vectors of length 1. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder: a PyLate model, a ColBERT checkpoint, or any encoder.
        settings: how texts become tokens; None for what the folder says, and `LateSettings.untrained()` where it says
            nothing.
        dimension: of a vector; None for the folder's own. Of an encoder without a projection another dimension than its
            states' makes one, by a seed; of a model with one it must be that.
        seed: of that projection, and of markers that the tokenizer does not know.
        name: the name in reports; the weights' own by default.
        dtype: as for `Encoder`.
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads for torch, for the whole process; None leaves torch's choice.
        batch_tokens: the most tokens, padding included, in one pass.
        pool_factor: of a document's tokens one in so many is kept, near ones as their mean (see `pooling`).
        catalog: where names are looked up.
    """

    def __init__(
        self,
        weights: str | Path,
        settings: LateSettings | None = None,
        *,
        dimension: int | None = None,
        seed: int = 0,
        name: str | None = None,
        dtype: str = "float32",
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int = 4096,
        pool_factor: int = 1,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        if pool_factor < 1 or (dimension is not None and dimension < 1):
            raise ConfigError(f"pool_factor and dimension are 1 or more, not {pool_factor} and {dimension}")
        self.weights = str(weights)
        self.name = name or Path(self.weights).name
        self.dtype, self.device, self.threads = dtype, device, threads
        self.batch_tokens, self.pool_factor, self.seed = batch_tokens, pool_factor, seed
        self._asked, self._dimension, self._catalog = settings, dimension, catalog
        self._lock = threading.RLock()
        self._module: Any = None

    def __repr__(self) -> str:
        return f"LateEncoder({self.weights!r}, dtype={self.dtype!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A worker loads its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"} | {"_module": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def load(self) -> LateEncoder:
        """Load the weights now rather than at the first use, and return this encoder.

        Raises:
            ModelError: no such model, or its folder does not load.
            ConfigError: another dimension than the model's.
            MissingExtra: transformers are not installed.
        """
        with self._lock:
            if self._module is not None:
                return self
            transformers = need("transformers", "local")
            _weights.quiet(transformers)
            _weights.use_threads(self.threads)
            folder, resolved = _weights.located(self.weights, self._catalog)
            if resolved.kind == "causal-lm":
                raise ModelError(f"{self.weights}: a language model, not an encoder")
            device = _weights.pick_device(self.device)
            with reading(folder, "late-interaction model"):
                layout = read_layout(folder)
            body, self._tokenizer = loaded(layout.transformer, self.weights)
            self._settings = self._asked or layout.settings or LateSettings.untrained()
            self._lower = layout.lower
            self._marks = marked(body, self._tokenizer, self._settings, self.seed)
            dense = projected(layout.dense, body.config.hidden_size, self._dimension, self.seed, self.weights)
            module = late_module(body, dense)
            self._skipped = _skipped(self._tokenizer, self._settings)
            self._mixed = None
            dtype = _weights.pick_dtype(self.dtype, device)
            self._module = self._lowered(module.float().to(device), dtype).eval()
            return self

    def _lowered(self, module: Any, dtype: Any) -> Any:
        torch = need("torch", "local")
        if dtype == torch.float32:
            from pilotfish.models._fast_linear import fast_linears

            return fast_linears(module)
        self._mixed = dtype
        for part in module.modules():
            if isinstance(part, torch.nn.Linear):
                part.to(dtype)  # once here, so that autocast does not convert them at each call
        return module

    def copied(self) -> LateEncoder:
        """Return a float32 copy of its own weights, to train while this encoder stays as it is."""
        found = copy.copy(self.load())
        found._module = copy.deepcopy(self._module).float()
        found.dtype, found._mixed, found._lock = "float32", None, threading.RLock()
        return found

    @property
    def module(self) -> Any:
        """The transformer and its projection, loaded: token ids and a mask in, unit vectors out."""
        return self.load()._module

    @property
    def settings(self) -> LateSettings:
        """How texts become tokens."""
        return self.load()._settings

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer, with the markers."""
        return self.load()._tokenizer

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.module.dimension)

    @property
    def identity(self) -> str:
        """What tells its vectors from another encoder's: the weights and how texts become tokens."""
        told: list[Any] = [_weights.identity_of(self.weights), self._dimension, self.seed, self.pool_factor]
        layers = [
            hashlib.sha256(part.tobytes()).hexdigest()
            for layer in self.module.layers()
            for part in (layer.weight, layer.bias, layer.residual)
            if part is not None
        ]
        return f"late:{digest([*told, repr(self.settings)], layers)[:24]}"

    def queries(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the vectors of each query: (tokens, dimension), of length 1."""
        return self._encoded(texts, "query", None)

    def documents(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of each document: (tokens, dimension), of length 1.

        Args:
            texts: the documents.
            progress: called with the number of documents that each pass finishes.
        """
        return self._encoded(texts, "document", progress)

    def cut(self, texts: Sequence[str], kind: Kind) -> list[Cut]:
        """Return the tokens of each text as the model reads them: marked, cut at the length, queries filled up."""
        settings, mark = self.settings, self._marks[kind]
        length = settings.query_length if kind == "query" else settings.document_length
        # sentence-transformers takes the space around a text away, too.
        given = [(settings.prompt + text).strip() for text in texts]
        given = [text.lower() for text in given] if self._lower else given
        rows: list[list[int]] = []
        for at in range(0, len(given), _CUT):
            # A fast tokenizer's truncation is a setting of the tokenizer itself, so threads take turns.
            with self._lock:
                told = self.tokenizer(
                    given[at : at + _CUT], truncation=True, max_length=length - (mark is not None), verbose=False
                )
            rows += [list(ids) for ids in told["input_ids"]]
        if mark is not None:
            rows = [[*ids[:1], mark, *ids[1:]] for ids in rows]
        if kind == "document" or not settings.do_query_expansion:
            return [Cut(ids, len(ids)) for ids in rows]
        fill = self._marks["fill"] or 0
        filled = [ids + [fill] * (length - len(ids)) for ids in rows]
        seen = [length if settings.attend_to_expansion_tokens else len(ids) for ids in rows]
        return [Cut(ids, count) for ids, count in zip(filled, seen, strict=True)]

    def matched(self, cut: Cut, kind: Kind) -> NDArray[np.bool_]:
        """Return which tokens of a text are matched: all but a document's punctuation."""
        if kind == "query":
            return np.ones(len(cut.ids), bool)
        return ~np.isin(cut.ids, self._skipped)

    def _encoded(
        self, texts: Sequence[str], kind: Kind, progress: Callable[[int], None] | None
    ) -> list[NDArray[np.float32]]:
        torch = need("torch", "local")
        module = self.module
        cuts = self.cut(texts, kind)
        found: list[Any] = [None] * len(cuts)
        mixed = torch.autocast(module.device.type, dtype=self._mixed or torch.bfloat16, enabled=self._mixed is not None)
        with torch.inference_mode(), mixed:
            for batch in buckets([len(cut.ids) for cut in cuts], self.batch_tokens):
                vectors = module(*tensors([cuts[i] for i in batch], module.device)).cpu().numpy()
                for place, i in enumerate(batch):
                    own = vectors[place, : len(cuts[i].ids)][self.matched(cuts[i], kind)]
                    found[i] = pooled(own, self.pool_factor) if kind == "document" else own
                if progress:
                    progress(len(batch))
        return found

    def save(self, folder: str | Path) -> None:
        """Write a folder in PyLate's layout, which PyLate loads too; `modules.json` goes first and comes last."""
        folder = Path(folder)
        module = self.module
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "modules.json").unlink(missing_ok=True)
        with self._lock:
            copy.deepcopy(module.body).float().save_pretrained(str(folder))
            self.tokenizer.save_pretrained(str(folder))
            write_layout(folder, module.layers(), self.settings, module.dimension, lower=self._lower)


def _skipped(tokenizer: Any, settings: LateSettings) -> NDArray[np.int64]:
    """Return the tokens of documents that are not matched."""
    ids = [(word, tokenizer.convert_tokens_to_ids(word)) for word in settings.skiplist_words]
    known = [i for word, i in ids if i is not None and (i != tokenizer.unk_token_id or word == tokenizer.unk_token)]
    return np.array(known, np.int64)
