"""A causal language model that only reads: the log-probability of every token, as fast as the machine allows.

For what looks at whole data sets: perplexity, instruction-following difficulty, scores of texts. Documents are packed
(no padding), logits are made a few tokens at a time and never kept, products are those that are fastest here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError, ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets, encode, read_whole, start_token
from pilotfish.models.head import body_of, head_of
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["Prefix", "Reader"]

_HEAD_TOKENS = 128  # whose logits exist at a time: what of them is read again stays in the processor's cache


class Reader:
    """Reads texts with a causal language model. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, a folder of transformers weights, or a GGUF file.
        name: the name in reports; the weights' own by default.
        dtype: of the linear layers' products: "float32", "bfloat16", "float16", or "auto": bfloat16 where the machine
            multiplies it natively, else float32. All else is float32.
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads for torch, for the whole process; None leaves torch's choice.
        pack_tokens: of a pass.
        packing: None packs where the model's layers allow it, which is tried at loading; False pads.
        catalog: where names are looked up.

    Attributes:
        packs: whether documents are packed.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        pack_tokens: int = 2048,
        packing: bool | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        self.weights, self.name = str(weights), name or Path(str(weights)).name
        self.dtype, self.device, self.threads = dtype, device, threads
        self.pack_tokens, self.packing = pack_tokens, packing
        self._catalog = catalog
        self._lock = threading.RLock()
        self._local: Any = None
        self._head: Any = None
        self.packs = False

    def __repr__(self) -> str:
        return f"Reader({self.weights!r}, dtype={self.dtype!r})"

    @property
    def identity(self) -> str:
        """What tells its figures from another reader's: its weights, and how exact its products are."""
        return f"{_weights.identity_of(self.weights)} {self.dtype}"

    def load(self) -> Reader:
        """Load the weights now rather than at the first use, and return this reader.

        Raises:
            ModelError: no such model, damaged weights, or not a causal language model.
            MissingExtra: torch or transformers are not installed.
        """
        with self._lock:
            if self._local is not None:
                return self
            torch = need("torch", "local")
            from pilotfish.models._fast_linear import fast_linears, lower_linears

            device = _weights.pick_device(self.device)
            dtype = _weights.pick_dtype(self.dtype, device)
            settings: dict[str, Any] = {"device": device, "threads": self.threads, "catalog": self._catalog}
            local = LocalModel(self.weights, name=self.name, dtype="float32", **settings).load()
            model = local.model
            self._head = head_of(model)
            if dtype != torch.float32:
                lower_linears(model, dtype)
            elif device == "cpu":
                fast_linears(model, keep=False)
            self._local = local
            self.packs = self._reads()
            return self

    def _reads(self) -> bool:
        """Return whether documents may be packed: whether they are read as they are one by one.

        Raises:
            ModelError: padded ones are not either: something else stands between its states and its logits.
        """
        from pilotfish.models import _packed

        torch = need("torch", "local")
        model, random = self._local.model, np.random.default_rng(0)
        rows = [(random.integers(1, len(self._head), size).tolist(), 1) for size in (7, 5, 5, 2)]
        wanted = []
        with torch.inference_mode():
            for ids, _ in rows:
                logits = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0, :-1]
                chosen = torch.tensor(ids[1:], device=logits.device)[:, None]
                wanted.append(logits.float().log_softmax(-1).gather(-1, chosen)[:, 0].cpu().numpy())

        def agrees() -> bool:
            found = [logprobs for logprobs, _ in self._pass(rows)]
            return all(np.allclose(a, b, atol=2e-3, rtol=2e-3) for a, b in zip(wanted, found, strict=True))

        if self.packing is not False and _packed.register():
            own = model.config._attn_implementation
            model.set_attn_implementation(_packed.NAME)
            self.packs = True
            with suppress(ModelError):  # attention of a kind that is not known there
                if agrees():
                    return True
            model.set_attn_implementation(own)
            self.packs = False
        if not agrees():
            raise ModelError(
                f"{self.name}: its logits are more than its hidden states times its head; it can't be read"
            )
        return False

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self.load()._local.tokenizer

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.load()._local.model

    @property
    def max_length(self) -> int:
        """How many tokens it takes at once."""
        return int(self.load()._local.max_length)

    @property
    def licence(self) -> str:
        """Of the weights."""
        return str(self.load()._local.licence)

    def ids(self, text: str) -> list[int]:
        """Return a text's tokens, with a token in front that the first one follows, where the model knows any."""
        first = start_token(self.tokenizer)
        ids = encode(self.tokenizer, text)
        return ids if ids[:1] == [first] else [first, *ids]

    def logprobs(
        self, rows: Sequence[tuple[Sequence[int], int]], *, progress: Callable[[int], None] | None = None
    ) -> list[NDArray[np.float32]]:
        """Return log p, in nats, of each row's tokens from `start` on, given all that stand before each.

        Args:
            rows: (ids, start): 1 or more, since nothing stands before the first token.
            progress: called with the number of rows each pass finishes.

        Raises:
            DataError: a start that is none, or a row longer than the model takes.
        """
        return [logprobs for logprobs, _ in self._read(rows, False, progress)]

    def read(
        self, rows: Sequence[tuple[Sequence[int], int]], *, progress: Callable[[int], None] | None = None
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return, for each row, what `logprobs` returns and the mean of the states that those tokens follow from.

        That mean is (width,), zeros where a row asks for no token: what the model makes of an answer, in one pass.

        Raises:
            DataError: as `logprobs`.
        """
        return self._read(rows, True, progress)

    def _read(
        self, rows: Sequence[tuple[Sequence[int], int]], mean: bool, progress: Callable[[int], None] | None
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for number, (ids, start) in enumerate(rows):
            if not start >= 1:
                raise DataError(f"row {number}: nothing stands before its first token; start at 1 or later")
            if len(ids) > self.max_length:
                raise DataError(f"row {number}: {len(ids)} tokens, {self.name} takes {self.max_length}: use windows")
        self.load()
        none = np.zeros(0, dtype=np.float32)
        blank = np.zeros(int(self._local.model.config.get_text_config().hidden_size), np.float32) if mean else none
        out = [(none, blank)] * len(rows)
        asked = [i for i, (ids, start) in enumerate(rows) if len(ids) > start]
        if progress and len(asked) < len(rows):
            progress(len(rows) - len(asked))
        # The last token predicts nothing that is asked for, so it is not read.
        lengths = [len(rows[i][0]) - 1 for i in asked]
        with self._lock:
            for group in self._groups(lengths):
                some = [asked[i] for i in group]
                for i, found in zip(some, self._pass([rows[i] for i in some], mean), strict=True):
                    out[i] = found
                if progress:
                    progress(len(some))
        return out

    def pooled(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return each text's last hidden states averaged over its tokens, (texts, width), as `LocalModel.pooled`.

        A text that is longer than the model takes is cut at its end; an empty one is the start token.
        """
        torch = need("torch", "local")
        rows = [ids[: self.max_length] for ids in read_whole(self.tokenizer, texts)]
        out: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)] * len(rows)
        with self._lock, torch.inference_mode():
            for group in self._groups([len(ids) for ids in rows]):
                # A pass reads all but the last token, so one more stands there.
                states = self._states([([*rows[i], 0], 1) for i in group]).float()
                for i, own in zip(group, states.split([len(rows[i]) for i in group]), strict=True):
                    out[i] = own.mean(dim=0).cpu().numpy()
                if progress:
                    progress(len(group))
        return np.stack(out) if out else np.zeros((0, 0), dtype=np.float32)

    def prefix(self) -> Prefix:
        """Return an empty prefix, that can be read on from."""
        return Prefix(self)

    def _groups(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        from pilotfish.models._packed import packs

        return packs(lengths, self.pack_tokens) if self.packs else buckets(lengths, self.pack_tokens)

    def _states(self, rows: Sequence[tuple[Sequence[int], int]]) -> Any:
        return self._packed_states(rows) if self.packs else self._padded_states(rows)

    def _pass(
        self, rows: Sequence[tuple[Sequence[int], int]], mean: bool = False
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        torch = need("torch", "local")
        none = np.zeros(0, dtype=np.float32)
        with torch.inference_mode():
            states = self._states(rows)
            targets = torch.tensor([token for ids, start in rows for token in ids[start:]], device=states.device)
            found = self._of(states, targets)
            sizes = [len(ids) - start for ids, start in rows]
            parts = states.split(sizes)
            means = [part.float().mean(dim=0).cpu().numpy() if mean else none for part in parts]
        return [(part.numpy(), own) for part, own in zip(found.split(sizes), means, strict=True)]

    def _of(self, states: Any, targets: Any) -> Any:
        """Return log p of each target by the state that predicts it: (tokens,)."""
        torch = need("torch", "local")
        found = torch.empty(len(targets))
        head = self._local.model.get_output_embeddings()
        for at in range(0, len(targets), _HEAD_TOKENS):
            logits = head(states[at : at + _HEAD_TOKENS]).float()
            self._head.shape_(logits, 1.0)
            own = logits.gather(-1, targets[at : at + _HEAD_TOKENS, None])[:, 0]
            found[at : at + _HEAD_TOKENS] = own - logits.logsumexp(-1)
        return found

    def _packed_states(self, rows: Sequence[tuple[Sequence[int], int]]) -> Any:
        """Return the states that predict the tokens asked for, row after row: (tokens, width)."""
        torch = need("torch", "local")
        from pilotfish.models._packed import Pack, packed

        model = self._local.model
        lengths = [len(ids) - 1 for ids, _ in rows]
        pack = Pack.of(lengths, model.device)
        ids = torch.tensor([token for row, _ in rows for token in row[:-1]])[None]
        with packed(pack):
            body = body_of(model)(
                input_ids=ids.to(model.device), position_ids=pack.positions().to(model.device), use_cache=False
            )
        states = body.last_hidden_state[0]
        starts = np.cumsum([0, *lengths])
        wanted = [
            np.arange(first + start - 1, first + length)
            for first, length, (_, start) in zip(starts[:-1], lengths, rows, strict=True)
        ]
        return states[torch.from_numpy(np.concatenate(wanted)).to(states.device)]

    def _padded_states(self, rows: Sequence[tuple[Sequence[int], int]]) -> Any:
        torch = need("torch", "local")
        model = self._local.model
        longest = max(len(ids) - 1 for ids, _ in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, (row, _) in enumerate(rows):
            ids[i, : len(row) - 1] = torch.tensor(row[:-1])
            mask[i, : len(row) - 1] = 1
        body = body_of(model)(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False)
        states = body.last_hidden_state
        return torch.cat([states[i, start - 1 : len(row) - 1] for i, (row, start) in enumerate(rows)])


class Prefix:
    """Tokens that a reader has read and keeps, so that further ones are read in their light and they are not again.

    Args:
        reader: who reads; one prefix at a time is read on from.

    Attributes:
        length: tokens that are kept.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader.load()
        self.length = 0
        self._cache: Any = None

    def read(self, ids: Sequence[int], start: int, positions: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Read on, keep all of it, and return log p, in nats, of ids[start:], given all that stands before each.

        Args:
            ids: tokens, the one before the first that is asked for included.
            start: the first that is asked for.
            positions: of the tokens; None counts on from what is kept.

        Raises:
            DataError: a start below 1, or more tokens than the model takes.
        """
        torch = need("torch", "local")
        reader = self.reader
        if not 1 <= start <= len(ids):
            raise DataError("the token before the first one that is asked for is read with it: start at 1 or later")
        if self.length + len(ids) > reader.max_length:
            raise DataError(f"{self.length + len(ids)} tokens; {reader.name} takes {reader.max_length}")
        model = reader._local.model
        with reader._lock, torch.inference_mode():
            if self._cache is None:
                self._cache = need("transformers", "local").DynamicCache()
            given = torch.tensor([list(ids)], device=model.device)
            places = range(self.length, self.length + len(ids)) if positions is None else positions
            body = body_of(model)(
                input_ids=given,
                position_ids=torch.tensor([list(places)], device=model.device),
                past_key_values=self._cache,
                use_cache=True,
            )
            self.length += len(ids)
            found = reader._of(body.last_hidden_state[0, start - 1 : -1], given[0, start:])
        return np.asarray(found.numpy())

    def keep(self, length: int) -> None:
        """Forget all behind the first so many tokens.

        Raises:
            DataError: it has not read so many.
        """
        if not 0 <= length <= self.length:
            raise DataError(f"a prefix of {self.length} tokens has no first {length}")
        if length == 0:
            self._cache = None
        elif length < self.length:
            self._cache.crop(length)
        self.length = length

    def select(self, places: Sequence[int]) -> None:
        """Forget all but the tokens at some places, ascending; what is kept of them has still seen the others.

        Raises:
            DataError: it has not read so many.
        """
        if list(places) != sorted({*places} & {*range(self.length)}):
            raise DataError(f"a prefix of {self.length} tokens has no such places, or not in this order")
        if not len(places):
            self.keep(0)
            return
        torch = need("torch", "local")
        for layer in self._cache.layers:
            chosen = torch.tensor(list(places), device=layer.keys.device)
            layer.keys, layer.values = layer.keys.index_select(2, chosen), layer.values.index_select(2, chosen)
        self.length = len(places)
