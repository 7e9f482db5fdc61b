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
from pilotfish.models._tokens import start_token
from pilotfish.models.classify import EncoderFeatures, TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

__all__ = ["Network", "Tokens", "agrees", "blank_of", "eager", "head_of", "is_network", "network_of"]


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
    from pilotfish.compete.explain.text.network_lm import LabellerNetwork, PooledNetwork

    if isinstance(reads, LabellerReads):
        return LabellerNetwork(reads)
    encoder = reads.features.encoder  # type: ignore[attr-defined]
    return EncoderNetwork(reads) if isinstance(encoder, Encoder) else PooledNetwork(reads)


def blank_of(tokenizer: Any) -> int:
    """Return the token that stands for no word; see `Network`."""
    known = (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    found = next((one for one in known if one is not None), None)
    return start_token(tokenizer) if found is None else int(found)


def head_of(reads: TextClassifier, like: Any) -> tuple[Any, Any]:
    """Return a head's weights (classes, width) and biases (classes,) as tensors like another."""
    torch, head = need("torch", "local"), reads.head
    coef, bias = head.coef_ / head.temperature_, head.intercept_ / head.temperature_
    return torch.tensor(coef, dtype=like.dtype, device=like.device), torch.tensor(
        bias, dtype=like.dtype, device=like.device
    )


@contextmanager
def eager(module: Any) -> Iterator[None]:
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
        return blank_of(self.encoder.tokenizer)

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
        coef, bias = head_of(self.reads, states)
        return told["sentence_embedding"] @ coef.T + bias

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`. How the last states are weighed is how the pooling's result moves with each."""
        torch = need("torch", "local")
        ids = torch.tensor([list(tokens.ids)], device=self.module.device)
        mask = torch.ones_like(ids)
        with self.encoder._lock, eager(self.body), torch.no_grad():
            found = self.body(input_ids=ids, attention_mask=mask, output_attentions=True)
        # The first part behind the transformer pools; of states that are marked it tells each one's weight.
        marked = torch.eye(ids.shape[1], device=ids.device)[None]
        pooled = list(self.module)[1]({"token_embeddings": marked, "attention_mask": mask})["sentence_embedding"][0]
        return [one[0] for one in found.attentions], pooled


def agrees(network: Network, reads: Reads, logits: Sequence[float], values: Sequence[float]) -> bool:
    """Say whether a network's logits are its classifier's, but for what they have in common and for precision."""
    gap = np.asarray(logits, np.float64) - np.asarray(values, np.float64)
    room = 0.02 if network.exact else 0.3
    return bool(np.ptp(gap) <= room * max(1.0, float(np.ptp(values))))
