"""Networks as explanations need them: from the vectors of a text's tokens to logits, with gradients, and attention.

A network reads a text as its classifier does, and that is checked: one that goes another way is not explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.explain.text.reads import LabellerReads, Reads
from pilotfish.compete.explain.text.words import Span
from pilotfish.errors import ModelError
from pilotfish.models._tokens import encode, joint_choices, start_token
from pilotfish.models.classify import EncoderFeatures, TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.models.head import body_of
from pilotfish.models.local import LocalModel

__all__ = ["Network", "Tokens", "is_network", "network_of"]


@dataclass(frozen=True)
class Tokens:
    """A text as a network reads it.

    Attributes:
        ids: of its tokens.
        spans: where each stands in the text; without length where it is none of the text's.
        tails: of a language model, the tokens of each answer that follows.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    tails: tuple[tuple[int, ...], ...] = ()

    @property
    def own(self) -> list[bool]:
        """Whether each token is the text's."""
        return [end > start for start, end in self.spans]


class Network(Protocol):
    """What is explained from within.

    Attributes:
        exact: whether it computes as its classifier does to the last digits, not in higher precision.
    """

    exact: bool

    def read(self, text: str) -> Tokens:
        """Return a text's tokens."""

    def embed(self, ids: Sequence[int]) -> Any:
        """Return the tokens' vectors as a tensor: (tokens, width)."""

    @property
    def blank(self) -> int:
        """The token that stands for no word: the mask, where there is one, or else padding, or the end."""

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """Return (rows, classes) of (rows, tokens, width), with gradients."""

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """Return each layer's attention (heads, tokens, tokens), and how the last states are weighed: (tokens,)."""


def is_network(reads: Reads) -> TypeGuard[TextClassifier | LabellerReads]:
    """Say whether a classifier is a network whose weights are here."""
    if isinstance(reads, LabellerReads):
        return isinstance(reads.labeller.model, LocalModel)
    return isinstance(reads, TextClassifier) and isinstance(reads.features, EncoderFeatures)


def network_of(reads: Reads) -> Network:
    """Return the network of a classifier.

    Raises:
        ModelError: it is none whose weights are here.
    """
    if not is_network(reads):
        raise ModelError("only a head over an encoder or a local language model has gradients and attention")
    if isinstance(reads, LabellerReads):
        return LabellerNetwork(reads)
    encoder = reads.features.encoder  # type: ignore[attr-defined]
    return EncoderNetwork(reads) if isinstance(encoder, Encoder) else PooledNetwork(reads)


