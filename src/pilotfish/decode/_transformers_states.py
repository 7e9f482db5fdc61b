"""Recurrent and hybrid models (Mamba, Jamba, Qwen3-Next): states that cannot be cut, so copies are kept instead."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from pilotfish.decode._transformers_exits import Exits

__all__ = ["States", "recurrent"]

# How many of the last tokens can be taken back without running anything again.
KEPT = 8
# Rows up to this length are run whole each time: transformers' convolutions (kernels of 3 or 4) misplace what follows
# a prompt shorter than their kernel (seen in Mamba and LFM2, transformers 5.3).
SHORT = 8


def recurrent(module: Any) -> bool:
    """Say whether the module's cache is a running state, which no cutting takes back."""
    kinds = set(getattr(module.config.get_text_config(), "layer_types", None) or ())
    return bool(getattr(module, "_is_stateful", False)) or any(
        "linear" in kind or "attention" not in kind for kind in kinds
    )


class StateRow:
    """One row: its ids, the state after them, and copies of the state after the prompt and before the last tokens.

    `state` is what the module's own generation loop carries from pass to pass.
    """

    def __init__(self, owner: States) -> None:
        self.owner = owner
        self.ids: list[int] = []
        self.state: dict[str, Any] = {}
        self.marks: dict[int, dict[str, Any]] = {}

    def mark(self) -> None:
        """Keep a copy of the state as it stands; of the copies, the first (the prompt's) and the last few stay."""
        self.marks[len(self.ids)] = copy.deepcopy(self.state)
        for old in sorted(self.marks)[1:-KEPT]:
            del self.marks[old]

    def crop(self, length: int) -> None:
        """Go back to the nearest copy and run again what lies between."""
        if length >= len(self.ids):
            return
        again = self.ids[:length]
        near = max((at for at in self.marks if at <= length), default=0)
        self.state = copy.deepcopy(self.marks[near]) if near else {}
        self.ids = again[:near]
        self.marks = {at: state for at, state in self.marks.items() if at <= near}
        if length <= SHORT:
            self.ids = again
        elif again[near:]:
            self.owner.run(self, again[near:], True, None)

    def compact(self, length: int, path: Sequence[int]) -> None:
        """Never called: a state takes no trees."""
        raise ModelError("a recurrent model takes no trees")

    def copy(self) -> StateRow:
        """Return an independent copy; kept copies are never written to, so they are shared."""
        new = StateRow(self.owner)
        new.ids, new.state, new.marks = list(self.ids), copy.deepcopy(self.state), dict(self.marks)
        return new

    def clear(self) -> None:
        """Give the states back."""
        self.ids, self.state, self.marks = [], {}, {}


class States:
    """Runs a recurrent module through the hooks of its own generation loop: the prompt at once, then token by token."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def open(self) -> StateRow:
        """Return an empty row."""
        return StateRow(self)

    def run(
        self, row: StateRow, tokens: Sequence[int], last: bool, exits: Exits | None
    ) -> tuple[Tensor, Tensor | None]:
        """Feed tokens; return logits (1, tokens, vocabulary) after each (`last`: the last) and early-exit logits."""
        logits, early = [], []
        pieces = [[token] for token in tokens]
        if len(row.ids) <= SHORT:
            row.state = {}
            pieces = [list(tokens)]
        for piece in pieces:
            if row.state:
                row.mark()
            out = self._step(row, piece, exits is not None)
            keep = 1 if last else len(piece)
            logits.append(out.logits[:, -keep:].float())
            if exits is not None:
                early.append(exits.logits(out.hidden_states, keep))
        cut = slice(-1, None) if last else slice(None)
        return torch.cat(logits, dim=1)[:, cut], torch.cat(early, dim=1)[:, cut] if early else None

    def _step(self, row: StateRow, piece: list[int], hidden: bool) -> Any:
        module, first = self._module, not row.state
        row.ids = row.ids + piece
        ids = torch.tensor([row.ids], device=module.device)
        kwargs = dict(row.state)
        if first:
            kwargs = {"use_cache": True, "attention_mask": torch.ones_like(ids)}
            kwargs = module._get_initial_cache_position(len(row.ids), ids.device, kwargs)
        inputs = module.prepare_inputs_for_generation(
            ids, next_sequence_length=None if first else 1, is_first_iteration=first, **kwargs
        )
        inputs.pop("next_sequence_length", None)
        out = module(**inputs, return_dict=True, output_hidden_states=hidden)
        row.state = module._update_model_kwargs_for_generation(out, kwargs)
        return out
