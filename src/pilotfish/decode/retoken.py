"""One text in two tokenizers: a row of one model kept in step with a text that another model writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from pilotfish.decode.decoder import Decoder, Row

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Follower", "advance", "ids_after", "ids_of", "text_of"]


@dataclass(eq=False)
class Follower:
    """A row that is made to stand after some tokens, whatever they are: it rolls back to what they share.

    Attributes:
        row: the row; `row.tokens` are what it stands after.
        first: logits (vocabulary,) after the prompt.
        last: logits (vocabulary,) after the row's tokens.
        logps: the log-probability of each of its tokens.
    """

    row: Row
    first: Tensor
    last: Tensor
    logps: list[float] = field(default_factory=list)

    def fork(self, decoder: Decoder) -> Follower:
        """Return an independent copy."""
        return Follower(decoder.fork(self.row), self.first, self.last, list(self.logps))


def advance(decoder: Decoder, followers: Sequence[Follower], wanted: Sequence[Sequence[int]]) -> list[int]:
    """Make each follower stand after its wanted tokens, all in one pass, and return how many each was fed.

    What is shared with before is not run again.

    Raises:
        ModelError: a row has no room for its tokens; then none of the rows has moved forward.
    """
    sizes = [0] * len(followers)
    moving: list[tuple[Follower, list[int], Tensor | None]] = []
    for i, (follower, ids) in enumerate(zip(followers, wanted, strict=True)):
        old = follower.row.tokens
        pairs = enumerate(zip(old, ids, strict=False))
        same = next((at for at, (a, b) in pairs if a != b), min(len(old), len(ids)))
        before: Tensor | None = follower.last
        kept = same
        if same < len(old):
            # The logits after the last shared token are needed again: it is run once more. What was its
            # log-probability is not changed by what came after.
            before = None if same else follower.first
            same = max(0, same - 1)
            decoder.rollback(follower.row, same)
            del follower.logps[kept:]
        if same < len(ids):
            moving.append((follower, list(ids[same:]), before))
            sizes[i] = len(ids) - same
        elif not ids:
            follower.last = follower.first
    if not moving:
        return sizes
    fed = decoder.feed([follower.row for follower, _, _ in moving], [more for _, more, _ in moving])
    for (follower, more, before), logits in zip(moving, fed, strict=True):
        if before is not None:
            follower.logps.append(float(before.log_softmax(-1)[more[0]]))
        if len(more) > 1:
            after = logits[:-1].log_softmax(-1)
            follower.logps += after[torch.arange(len(more) - 1), torch.tensor(more[1:])].tolist()
        follower.last = logits[-1]
    return sizes


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text, nothing special added."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of ids, special tokens left out, spaces as they are."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def ids_after(tokenizer: Any, ids: Sequence[int], text: str) -> list[int]:
    """Return ids that add a text after ids that stand already, so that all of them decode to the whole.

    Tokenisation may depend on what stands before (a space at the beginning of a text); a few last tokens are taken
    along where that matters.
    """
    tail = list(ids[-8:])
    before = text_of(tokenizer, tail)
    alone, joint = ids_of(tokenizer, before), ids_of(tokenizer, before + text)
    if joint[: len(alone)] == alone and text_of(tokenizer, [*tail, *joint[len(alone) :]]) == before + text:
        return joint[len(alone) :]
    return ids_of(tokenizer, text)
