"""Early-exit logits of a transformers model: a layer's hidden state through the final norm and the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pilotfish.errors import ModelError

__all__ = ["Exits"]

NORMS = ("norm", "ln_f", "norm_f", "final_layernorm", "final_layer_norm")
# What some families do to logits after the head; early logits would miss it.
AFTER = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class Exits:
    """Reads early-exit logits off a pass's hidden states.

    Raises:
        ModelError: the module's final norm is not found, or it changes logits after its head.
    """

    def __init__(self, module: Any, layers: Sequence[int]) -> None:
        config = module.config.get_text_config()
        base = module.get_decoder() if hasattr(module, "get_decoder") else module.base_model
        norms = [getattr(base, name) for name in NORMS if getattr(base, name, None) is not None]
        if not norms:
            raise ModelError(f"{type(module).__name__}: no final norm found to read early exits through")
        if any(getattr(config, key, None) not in (None, 1, 1.0) for key in AFTER):
            raise ModelError(f"{type(module).__name__}: early exits are not known for logits that are scaled or capped")
        self._norm, self._head = norms[0], module.get_output_embeddings()
        self._layers, self._depth = layers, int(config.num_hidden_layers)

    def logits(self, hidden: Sequence[Tensor], tokens: int) -> Tensor:
        """Return float32 (rows, tokens, exits, vocabulary) of the last `tokens` of each row."""
        out = []
        for layer in self._layers:
            states = hidden[layer][:, -tokens:]
            # transformers gives the last layer's hidden state with the final norm applied.
            out.append(self._head(states if layer == self._depth else self._norm(states)).float())
        return torch.stack(out, dim=2)
