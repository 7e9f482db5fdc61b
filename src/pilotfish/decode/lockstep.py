"""Several decoders that advance by one shared token a step, a rule turning their logits into one distribution.

The lockstep is itself a `Decoder`: it samples, streams, is forked, is rolled back and is the target of draft-and-verify
like any single model, and it can be a member of another lockstep.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch

from pilotfish.decode.decoder import Decoder, Prompt, Row
from pilotfish.decode.vocabulary import common_width
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Lockstep", "Rule"]

# The members' raw logits, each (…, vocabulary), to those of one distribution; -inf where a token is ruled out. A member
# made with early exits gives several: its last layer's first, then each exit's, in order.
Rule = Callable[[Sequence["Tensor"]], "Tensor"]

# A member that rules tokens out has logits of -inf, and the difference of two of them is no number. Far below any
# logit, and finite.
FLOOR = -1e4


@dataclass
class _Spent:
    """What one member did for one row."""

    prompt: int
    tokens: int = 0
    seconds: float = 0.0


@dataclass
class _State:
    """The members' own rows, what each was fed, and the tree that waits for `keep`."""

    rows: list[Row]
    spent: list[_Spent]
    tree: list[int] = field(default_factory=list)


class Lockstep:
    """Several decoders and a rule, as one decoder.

    Its prompts have the members' prompts one after the other. A decoder that is given twice has two rows, each with
    its own prompt, and both advance in one batched pass over its weights (context-aware decoding).

    Args:
        decoders: the members, in the order in which the rule takes them.
        rule: see `Rule`; called with the rows of a whole batch stacked, so it must treat rows apart.
        tokenizers: the members' transformers tokenizers, which must have the same tokens; logits are cut to the least
            width. Without them the widths themselves must be equal.
        roles: what each member is called in traces: "base", "expert", …
        names: the members' own names, for traces and errors.
        width: the most logits there may be; for one model that shares its tokens with others outside the lockstep.

    Raises:
        ConfigError: no members, or vocabularies that differ.
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        rule: Rule,
        *,
        tokenizers: Sequence[Any] | None = None,
        roles: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        width: int | None = None,
    ) -> None:
        if not decoders:
            raise ConfigError("a lockstep needs at least one decoder")
        self.decoders = tuple(decoders)
        self.rule = rule
        self.roles = tuple(roles or [f"member {i + 1}" for i in range(len(decoders))])
        self.names = tuple(names or self.roles)
        widths = [decoder.vocabulary for decoder in decoders]
        if tokenizers is not None:
            self.vocabulary = common_width(tokenizers, widths, self.names)
        elif len(set(widths)) == 1:
            self.vocabulary = widths[0]
        else:
            raise ConfigError(
                f"{', '.join(self.names)} have {widths} logits: give their tokenizers, so they can be cut"
            )
        self.vocabulary = min(self.vocabulary, width or self.vocabulary)
        self.members = sum(decoder.members for decoder in decoders)
        self.device = decoders[0].device
        self.trees = all(decoder.trees for decoder in decoders)
        bounds = pairwise(accumulate((decoder.members for decoder in decoders), initial=0))
        self._parts = [slice(start, end) for start, end in bounds]
        places: dict[int, list[int]] = {}
        for i, decoder in enumerate(decoders):
            places.setdefault(id(decoder), []).append(i)
        self._groups = [(decoders[same[0]], same) for same in places.values()]
        self._lock = threading.RLock()

    @property
    def early(self) -> list[Tensor]:
        """Always empty: the members' exits go to the rule."""
        return []

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], Tensor]:
        """Open a row a prompt in every member; return the rows and the rule's logits (rows, vocabulary).

        Raises:
            ModelError: a prompt has not one list of ids a member, or does not fit one of them.
        """
        for prompt in prompts:
            if len(prompt) != self.members:
                raise ModelError(f"a prompt of {len(prompt)} lists of tokens for {self.members} models in lockstep")
        states = [_State([None] * len(self.decoders), []) for _ in prompts]  # type: ignore[list-item]
        opened: list[tuple[Decoder, Row]] = []
        seconds = [0.0] * len(self.decoders)
        given: list[list[Tensor]] = [[] for _ in self.decoders]
        with self._lock:
            try:
                for decoder, places in self._groups:
                    began = time.perf_counter()
                    parts = [prompt[self._parts[i]] for i in places for prompt in prompts]
                    rows, logits = decoder.start(parts)
                    opened += [(decoder, row) for row in rows]
                    exits = [exit[-1:] for exit in decoder.early]
                    took = time.perf_counter() - began
                    for j, i in enumerate(places):
                        mine = slice(j * len(prompts), (j + 1) * len(prompts))
                        for state, row in zip(states, rows[mine], strict=True):
                            state.rows[i] = row
                        given[i] = self._views(decoder, logits[mine], exits[mine])
                        seconds[i] = took / len(places)
            except BaseException:
                for decoder, row in opened:
                    decoder.close(row)
                raise
        for prompt, state in zip(prompts, states, strict=True):
            for i, part in enumerate(self._parts):
                size = sum(len(ids) for ids in prompt[part])
                total = sum(len(ids) for other in prompts for ids in other[part])
                state.spent.append(_Spent(size, 0, seconds[i] * size / max(1, total)))
        whole = [Row(prompt, [], state) for prompt, state in zip(prompts, states, strict=True)]
        return whole, self.rule([view for views in given for view in views])

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[Tensor]:
        """Feed every member the rows' tokens, and return the rule's logits (its tokens, vocabulary) for each row.

        Raises:
            ModelError: a row has no room in one of the members, or trees are asked where a member takes none.
        """
        if parents is not None and not self.trees:
            raise ModelError("not every model of this lockstep takes trees")
        for row, more in zip(rows, tokens, strict=True):
            # Before any member moves: one that refused after another had been fed would leave them out of step.
            if len(more) > self.room(row):
                raise ModelError(f"{len(more)} more tokens, and room for {self.room(row)}: ask for fewer")
        states: list[_State] = [row.state for row in rows]
        sizes = [len(more) for more in tokens]
        given: list[list[Tensor]] = [[] for _ in self.decoders]
        with self._lock:
            for decoder, places in self._groups:
                began = time.perf_counter()
                inner = [state.rows[i] for i in places for state in states]
                trees = None if parents is None else list(parents) * len(places)
                logits = decoder.feed(inner, list(tokens) * len(places), trees)
                exits = decoder.early
                took = (time.perf_counter() - began) / len(places) / max(1, sum(sizes))
                for j, i in enumerate(places):
                    mine = slice(j * len(rows), (j + 1) * len(rows))
                    given[i] = self._views(decoder, _stacked(logits[mine]), exits[mine])
                    for state, size in zip(states, sizes, strict=True):
                        state.spent[i].tokens += size
                        state.spent[i].seconds += took * size
        for row, state, more in zip(rows, states, tokens, strict=True):
            if parents is None:
                row.tokens.extend(more)
            else:
                state.tree = list(more)
        return list(self.rule([view for views in given for view in views]).split(sizes))

    def keep(self, row: Row, path: Sequence[int]) -> None:
        """After a tree: keep the nodes of `path` in every member, forget the others."""
        state: _State = row.state
        for decoder, inner in zip(self.decoders, state.rows, strict=True):
            decoder.keep(inner, path)
        row.tokens.extend(state.tree[node] for node in path)

    def rollback(self, row: Row, length: int) -> None:
        """Forget all but the first `length` tokens fed after the prompt, in every member."""
        for decoder, inner in zip(self.decoders, row.state.rows, strict=True):
            decoder.rollback(inner, length)
        del row.tokens[length:]

    def fork(self, row: Row) -> Row:
        """Return an independent copy of a row; what it has cost so far is counted with the original only."""
        rows = [decoder.fork(inner) for decoder, inner in zip(self.decoders, row.state.rows, strict=True)]
        return Row(row.prompt, list(row.tokens), _State(rows, [_Spent(0) for _ in rows]))

    def close(self, row: Row) -> None:
        """Give the row's memory back in every member."""
        for decoder, inner in zip(self.decoders, row.state.rows, strict=True):
            decoder.close(inner)

    def room(self, row: Row) -> int:
        """Return how many more tokens the row takes: the least of its members' room."""
        return min(decoder.room(inner) for decoder, inner in zip(self.decoders, row.state.rows, strict=True))

    def calls(self, row: Row) -> list[Call]:
        """Return what each member did for a row: one call a member, in order; a nested lockstep's members one by one.

        `tokens_in` is the member's prompt, `tokens_out` every token it was fed, those rolled back included. The seconds
        of a batch are shared out by tokens.
        """
        found: list[Call] = []
        state: _State = row.state
        for decoder, inner, role, name, spent in zip(
            self.decoders, state.rows, self.roles, self.names, state.spent, strict=True
        ):
            if isinstance(decoder, Lockstep):
                found += [replace(call, role=f"{role} {call.role}") for call in decoder.calls(inner)]
            else:
                found.append(Call(name, role, spent.prompt, spent.tokens, spent.seconds))
        return found

    def _views(self, decoder: Decoder, logits: Tensor, exits: Sequence[Tensor]) -> list[Tensor]:
        """Return what the rule gets of a member: its logits cut to the common width, then each exit's."""
        views = [logits, *_stacked(exits).unbind(1)] if exits else [logits]
        views = [view[..., : self.vocabulary].to(self.device) for view in views]
        return [view.clamp_min(FLOOR) for view in views] if isinstance(decoder, Lockstep) else views


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
