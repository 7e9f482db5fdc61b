"""Documents packed side by side into one row of tokens, each attending to itself alone: no padding is computed.

All layers but attention look at one token at a time, so documents may stand in one row; positions begin anew with each.
Attention is computed document by document, short ones of much the same length together, padded on the right, where a
causal model does not look.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pilotfish.errors import ModelError

__all__ = ["NAME", "Pack", "packed", "packs", "register"]

NAME = "pilotfish_packed"
_NEAR = 1.15  # documents whose lengths differ by less are attended together: as much is computed in vain at most
_LONG = 32  # tokens from which a document is attended alone on a CPU: to gather several costs more there than a call
_HELD: contextvars.ContextVar[Pack] = contextvars.ContextVar("pilotfish_pack")


def packs(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Group indices, by falling length, into packs of at most `tokens` tokens; a longer document is a pack alone.

    The longest come first: the first pack needs the most memory, so a machine too small for it says so at once.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    pack: list[int] = []
    size = 0
    for i in order:
        if pack and size + lengths[i] > tokens:
            yield pack
            pack, size = [], 0
        pack.append(i)
        size += lengths[i]
    if pack:
        yield pack


@dataclass(frozen=True)
class Pack:
    """Where documents stand in a row of tokens, longest first.

    Attributes:
        lengths: of the documents.
        groups: what is attended together: a document's place, or (places of the tokens, (documents, longest), which of
            those there are).
    """

    lengths: tuple[int, ...]
    groups: tuple[slice | tuple[Any, Any], ...]

    @classmethod
    def of(cls, lengths: Sequence[int], device: Any) -> Pack:
        """Return the pack of documents of these lengths, which stand one after another."""
        starts = [0]
        for length in lengths:
            starts.append(starts[-1] + length)
        groups: list[slice | tuple[Any, Any]] = []
        calls_are_cheap = torch.device(device).type == "cpu"
        at = 0
        while at < len(lengths):
            if calls_are_cheap and lengths[at] >= _LONG:
                groups.append(slice(starts[at], starts[at + 1]))
                at += 1
                continue
            end = at
            while end < len(lengths) and lengths[at] <= lengths[end] * _NEAR:
                end += 1
            longest = lengths[at]
            within = torch.arange(longest)
            counts = torch.tensor(lengths[at:end])[:, None]
            there = within < counts
            # A place past a document's end reads its last token, and what comes of it is written nowhere.
            places = torch.tensor(starts[at:end])[:, None] + torch.minimum(within, counts - 1)
            groups.append((places.to(device), there.to(device)))
            at = end
        return cls(tuple(lengths), tuple(groups))

    def positions(self) -> Any:
        """Return each token's position in its own document: (1, tokens)."""
        return torch.cat([torch.arange(length) for length in self.lengths])[None]


@contextmanager
def packed(pack: Pack) -> Iterator[None]:
    """Within the block, a model with this attention reads one pack."""
    token = _HELD.set(pack)
    try:
        yield
    finally:
        _HELD.reset(token)


def register() -> bool:
    """Make the attention known to transformers, under `NAME`; False where it takes none of one's own."""
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
    except ImportError:
        return False
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    return True


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Return (1, tokens, heads, size): causal attention within each document. See transformers' AttentionInterface.

    Without a pack all of it is one document, whose first keys may be those of tokens that were read before.

    Args:
        module: the layer.
        query: (1, heads, tokens, size).
        key: (1, key heads, tokens, size); with what was read before, more of them.
        value: (1, key heads, tokens, size); likewise.
        attention_mask: none.
        scaling: of the products; None for 1 / √size.
        dropout: none where nothing is trained.
        sliding_window: how far back a token looks.
        softcap: see Gemma 2.
        others: what else a family hands on.

    Raises:
        ModelError: attention with something that is not known here.
    """
    if others.get("s_aux") is not None:
        raise ModelError("attention with sinks cannot be packed")
    pack = _HELD.get(None)
    if pack is None:
        return _slowly_or_not(query, key, value, scaling, sliding_window, softcap).transpose(1, 2), None
    out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
    for group in pack.groups:
        if isinstance(group, slice):
            q, k, v = (part[:, :, group] for part in (query, key, value))
            out[:, group] = _slowly_or_not(q, k, v, scaling, sliding_window, softcap).transpose(1, 2)
            continue
        places, there = group
        # (documents, heads, longest, size)
        q, k, v = (part[0][:, places].transpose(0, 1) for part in (query, key, value))
        found = _slowly_or_not(q, k, v, scaling, sliding_window, softcap)
        out[0, places[there]] = found.transpose(1, 2)[there]
    return out, None


def _slowly_or_not(
    q: Any, k: Any, v: Any, scaling: float | None, sliding_window: int | None, softcap: float | None
) -> Any:
    """Return causal attention of the last tokens to all: (documents, heads, tokens, size)."""
    tokens, seen = q.shape[2], k.shape[2]
    window = sliding_window if sliding_window is not None and sliding_window < seen else None
    if window is not None or softcap is not None:
        return _slowly(q, k, v, scaling, window, softcap)
    mask = None
    if seen > tokens > 1:
        mask = torch.ones((tokens, seen), dtype=torch.bool, device=q.device).tril(seen - tokens)
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=seen == tokens, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )


def _slowly(q: Any, k: Any, v: Any, scaling: float | None, window: int | None, softcap: float | None) -> Any:
    repeat = q.shape[1] // k.shape[1]
    k, v = (part.repeat_interleave(repeat, dim=1) for part in (k, v))
    logits = q @ k.transpose(-1, -2) * (scaling if scaling is not None else q.shape[-1] ** -0.5)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    first = k.shape[2] - q.shape[2]
    back = torch.arange(first, k.shape[2], device=q.device)[:, None] - torch.arange(k.shape[2], device=q.device)
    seen = (back >= 0) if window is None else (back >= 0) & (back < window)
    weights = torch.softmax(logits.float().masked_fill(~seen, -torch.inf), dim=-1).to(v.dtype)
    return weights @ v
