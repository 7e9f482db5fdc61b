"""The keys and values of one row, the cache that lets several rows through one transformers pass, and its masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pilotfish.decode._ancestors import ancestors

__all__ = ["JointCache", "KeysValues", "joint_masks", "tree_sees"]


class KeysValues:
    """One row's keys and values: for each layer two buffers (heads, capacity, head_dim) that grow by doubling.

    All layers keep all tokens, those with windows too (the mask hides what is outside): cutting `length` is an exact
    rollback.
    """

    def __init__(self) -> None:
        self.length = 0
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values (heads, tokens, head_dim) after `length` and return all of them as views.

        `length` itself moves when all layers have written.
        """
        end = self.length + keys.shape[1]
        held = self.layers.get(layer)
        if held is None or held[0].shape[1] < end:
            held = (self._grown(held and held[0], keys, end), self._grown(held and held[1], values, end))
            self.layers[layer] = held
        held[0][:, self.length : end] = keys
        held[1][:, self.length : end] = values
        return held[0][:, :end], held[1][:, :end]

    def _grown(self, old: Tensor | None, like: Tensor, end: int) -> Tensor:
        new = like.new_empty((like.shape[0], max(64, 2 * end), like.shape[2]))
        if old is not None:
            new[:, : self.length] = old[:, : self.length]
        return new

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self.length = length

    def compact(self, length: int, path: Sequence[int]) -> None:
        """Keep the first `length` tokens and after them those at `length + node` for each node of the path."""
        if list(path) != list(range(len(path))):
            nodes = torch.tensor([length + node for node in path])
            for keys, values in self.layers.values():
                for buffer in (keys, values):
                    # Indexing copies first, so that overlapping moves are safe.
                    buffer[:, length : length + len(path)] = buffer[:, nodes.to(buffer.device)]
        self.length = length + len(path)

    def copy(self) -> KeysValues:
        """Return an independent copy."""
        new = KeysValues()
        new.length = self.length
        new.layers = {layer: (keys.clone(), values.clone()) for layer, (keys, values) in self.layers.items()}
        return new

    def clear(self) -> None:
        """Give the buffers back."""
        self.length = 0
        self.layers.clear()


class JointCache(DynamicCache):  # type: ignore[misc]
    """Several rows' own caches as the one cache of a pass whose rows are padded on the left.

    What a layer writes goes to the rows, padding left out; what it reads back are the rows' keys and values, padded on
    the left to the longest.
    """

    def __init__(self, rows: Sequence[KeysValues], counts: Sequence[int]) -> None:
        super().__init__()
        self._rows = rows
        self._counts = counts

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values (rows, heads, tokens, head_dim); return all that the pass may see."""
        held = [
            row.write(layer_idx, key_states[i, :, -count:], value_states[i, :, -count:])
            for i, (row, count) in enumerate(zip(self._rows, self._counts, strict=True))
        ]
        if len(held) == 1:
            return held[0][0][None], held[0][1][None]
        return _stacked([keys for keys, _ in held], self._width()), _stacked([vals for _, vals in held], self._width())

    def _width(self) -> int:
        return max(row.length for row in self._rows) + max(self._counts)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens were held before this pass: of the longest row."""
        return max(row.length for row in self._rows)

    def get_mask_sizes(self, cache_position: Tensor, layer_idx: int = 0) -> tuple[int, int]:
        """Return how many keys a layer reads, and the position of the first."""
        return self._width(), 0


def _stacked(parts: Sequence[Tensor], width: int) -> Tensor:
    out = parts[0].new_zeros((len(parts), parts[0].shape[0], width, parts[0].shape[2]))
    for i, part in enumerate(parts):
        out[i, :, width - part.shape[1] :] = part
    return out


def tree_sees(parents: Sequence[int] | None, tokens: int) -> Tensor:
    """Return (tokens, tokens) bool: which new tokens each new token sees, itself included.

    Without parents each sees those before it; else its ancestors. The row sums are depths, counted from 1.
    """
    if parents is None:
        return torch.ones((tokens, tokens), dtype=torch.bool).tril()
    return torch.from_numpy(ancestors(parents))


def joint_masks(
    config: Any,
    dtype: torch.dtype,
    device: torch.device,
    rows: Sequence[KeysValues],
    sees: Sequence[Tensor],
    positions: Tensor,
) -> Any:
    """Return the additive mask (rows, 1, queries, keys) of a pass, or one for each kind of layer where kinds differ.

    Args:
        config: the text model's.
        dtype: the module's.
        device: where the mask is wanted.
        rows: their caches as they stand before the pass.
        sees: what each row's new tokens see of each other (`tree_sees`).
        positions: (rows, queries) of the new tokens, padded on the left.
    """
    queries = positions.shape[1]
    keys = max(row.length for row in rows) + queries
    full = torch.zeros((len(rows), queries, keys), dtype=torch.bool)
    at = torch.zeros((len(rows), keys), dtype=torch.long)
    for i, (row, mine) in enumerate(zip(rows, sees, strict=True)):
        new = mine.shape[0]
        first = keys - new - row.length
        full[i, queries - new :, first : first + row.length] = True
        full[i, queries - new :, keys - new :] = mine
        at[i, first : first + row.length] = torch.arange(row.length)
        at[i, keys - new :] = positions[i, queries - new :]
    window = getattr(config, "sliding_window", None)
    near = full if not window else full & (at[:, None, :] > positions[:, :, None] - int(window))

    def additive(seen: Tensor) -> Tensor:
        # A padding query sees nothing; the lowest finite number keeps its softmax defined where -inf would not.
        mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
        return mask[:, None].to(device)

    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds:
        return {kind: additive(near if kind == "sliding_attention" else full) for kind in sorted(kinds)}
    return additive(near)
