"""Any transformers causal language model as a decoder, through its own forward pass.

The slowest of the decoders and the one that knows every family; `pick` falls back to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pilotfish.decode import _transformers_states as states
from pilotfish.decode._cached import CachedDecoder, by_length
from pilotfish.decode._transformers_cache import JointCache, KeysValues, joint_masks, tree_sees
from pilotfish.decode._transformers_exits import Exits
from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from pilotfish.decode._transformers_states import States

__all__ = ["JOINT", "TransformersDecoder", "length_of"]

# Families that take a four-dimensional mask, so that trees and rows of unequal length go through one pass. The mask of
# a family with windows is one for all layers (MISTRAL) or one for each kind of layer (the rest).
JOINT = {
    "llama", "qwen2", "qwen3", "mistral", "gpt2", "phi3", "olmo2", "granite", "smollm3", "gemma3_text"
}  # fmt: skip
# The most tokens, padding included, in one pass over prompts.
BATCH_TOKENS = 2048


class TransformersDecoder(CachedDecoder):
    """A transformers causal LM as a `Decoder`: one cache a row, full in every layer, so that rollback is exact.

    Sliding windows hold by the mask. Recurrent and hybrid families (Mamba, Jamba) are fed token by token; the states
    before the last tokens are kept, and rolling back further runs the tokens again from after the prompt.

    Args:
        module: the model, in evaluation mode.
        exits: layers whose early-exit logits are wanted, as in `hidden_states` (0: the embedding).

    Raises:
        ModelError: the model's cache cannot be carried from feed to feed, or its exits cannot be read.
    """

    def __init__(self, module: Any, exits: Sequence[int] = ()) -> None:
        config = module.config.get_text_config()
        head = module.get_output_embeddings()
        if head is None:
            raise ModelError(f"{type(module).__name__} has no language modelling head")
        super().__init__(
            vocabulary=int(head.weight.shape[0]),
            length=length_of(config),
            device=module.device,
            exits=exits,
            depth=int(config.num_hidden_layers),
        )
        self.module = module
        self._exits = Exits(module, self.exits) if exits else None
        self._config = config
        self._joint = config.model_type in JOINT and config._attn_implementation in ("sdpa", "eager")
        self._states: States | None = states.States(module) if states.recurrent(module) else None
        self.trees = self._joint and self._states is None
        if config.model_type not in JOINT:
            self._check_cache()

    def _open(self) -> Any:
        return KeysValues() if self._states is None else self._states.open()

    def _crop(self, cache: Any, length: int) -> None:
        cache.crop(length)

    def _compact(self, cache: Any, length: int, path: Sequence[int]) -> None:
        cache.compact(length, path)

    def _copy(self, cache: Any) -> Any:
        return cache.copy()

    def _drop(self, cache: Any) -> None:
        cache.clear()

    def _run(
        self, caches: list[Any], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        logits: list[Tensor] = [torch.empty(0)] * len(caches)
        early: list[Tensor] = [torch.empty(0)] * len(caches)
        for group in self._groups([len(more) for more in tokens], last):
            above = None if parents is None else [parents[i] for i in group]
            out = self._pass([caches[i] for i in group], [tokens[i] for i in group], above, last)
            for row, i in enumerate(group):
                mine = 1 if last else len(tokens[i])
                logits[i] = out[0][row, -mine:]
                if out[1] is not None:
                    early[i] = out[1][row, -mine:]
        return logits, early if self._exits else []

    def _groups(self, lengths: list[int], prompts: bool) -> list[list[int]]:
        """Say which rows go through one pass: all of them, prompts by length within BATCH_TOKENS, or one by one."""
        if not self._joint or self._states is not None:
            return [[i] for i in range(len(lengths))]
        if not prompts:
            return [list(range(len(lengths)))]
        return by_length(lengths, BATCH_TOKENS)

    def _pass(
        self, caches: list[Any], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[Tensor, Tensor | None]:
        """One forward pass: logits (rows, longest, vocabulary) and early (rows, longest, exits, vocabulary).

        Rows shorter than the longest are padded on the left.
        """
        if self._states is not None:
            return self._states.run(caches[0], tokens[0], last, self._exits)
        width = max(len(more) for more in tokens)
        sees = [tree_sees(parents[i] if parents else None, len(more)) for i, more in enumerate(tokens)]
        ids = torch.zeros((len(caches), width), dtype=torch.long)
        positions = torch.zeros((len(caches), width), dtype=torch.long)
        for row, (cache, more) in enumerate(zip(caches, tokens, strict=True)):
            ids[row, width - len(more) :] = torch.tensor(more)
            # A node's position is the number of tokens it sees before itself.
            positions[row, width - len(more) :] = cache.length + sees[row].sum(dim=1) - 1
        mask = None
        if len(caches) > 1 or parents is not None:
            mask = joint_masks(self._config, self.module.dtype, self.device, caches, sees, positions)
        longest = max(cache.length for cache in caches)
        out = self.module(
            input_ids=ids.to(self.device),
            position_ids=positions.to(self.device),
            cache_position=torch.arange(longest, longest + width, device=self.device),
            attention_mask=mask,
            past_key_values=JointCache(caches, [len(more) for more in tokens]),
            use_cache=True,
            logits_to_keep=1 if last else 0,
            output_hidden_states=self._exits is not None,
        )
        for cache, more in zip(caches, tokens, strict=True):
            cache.length += len(more)
        logits = out.logits.float()
        return logits, self._exits.logits(out.hidden_states, 1 if last else width) if self._exits else None

    def _check_cache(self) -> None:
        """Try some tokens at once and in pieces: a family that ignores or misuses the cache must not pass unseen."""
        name = type(self.module).__name__
        ids = [(11 * i + 7) % self.vocabulary for i in range(min(self.length, states.SHORT + 4))]
        try:
            with torch.inference_mode():
                whole = self._pass([self._open()], [ids], None, False)[0][0]
                cache = self._open()
                parts = [self._pass([cache], [part], None, False)[0][0] for part in (ids[:-3], ids[-3:-2], ids[-2:])]
        except Exception as error:  # each family's forward raises its own kinds
            raise ModelError(f"{name}: its cache cannot be carried from token to token: {error}") from error
        gap = (torch.cat(parts) - whole).abs().max()
        # Rounding alone: a thousandth of the logits' spread in float32, more in 16 bits.
        allowed = float(whole.std()) * (1e-3 if self.module.dtype == torch.float32 else 0.2)
        if not float(gap) <= allowed:
            raise ModelError(f"{name}: tokens fed one by one give other logits than at once; it cannot be decoded here")


def length_of(config: Any) -> int:
    """Return how many tokens a model takes, by its text model's config; 2^31 where that names no limit."""
    for key in ("max_position_embeddings", "n_positions", "n_ctx"):
        if getattr(config, key, None):
            return int(getattr(config, key))
    return 2**31
