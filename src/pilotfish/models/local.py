"""A model on this machine: transformers weights from a catalog name, a hub id, a folder or a GGUF file."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from pilotfish._extras import need
from pilotfish.decode._turns import Turns
from pilotfish.decode.face import DecodedModel
from pilotfish.decode.pick import Backend
from pilotfish.decode.quantize import Quantize, changes_numbers
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Delta, Reply, Request, Scored
from pilotfish.models import _weights
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import encode, encode_pair, joint_choices, one_begins_another, read_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.decode.decoder import Decoder, Prompt
    from pilotfish.decode.strategy import Strategy
    from pilotfish.models._prompt_logprobs import Position
    from pilotfish.models.catalog import Catalog

__all__ = ["LocalModel"]


class LocalModel:
    """A causal language model whose weights are here (`WhiteBoxModel`). Loads on first use, once.

    Requests that come while others run join their batch. `score`, `choices`, `hidden` and `next_logits` are
    synchronous: they take batches and keep the processor busy by themselves; they and the steps of generation take
    turns.

    Args:
        weights: a catalog name, `hf:org/name`, a folder of transformers weights, or a GGUF file.
        name: the name in traces; the weights' own name by default.
        dtype: "auto" (bfloat16 where the machine multiplies it natively, else float32), or a torch dtype's name.
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads for torch, for the whole process; None leaves torch's choice (the physical cores).
        batch_tokens: the most tokens, padding included, in one pass of `score`, `choices` and `hidden`.
        max_tokens: how many tokens a reply may have where the request does not say.
        max_rows: how many replies are generated together; further ones wait.
        quantize: "none", or "int8" or "int4": what the linear layers are held in for generation, `score`, `choices` and
            `next_logits`. `hidden` and `model` stay as they were loaded. "lossless" changes no number: beside the
            bfloat16 weights it keeps a copy in 12 bits to generate with, a quarter less to read for each token.
        backend: what generates: "auto", "native", "torch" or "transformers" (see `pilotfish.decode.pick`).
        catalog: where names are looked up; the built-in catalog and the user's own by default.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int = 2048,
        max_tokens: int = 256,
        max_rows: int = 32,
        quantize: Quantize = "none",
        backend: Backend = "auto",
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        for what, word, known in (("quantize", quantize, Quantize), ("backend", backend, Backend)):
            if word not in get_args(known):
                raise ConfigError(f"{what} must be one of {', '.join(get_args(known))}, not {word!r}")
        self.weights = str(weights)
        self.name = name or Path(self.weights).name
        self.dtype = dtype
        self.device = device
        self.threads = threads
        self.batch_tokens = batch_tokens
        self.max_tokens = max_tokens
        self.max_rows = max_rows
        self.quantize = quantize
        self.backend = backend
        self.licence = "unknown"
        self._catalog = catalog
        self._lock = Turns()
        # The face must not keep this model alive, or its memory and its thread would outlive the last use.
        me = weakref.ref(self)
        self._face = DecodedModel(
            self.name,
            strategy=lambda: _alive(me)._plain(),
            prompt=lambda request: _alive(me).prompt(request),
            tokenizer=lambda: _alive(me).tokenizer,
            ends=lambda: _alive(me).ends,
            max_tokens=max_tokens,
            max_rows=max_rows,
            turn=self._lock,
        )
        self._loaded: tuple[Any, Any] | None = None
        self._prefix: Any = None
        self._decoders: dict[tuple[tuple[int, ...], int | None], Decoder] = {}

    def __repr__(self) -> str:
        return f"LocalModel({self.weights!r}, dtype={self.dtype!r}, device={self.device!r})"

    @property
    def identity(self) -> str:
        """What tells its answers from another model's: its weights, by name or by what a folder holds."""
        told = _weights.identity_of(self.weights)
        return told if self.quantize == "none" else f"{told} {self.quantize}"

    def load(self) -> LocalModel:
        """Load the weights now rather than at the first use, and return this model.

        Raises:
            ModelError: no such model, damaged weights, or not a causal language model.
            MissingExtra: torch or transformers are not installed.
        """
        with self._lock:
            if self._loaded is not None:
                return self
            transformers = need("transformers", "local")
            need("torch", "local")
            _weights.use_threads(self.threads)
            folder, resolved = _weights.located(self.weights, self._catalog)
            self.licence = resolved.licence
            device = _weights.pick_device(self.device)
            dtype = _weights.pick_dtype(self.dtype, device)
            _weights.quiet(transformers)
            try:
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
                model, found = transformers.AutoModelForCausalLM.from_pretrained(
                    folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
                )
            except Exception as error:  # each library on the way raises its own kinds
                reason = _weights.first_line(error)
                raise ModelError(f"{self.weights}: not a causal language model that loads: {reason}") from error
            # transformers fills what a file lacks with random numbers; an encoder would pass for a language model.
            if found["missing_keys"]:
                lacks = f"{len(found['missing_keys'])} weights, {min(found['missing_keys'])} among them"
                raise ModelError(f"{self.weights}: not a whole causal language model: its files lack {lacks}")
            if getattr(model.config.get_text_config(), "attn_logit_softcapping", None):
                # torch's fused attention knows no cap and leaves it out without a word.
                model.set_attn_implementation("eager")
            self._loaded = (model.to(device).eval(), tokenizer)
            return self

    @property
    def model(self) -> Any:
        """The transformers model (torch module), loaded."""
        return self._ready()[0]

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self._ready()[1]

    @property
    def max_length(self) -> int:
        """How many tokens the model takes, prompt and reply together."""
        from pilotfish.decode.transformers_decoder import length_of

        return length_of(self.model.config.get_text_config())

    @property
    def parameters(self) -> int:
        """How many weights the model has, shared ones counted once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def _ready(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self.load()
        assert self._loaded is not None
        return self._loaded

    def render(self, request: Request) -> str:
        """Return the text the model is given for a request: its chat template filled in."""
        return render_chat(self.tokenizer, request, self.name)

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special ones included."""
        return len(encode(self.tokenizer, text))

    # White box: what only local weights give.

    def score(self, pairs: Iterable[tuple[str, str]], *, progress: Callable[[int], None] | None = None) -> list[Scored]:
        """Return log p(continuation | context) for each (context, continuation), in nats.

        The two are tokenised as one text and split at the context's length, a space at the context's end going to the
        continuation. An empty context is the start token; an empty continuation has log-probability 0. `progress` is
        called with the number of pairs each batch finishes.

        Raises:
            ModelError: a pair is longer than the model takes.
        """
        rows = [encode_pair(self.tokenizer, context, continuation) for context, continuation in pairs]
        self._check_lengths([len(ids) for ids, _ in rows])
        return self._scored(rows, progress)

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return log p(choice | context) in nats for every context and choice: (contexts, choices).

        Equal to `score` on every pair, but the contexts' common beginning runs once and the choices share one pass.
        Two things keep the choices comparable. Where one choice's tokens begin another's, the token that ends a turn
        is added to each, so that the shorter one does not win by being a part of the longer one. And where a choice
        melts into its context, all of that context's choices are scored from before the joined token.

        Raises:
            ConfigError: a choice is empty.
            ModelError: a context with its longest choice is longer than the model takes, or one choice begins another
                and the tokenizer has no token that ends a turn.
        """
        from pilotfish.models._choices import PrefixCache, choice_logprobs, takes_trees

        model, tokenizer = self._ready()
        if not contexts or not choices:
            return np.zeros((len(contexts), len(choices)))
        if any(not choice for choice in choices):
            raise ConfigError("a choice must not be empty")
        ids, tails = joint_choices(tokenizer, contexts, choices)
        rows = [[(row + list(tail), len(row)) for tail in row_tails] for row, row_tails in zip(ids, tails, strict=True)]
        end: list[int] = []
        if any(one_begins_another(row_tails) for row_tails in set(tails)):
            if tokenizer.eos_token_id is None:
                raise ModelError(
                    f"{self.name}: one choice begins another, and its tokenizer has no token to end it with"
                )
            end = [tokenizer.eos_token_id]
        lengths = [len(whole) + len(end) for row in rows for whole, _ in row]
        self._check_lengths(lengths)
        # The tree is for the weights as they were loaded, and needs one set of choice tokens for all rows; joint
        # tokenisation may cut some seams differently.
        as_loaded = not changes_numbers(self.quantize)
        if as_loaded and len(set(tails)) == 1 and takes_trees(model, max(lengths)):
            with self._lock:
                self._prefix = self._prefix or PrefixCache()
                return choice_logprobs(
                    model,
                    ids,
                    [[*tail, *end] for tail in tails[0]],
                    batch_tokens=self.batch_tokens,
                    prefix=self._prefix,
                    progress=progress,
                )
        scored = self._scored([(whole + end, at) for row in rows for whole, at in row])
        if progress:
            progress(len(contexts))
        return np.array([one.total for one in scored]).reshape(len(contexts), len(choices))

    def next_logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the unnormalised next-token logits after each text (after the start token where it is empty).

        Returns:
            (texts, vocabulary), float32.

        Raises:
            ModelError: a text is longer than the model takes.
        """
        from pilotfish.models import _decoded_scoring, _scoring

        model, tokenizer = self._ready()
        rows = read_whole(tokenizer, texts)
        self._check_lengths([len(row) for row in rows])
        with self._lock:
            if changes_numbers(self.quantize):
                return _decoded_scoring.next_logits(self.decoder(), rows, batch_tokens=self.batch_tokens)
            return _scoring.next_logits(model, rows, batch_tokens=self.batch_tokens)

    def hidden(self, texts: Sequence[str], layer: int = -1, *, truncate: bool = False) -> list[NDArray[np.float32]]:
        """Return a layer's hidden states, one (tokens, width) array a text; layer 0 is the embedding, -1 the last.

        An empty text is the start token. With `truncate` a text that is too long is cut at its end.

        Raises:
            ConfigError: the model has no such layer.
            ModelError: a text is longer than the model takes, without `truncate`.
        """
        from pilotfish.models import _scoring

        model, tokenizer = self._ready()
        rows = read_whole(tokenizer, texts)
        if truncate:
            rows = [row[: self.max_length] for row in rows]
        self._check_lengths([len(row) for row in rows])
        with self._lock:
            return _scoring.hidden_states(model, rows, layer, batch_tokens=self.batch_tokens)

    def pooled(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return each text's last hidden states averaged over its tokens, (texts, width); a text too long is cut.

        A `Reader` of the same weights gives the same, packed: 1.2 to 1.7 times as fast.
        """
        from pilotfish.models import _scoring

        model, tokenizer = self._ready()
        rows = [row[: self.max_length] for row in read_whole(tokenizer, texts)]
        with self._lock:
            how: dict[str, Any] = {"batch_tokens": self.batch_tokens, "mean": True, "progress": progress}
            found = _scoring.hidden_states(model, rows, -1, **how)
        return np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)

    def prompt_logprobs(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[list[Position]]:
        """Return, for each token of each row of ids but the first, (log p, the `top` likeliest (id, log p)), in nats.

        Raises:
            ModelError: a row is empty, or longer than the model takes.
        """
        from pilotfish.models._prompt_logprobs import prompt_logprobs

        if not all(rows):
            raise ModelError(f"{self.name}: an empty prompt has no tokens to score")
        self._check_lengths([len(row) for row in rows])
        decoder = self.decoder()
        with self._lock:
            return prompt_logprobs(decoder, rows, top, batch_tokens=self.batch_tokens)

    def _scored(
        self, rows: Sequence[tuple[list[int], int]], progress: Callable[[int], None] | None = None
    ) -> list[Scored]:
        """Score rows of (ids, number of context ids): what a quantised model is worth, not its original."""
        from pilotfish.models import _decoded_scoring, _scoring

        settings: dict[str, Any] = {"batch_tokens": self.batch_tokens, "progress": progress}
        with self._lock:
            if changes_numbers(self.quantize):
                return _decoded_scoring.score_ids(self.decoder(), rows, **settings)
            return _scoring.score_ids(self.model, rows, **settings)

    def _check_lengths(self, lengths: Sequence[int]) -> None:
        longest = max(lengths, default=1)
        if longest > self.max_length:
            raise ModelError(f"{self.name} takes {self.max_length} tokens at most; a text has {longest}: shorten it")

    # Model: what every model does.

    async def reply(self, request: Request) -> Reply:
        """Generate the whole answer (greedy unless the request sets a temperature).

        Raises:
            ModelError: the prompt does not fit, or the request asks for what cannot be done here.
        """
        return await self._face.reply(request)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Generate piece by piece; leaving the loop early stops the generation at the next token."""
        async with contextlib.aclosing(self._face.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    # The decoding engine's view.

    def decoder(self, exits: Sequence[int] = (), layers: int | None = None) -> Decoder:
        """Return a decoder over these weights. Those that ask for the same share one, as rows are independent.

        Args:
            exits: layers whose early-exit logits are wanted, as in `hidden_states` (0: the embedding).
            layers: only the first so many layers, then the final norm and the head; None for all.

        Raises:
            ConfigError: the backend cannot do what is asked.
        """
        from pilotfish.decode.pick import decoder_for

        key = (tuple(exits), layers)
        module = self.model
        with self._lock:
            if key not in self._decoders:
                self._decoders[key] = decoder_for(
                    module, quantize=self.quantize, backend=self.backend, exits=exits, layers=layers
                )
            return self._decoders[key]

    def prompt_ids(self, request: Request) -> list[int]:
        """Return the tokens the model is given for a request.

        A completion, which goes on from a text rather than answering a turn, has them as `metadata["prompt_ids"]`.

        Raises:
            ModelError: they leave no room for an answer.
        """
        given = request.metadata.get("prompt_ids")
        ids = list(given) if given is not None else encode(self.tokenizer, self.render(request))
        if len(ids) >= self.max_length:
            raise ModelError(f"{self.name} takes {self.max_length} tokens; the prompt alone has {len(ids)}: shorten it")
        return ids

    def prompt(self, request: Request) -> Prompt:
        """Return what `decoder().start` takes for a request (see `prompt_ids`)."""
        return [self.prompt_ids(request)]

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer: the generation config's and the tokenizer's own."""
        model, tokenizer = self._ready()
        found = getattr(model.generation_config, "eos_token_id", None)
        ids = {*(found if isinstance(found, list) else [found]), tokenizer.eos_token_id}
        return frozenset(i for i in ids if i is not None)

    def _plain(self) -> Strategy:
        from pilotfish.decode.strategy import Plain

        return Plain(self.decoder())


def _alive(model: weakref.ref[LocalModel]) -> LocalModel:
    """Return the model, which lives while a request of its own is under way."""
    alive = model()
    assert alive is not None
    return alive
