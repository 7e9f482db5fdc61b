"""The bookkeeping of a decoder that is one model with a cache: checks, tokens, trees, equal prompts, turns.

What a concrete decoder adds is its state (the keys and values of one row) and the pass that fills it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pilotfish.decode.decoder import Prompt, Row
from pilotfish.errors import ConfigError, ModelError

__all__ = ["CachedDecoder", "by_length"]


@dataclass
class _Held:
    """A row's cache, and the tokens of a tree that waits for `keep`."""

    cache: Any
    tree: list[int] | None = None


class CachedDecoder(ABC):
    """A `Decoder` of one model. Subclasses give the five operations on a row's cache and the pass itself.

    A cache holds the prompt and the tokens fed after it; between a tree and its `keep`, the tree's tokens too.

    Attributes:
        why: why this decoder computes the model and not another (`pick.decoder_for` says it).
    """

    members = 1
    trees = True
    why = ""

    def __init__(self, *, vocabulary: int, length: int, device: torch.device, exits: Sequence[int], depth: int) -> None:
        if any(not 0 <= layer <= depth for layer in exits):
            raise ConfigError(f"exits are layers from 0 (the embedding) to {depth}; got {list(exits)}")
        self.vocabulary = vocabulary
        self.length = length
        self.device = device
        self.exits = tuple(exits)
        # A thread's own: another's feed must not come between a feed and the reading of its exits.
        self._early = threading.local()
        self._turn = threading.RLock()

    @property
    def early(self) -> list[Tensor]:
        """Early-exit logits of this thread's last `start` or `feed`: (tokens, exits, vocabulary) a row."""
        found: list[Tensor] = getattr(self._early, "logits", [])
        return found

    # What a concrete decoder gives.

    @abstractmethod
    def _open(self) -> Any:
        """Return the empty cache of a new row."""

    @abstractmethod
    def _run(
        self, caches: list[Any], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Run each row's tokens after what its cache holds, and add them to the cache.

        Returns:
            float32 logits (its tokens, vocabulary) a row, after the last token only where `last` (1, vocabulary); and
            early-exit logits (its tokens, exits, vocabulary) a row, none where there are no exits.
        """

    @abstractmethod
    def _crop(self, cache: Any, length: int) -> None:
        """Keep the first `length` tokens, prompt included."""

    @abstractmethod
    def _compact(self, cache: Any, length: int, path: Sequence[int]) -> None:
        """Keep the first `length` tokens and, after them, those at `length + node` for the nodes of `path`."""

    @abstractmethod
    def _copy(self, cache: Any) -> Any:
        """Return an independent copy."""

    @abstractmethod
    def _drop(self, cache: Any) -> None:
        """Give the cache's memory back."""

    # The decoder.

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], Tensor]:
        """Open a row a prompt and run the prompts, equal ones once; logits (rows, vocabulary) after each prompt.

        `early` then has one token a row: the prompt's last.

        Raises:
            ModelError: a prompt is empty or longer than the model takes.
        """
        wholes = [self._checked(prompt) for prompt in prompts]
        if not wholes:
            return [], torch.empty((0, self.vocabulary), device=self.device)
        with self._turn, torch.inference_mode():
            order = {whole: i for i, whole in enumerate(dict.fromkeys(wholes))}
            caches = [self._open() for _ in order]
            logits, early = self._run(caches, [list(whole) for whole in order], None, True)
            where = [order[whole] for whole in wholes]
            # The first row of each prompt takes the cache that was run, the others a copy of it.
            first = {at: row for row, at in reversed(list(enumerate(where)))}
            rows = [
                Row(prompt, [], _Held(caches[at] if first[at] == row else self._copy(caches[at])))
                for row, (prompt, at) in enumerate(zip(prompts, where, strict=True))
            ]
            self._early.logits = [early[at] for at in where] if early else []
            return rows, torch.cat(logits)[where]

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[Tensor]:
        """Feed each row its tokens and return logits (its tokens, vocabulary) after each of them (see `Decoder`).

        Raises:
            ModelError: no tokens, no room for them, a tree that this decoder does not take or that was not kept.
        """
        if not rows:
            return []
        with self._turn, torch.inference_mode():
            self._check_feed(rows, tokens, parents)
            tree = None if parents is None else [list(row) for row in parents]
            caches = [row.state.cache for row in rows]
            logits, self._early.logits = self._run(caches, [list(more) for more in tokens], tree, False)
            for row, more in zip(rows, tokens, strict=True):
                if parents is None:
                    row.tokens.extend(more)
                else:
                    row.state.tree = list(more)
            return logits

    def keep(self, row: Row, path: Sequence[int]) -> None:
        """After a tree: keep the nodes of `path`, a root first, and forget the others."""
        with self._turn, torch.inference_mode():
            tree = row.state.tree
            if tree is None:
                raise ModelError("keep follows a feed with parents; this row was fed no tree")
            self._compact(row.state.cache, self._held(row), path)
            row.tokens.extend(tree[node] for node in path)
            row.state.tree = None

    def rollback(self, row: Row, length: int) -> None:
        """Forget all but the first `length` tokens fed after the prompt."""
        if length < 0:
            raise ModelError(f"a row cannot be rolled back to {length} tokens: its prompt stays")
        with self._turn, torch.inference_mode():
            del row.tokens[length:]
            row.state.tree = None
            self._crop(row.state.cache, self._held(row))

    def fork(self, row: Row) -> Row:
        """Return an independent copy of a row."""
        with self._turn, torch.inference_mode():
            tree = row.state.tree
            return Row(row.prompt, list(row.tokens), _Held(self._copy(row.state.cache), tree and list(tree)))

    def close(self, row: Row) -> None:
        """Give a row's memory back; closing it again does nothing."""
        with self._turn:
            if row.state is not None:
                self._drop(row.state.cache)
                row.state = None

    def room(self, row: Row) -> int:
        """Return how many more tokens the row takes."""
        return self.length - self._held(row)

    @staticmethod
    def _held(row: Row) -> int:
        return len(row.prompt[0]) + len(row.tokens)

    def _checked(self, prompt: Prompt) -> tuple[int, ...]:
        if len(prompt) != 1:
            raise ModelError(f"a single model takes one list of ids as its prompt, not {len(prompt)}")
        ids = tuple(prompt[0])
        if not ids:
            raise ModelError("a prompt must have at least one token")
        if len(ids) > self.length:
            raise ModelError(f"the model takes {self.length} tokens; the prompt alone has {len(ids)}: shorten it")
        return ids

    def _check_feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None
    ) -> None:
        if parents is not None and not self.trees:
            raise ModelError("this decoder takes no trees (see Decoder.trees): feed the paths one by one")
        if len({id(row) for row in rows}) < len(rows):
            raise ModelError("a row may stand in a feed once: fork it")
        for row, more in zip(rows, tokens, strict=True):
            if row.state is None:
                raise ModelError("the row is closed")
            if row.state.tree is not None:
                raise ModelError("a tree was fed: call keep before the row is fed again")
            if not more:
                raise ModelError("a row must be fed at least one token")
            if len(more) > self.room(row):
                held = self._held(row)
                raise ModelError(
                    f"the model takes {self.length} tokens; the row holds {held}, and {len(more)} were fed"
                )
        for more, above in zip(tokens, parents or [], strict=False):
            if len(above) != len(more) or any(not -1 <= parent < node for node, parent in enumerate(above)):
                raise ModelError("a tree has one parent a token, -1 or an earlier token of the same feed")


def by_length(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Say which prompts share a pass: those of like length, so that little is padded, `most` tokens in all or one."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and (len(groups[-1]) + 1) * lengths[i] <= most:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
