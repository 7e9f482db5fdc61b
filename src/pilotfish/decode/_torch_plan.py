"""Where the new tokens of one pass stand: positions, cache columns, and what each of them sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pilotfish.decode._ancestors import ancestors
from pilotfish.decode._torch_slots import Slot

__all__ = ["Plan", "plan_of", "plan_of_one_each"]


@dataclass
class Plan:
    """One pass: all rows' new tokens packed one after the other, so that linear layers see no padding.

    Attributes:
        positions: (tokens,) the position of each token.
        slots: the rows' slots, as a slice where they follow each other, else (rows,).
        width: how many columns attention reads.
        masks: by window, (rows, 1, group * longest, width) bool, or None where all columns are seen.
        column: first column read, by window (a single token with a window needs no mask but a later first column).
        row, rank: for each token its row and its place in it; None where each row has one token.
        token_slots: (tokens,) the slot of each token, and `columns` (tokens,) where its keys and values go.
        longest: the most tokens of a row.
    """

    positions: Tensor
    slots: slice | Tensor
    rows: int
    width: int
    longest: int
    masks: dict[int, Tensor | None]
    column: dict[int, int]
    token_slots: Tensor
    columns: Tensor
    row: Tensor | None = None
    rank: Tensor | None = None
    # One row: its new columns follow each other, and a slice is cheaper than an index.
    single: tuple[int, int, int] | None = None

    def attend(self, buffer: Tensor, q: Tensor, k: Tensor, v: Tensor, window: int, scale: float) -> Tensor:
        """Write keys and values (tokens, kv_heads, head_dim) into a layer's buffer and return the attention's output.

        Args:
            buffer: (2, slots, kv_heads, columns, head_dim).
            q: (tokens, heads, head_dim).
            k: (tokens, kv_heads, head_dim).
            v: (tokens, kv_heads, head_dim).
            window: how many last tokens a token sees, itself included; 0: all.
            scale: what the scores are multiplied by.

        Returns:
            (tokens, heads * head_dim).
        """
        tokens, heads, dim = q.shape
        kv_heads = k.shape[1]
        if self.single is not None:
            slot, first, end = self.single
            buffer[0, slot, :, first:end] = k.transpose(0, 1)
            buffer[1, slot, :, first:end] = v.transpose(0, 1)
        else:
            buffer[0, self.token_slots, :, self.columns] = k
            buffer[1, self.token_slots, :, self.columns] = v
        begin = self.column.get(window, 0)
        keys, values = buffer[0][self.slots][:, :, begin : self.width], buffer[1][self.slots][:, :, begin : self.width]
        if self.row is not None:
            padded = q.new_zeros((self.rows, self.longest, heads, dim))
            padded[self.row, self.rank] = q
            q = padded
        # Heads that share keys and values become further queries of one head, so that nothing is repeated.
        q = q.view(self.rows, self.longest, kv_heads, heads // kv_heads, dim).permute(0, 2, 3, 1, 4)
        q = q.reshape(self.rows, kv_heads, -1, dim)
        out = scaled_dot_product_attention(q, keys, values, attn_mask=self.masks.get(window), scale=scale)
        out = out.view(self.rows, kv_heads, heads // kv_heads, self.longest, dim).permute(0, 3, 1, 2, 4)
        out = out.reshape(self.rows, self.longest, heads * dim)
        return out[self.row, self.rank] if self.row is not None else out.view(tokens, heads * dim)


def plan_of(
    slots: Sequence[Slot],
    counts: Sequence[int],
    parents: Sequence[Sequence[int]] | None,
    windows: Sequence[int],
    group: int,
    device: torch.device,
) -> Plan:
    """Return the plan of a pass in which row i gets counts[i] new tokens, as a chain or as a tree.

    Args:
        slots: the rows', as they stand before the pass.
        counts: how many new tokens each row gets.
        parents: for trees, each token's parent among its row's new tokens, or -1.
        windows: the windows that layers have (0: none).
        group: how many query heads share a key head.
        device: where the pass runs.
    """
    rows, longest = len(slots), max(counts)
    lengths = torch.tensor([slot.length for slot in slots])
    width = max(slot.length + count for slot, count in zip(slots, counts, strict=True))
    row = torch.repeat_interleave(torch.arange(rows), torch.tensor(counts))
    rank = torch.cat([torch.arange(count) for count in counts])
    columns = lengths[row] + rank
    sees, depths = _sees(counts, longest, parents)
    positions = lengths[row] + depths[row, rank]
    masks = {window: _mask(lengths, sees, depths, width, window, group, device) for window in set(windows)}
    first: dict[int, int] = {}
    if longest == 1 and len(set(lengths.tolist())) == 1:
        # All rows see all columns, or the same last ones.
        masks = dict.fromkeys(masks)
        first = {window: max(0, width - window) for window in masks if window}
    indices = [slot.index for slot in slots]
    follow = indices == list(range(indices[0], indices[0] + rows))
    token_slots = torch.tensor(indices)[row]
    return Plan(
        positions=positions.to(device),
        slots=slice(indices[0], indices[0] + rows) if follow else torch.tensor(indices, device=device),
        rows=rows,
        width=width,
        longest=longest,
        masks=masks,
        column=first,
        token_slots=token_slots.to(device),
        columns=columns.to(device),
        row=None if min(counts) == longest else row.to(device),
        rank=None if min(counts) == longest else rank.to(device),
        single=(indices[0], slots[0].length, slots[0].length + counts[0]) if rows == 1 else None,
    )


def plan_of_one_each(slots: Tensor, positions: Tensor, width: int, windows: Sequence[int], group: int) -> Plan:
    """Return the plan of a pass of one token a row, computed on the device from tensors of fixed shape.

    For CUDA graphs: nothing here depends on the lengths but the tensors' content. `width` may be more than any row
    holds.

    Args:
        slots: (rows,) the rows' slots.
        positions: (rows,) how many tokens each holds.
        width: how many columns attention reads.
        windows: the windows that layers have (0: none).
        group: how many query heads share a key head.
    """
    at = torch.arange(width, device=slots.device)
    masks: dict[int, Tensor | None] = {}
    for window in set(windows):
        seen = at <= positions[:, None]
        if window:
            seen = seen & (at > positions[:, None] - window)
        masks[window] = seen[:, None, None].expand(-1, 1, group, -1)
    return Plan(positions, slots, len(slots), width, 1, masks, {}, slots, positions)


def _sees(counts: Sequence[int], longest: int, parents: Sequence[Sequence[int]] | None) -> tuple[Tensor, Tensor]:
    """Return (rows or 1, longest, longest) which new tokens each new token sees, and (rows, longest) their depths."""
    if parents is None:
        chain = torch.ones((longest, longest), dtype=torch.bool).tril()
        return chain[None], torch.arange(longest).expand(len(counts), longest)
    sees = torch.eye(longest, dtype=torch.bool).repeat(len(counts), 1, 1)
    for row, above in enumerate(parents):
        sees[row, : len(above), : len(above)] = torch.from_numpy(ancestors(above))
    return sees, sees.sum(dim=2) - 1


def _mask(
    lengths: Tensor, sees: Tensor, depths: Tensor, width: int, window: int, group: int, device: torch.device
) -> Tensor | None:
    """Return (rows, 1, group * longest, width) bool: which columns each new token sees, for each query head."""
    rows, longest = depths.shape
    column = torch.arange(width)
    full = (column < lengths[:, None])[:, None].repeat(1, longest, 1)
    at = column.repeat(rows, 1)
    for row in range(rows):
        first = int(lengths[row])
        end = min(width, first + longest)
        full[row, :, first:end] = sees[row if len(sees) > 1 else 0, :, : end - first]
        at[row, first:end] = first + depths[row, : end - first]
    if window:
        full &= at[:, None] > (lengths[:, None] + depths)[:, :, None] - window
    # A padding query must see something, or its softmax is not a number.
    full[:, :, 0] |= ~full.any(dim=2)
    return full[:, None].repeat(1, 1, group, 1).to(device)