def _blank(tokenizer: Any) -> int:
    known = (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    found = next((one for one in known if one is not None), None)
    return start_token(tokenizer) if found is None else int(found)


def _head(reads: TextClassifier, like: Any) -> tuple[Any, Any]:
    torch, head = need("torch", "local"), reads.head
    coef, bias = head.coef_ / head.temperature_, head.intercept_ / head.temperature_
    return torch.tensor(coef, dtype=like.dtype, device=like.device), torch.tensor(
        bias, dtype=like.dtype, device=like.device
    )


@contextmanager
def _eager(module: Any) -> Iterator[None]:
    """Within the block a transformer computes its attention where it can be seen."""
    own = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(own)


class EncoderNetwork:
    """An encoder of sentence-transformers and a linear head."""

    def __init__(self, reads: TextClassifier) -> None:
        self.reads = reads
        self.encoder: Encoder = reads.features.encoder  # type: ignore[attr-defined]
        self.exact = self.encoder.dtype == "float32"
        # Of an encoder in half precision a float32 copy is explained: gradients need the digits.
        self.module = self.encoder.model if self.exact else self.encoder.copied().model
        self.body = self.module[0].auto_model

    def read(self, text: str) -> Tokens:
        """See `Network`."""
        how = {"truncation": True, "max_length": self.encoder.max_length, "return_offsets_mapping": True}
        with self.encoder._lock:
            found = self.encoder.tokenizer(text, **how)
        return Tokens(tuple(found["input_ids"]), tuple((int(a), int(b)) for a, b in found["offset_mapping"]))

    def embed(self, ids: Sequence[int]) -> Any:
        """See `Network`."""
        torch = need("torch", "local")
        return self.body.get_input_embeddings()(torch.tensor(list(ids), device=self.module.device)).detach()

    @property
    def blank(self) -> int:
        """See `Network`."""
        return _blank(self.encoder.tokenizer)

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """See `Network`."""
        torch = need("torch", "local")
        mask = torch.ones(vectors.shape[:2], dtype=torch.long, device=vectors.device)
        states = self.body(inputs_embeds=vectors, attention_mask=mask).last_hidden_state
        return self._headed(states, mask)

    def _headed(self, states: Any, mask: Any) -> Any:
        told = {"token_embeddings": states, "attention_mask": mask}
        for part in list(self.module)[1:]:
            told = part(told)
        coef, bias = _head(self.reads, states)
        return told["sentence_embedding"] @ coef.T + bias

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`. How the last states are weighed is how the pooling's result moves with each."""
        torch = need("torch", "local")
        ids = torch.tensor([list(tokens.ids)], device=self.module.device)
        mask = torch.ones_like(ids)
        with self.encoder._lock, _eager(self.body), torch.no_grad():
            found = self.body(input_ids=ids, attention_mask=mask, output_attentions=True)
        # The first part behind the transformer pools; of states that are marked it tells each one's weight.
        marked = torch.eye(ids.shape[1], device=ids.device)[None]
        pooled = list(self.module)[1]({"token_embeddings": marked, "attention_mask": mask})["sentence_embedding"][0]
        return [one[0] for one in found.attentions], pooled


class PooledNetwork:
    """A causal language model whose last states are averaged, brought to length one, and a linear head."""

    def __init__(self, reads: TextClassifier) -> None:
        self.reads = reads
        given = reads.features.encoder  # type: ignore[attr-defined]
        self.exact = isinstance(given, LocalModel) and given.dtype == "float32"
        # What reads fast has laid its weights out anew, and gradients need the digits: so another copy.
        how: dict[str, Any] = {"dtype": "float32", "device": given.device, "catalog": given._catalog}
        self.model = given if self.exact else LocalModel(given.weights, **how)
        self.body = body_of(self.model.model)

    def read(self, text: str) -> Tokens:
        """See `Network`."""
        ids, spans = _offsets(self.model.tokenizer, text)
        most = self.model.max_length
        return Tokens(tuple(ids[:most]), tuple(spans[:most]))

    def embed(self, ids: Sequence[int]) -> Any:
        """See `Network`."""
        return _embedded(self.model, ids)

    @property
    def blank(self) -> int:
        """See `Network`."""
        return _blank(self.model.tokenizer)

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """See `Network`."""
        states = self.body(inputs_embeds=vectors, use_cache=False).last_hidden_state.mean(dim=1)
        coef, bias = _head(self.reads, states)
        return states / states.norm(dim=1, keepdim=True).clamp(min=1e-12) @ coef.T + bias

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`."""
        torch = need("torch", "local")
        found = _causal_attentions(self.model, self.body, tokens.ids)
        return found, torch.full((len(tokens.ids),), 1 / len(tokens.ids))


class LabellerNetwork:
    """A language model that is asked for a label: log-probabilities of the labels after the prompt."""

    def __init__(self, reads: LabellerReads) -> None:
        self.reads, self.labeller = reads, reads.labeller
        model = self.labeller.model
        assert isinstance(model, LocalModel), "see is_network"
        self.exact = model.dtype == "float32" and model.quantize == "none"
        how: dict[str, Any] = {"dtype": "float32", "device": model.device, "catalog": model._catalog}
        self.model = model if self.exact else LocalModel(model.weights, **how)
        self.body = body_of(self.model.model)

    def read(self, text: str) -> Tokens:
        """Return the prompt's tokens, of which the text's are its own, and the labels'."""
        contexts, _ = self.labeller._fitted(self.model, [text])
        context = contexts[0].rstrip(" \t")
        cut = text
        while cut and cut not in context:  # it was cut at its end to fit
            cut = cut[:-1]
        start = context.rfind(cut)
        if not cut or start < 0:
            raise ModelError(f"{self.model.name}: its prompt does not hold the text as it is: {text[:40]!r}")
        ids, tails = joint_choices(self.model.tokenizer, contexts, list(self.labeller.shown.values()))
        known, offsets = _offsets(self.model.tokenizer, context)
        size = len(ids[0])
        if known[:size] != list(ids[0]):
            raise ModelError(f"{self.model.name}: where its prompt's tokens stand in the text is not known")
        spans = []
        for a, b in offsets[:size]:
            low, high = max(a, start), min(b, start + len(cut))
            spans.append((low - start, high - start) if high > low else (0, 0))
        own = tails[0]
        if any(len(a) < len(b) and b[: len(a)] == a for a in own for b in own):
            own = tuple((*tail, self.model.tokenizer.eos_token_id) for tail in own)
        return Tokens(tuple(ids[0]), tuple(spans), own)

    def embed(self, ids: Sequence[int]) -> Any:
        """See `Network`."""
        return _embedded(self.model, ids)

    @property
    def blank(self) -> int:
        """See `Network`."""
        return _blank(self.model.tokenizer)

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """See `Network`: log-probabilities of the labels, less the labeller's prior."""
        torch = need("torch", "local")
        rows, length = vectors.shape[:2]
        found = []
        for tail in tokens.tails:
            # The last token predicts nothing that is asked for.
            after = self.embed(tail[:-1])[None].expand(rows, -1, -1)
            logits = self.model.model(inputs_embeds=torch.cat([vectors, after], dim=1), use_cache=False).logits
            logs = logits[:, length - 1 :].float().log_softmax(-1)
            wanted = torch.tensor(tail, device=logs.device)[None, :, None].expand(rows, -1, -1)
            found.append(logs.gather(-1, wanted)[..., 0].sum(dim=1))
        together = torch.stack(found, dim=1)
        prior = self.labeller.prior_
        return together if prior is None else together - torch.tensor(prior, dtype=together.dtype)

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`: the labels follow from the last token's state."""
        torch = need("torch", "local")
        weights = torch.zeros(len(tokens.ids))
        weights[-1] = 1.0
        return _causal_attentions(self.model, self.body, tokens.ids), weights


def _offsets(tokenizer: Any, text: str) -> tuple[list[int], list[Span]]:
    """Return a text's ids as `encode` gives them, and where each token stands.

    Raises:
        ModelError: a tokenizer that cannot tell.
    """
    ids = encode(tokenizer, text) or [start_token(tokenizer)]
    if not tokenizer.is_fast:
        raise ModelError("this tokenizer does not tell where its tokens stand in a text")
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spans = [(int(a), int(b)) for a, b in found["offset_mapping"]]
    return ids, [(0, 0)] * (len(ids) - len(spans)) + spans


def _embedded(model: LocalModel, ids: Sequence[int]) -> Any:
    torch = need("torch", "local")
    module = model.model
    given = torch.tensor(list(ids), dtype=torch.long, device=module.device)
    return module.get_input_embeddings()(given).detach()


def _causal_attentions(model: LocalModel, body: Any, ids: Sequence[int]) -> list[Any]:
    torch = need("torch", "local")
    given = torch.tensor([list(ids)], device=model.model.device)
    with _eager(model.model), torch.no_grad():
        found = body(input_ids=given, use_cache=False, output_attentions=True)
    return [one[0] for one in found.attentions]


def agrees(network: Network, reads: Reads, logits: Sequence[float], values: Sequence[float]) -> bool:
    """Say whether a network's logits are its classifier's, but for what they have in common and for precision."""
    gap = np.asarray(logits, np.float64) - np.asarray(values, np.float64)
    room = 0.02 if network.exact else 0.3
    return bool(np.ptp(gap) <= room * max(1.0, float(np.ptp(values))))
