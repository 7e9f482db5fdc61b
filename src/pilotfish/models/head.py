"""The two halves of a causal model: its body, and its LM head, what turns a hidden state into logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError

__all__ = ["Head", "body_of", "head_of"]


@dataclass(frozen=True)
class Head:
    """logits = cap(scale · (hidden · weightᵀ + bias)), cap(x) = softcap · tanh(x / softcap).

    Attributes:
        weight: (vocabulary, dimension).
        bias: (vocabulary,), or None.
        scale: what the products are multiplied by (Cohere's `logit_scale`, one over Granite's `logits_scaling`).
        softcap: the bound of the logits (Gemma 2's `final_logit_softcapping`); None for none.
    """

    weight: Any
    bias: Any = None
    scale: float = 1.0
    softcap: float | None = None

    def __len__(self) -> int:
        """Return the rows: the vocabulary's size, padding rows included."""
        return int(self.weight.shape[0])

    def raw(self, hidden: Any, rows: int, out: Any) -> Any:
        """Return the first `rows` logits before scale and cap: (tokens, rows).

        Args:
            hidden: (tokens, dimension).
            rows: how many of the vocabulary's, from the first.
            out: where they go, (tokens, rows).
        """
        torch = need("torch", "local")
        weight = self.weight[:rows]
        if hidden.dtype == weight.dtype == out.dtype:
            torch.mm(hidden, weight.T, out=out)
        else:
            # Products in the weights' own type, as in the model; sums of exponentials in float32.
            out.copy_(torch.mm(hidden.to(weight.dtype), weight.T))
        if self.bias is not None:
            out += self.bias[:rows]
        return out

    def shape_(self, logits: Any, temperature: float, slope: bool = False) -> Any:
        """Turn raw logits into logits divided by the temperature, in place.

        Returns:
            Where `slope` is asked for and not the same everywhere, its derivative by the raw logits over
            scale / temperature, (tokens, rows); else None.
        """
        found = None
        if self.softcap is not None:
            logits.mul_(self.scale / self.softcap).tanh_()
            found = 1 - logits * logits if slope else None
            logits.mul_(self.softcap / temperature)
        elif self.scale != temperature:
            logits.mul_(self.scale / temperature)
        return found


def head_of(model: Any) -> Head:
    """Return the LM head of a transformers causal LM; the weights are the model's own, no copy.

    Raises:
        ModelError: it has none, or one of another kind.
    """
    layer = model.get_output_embeddings()
    if layer is None or getattr(layer, "weight", None) is None or layer.weight.dim() != 2:
        raise ModelError(f"{type(model).__name__} has no linear LM head")
    config = model.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    divided = getattr(config, "logits_scaling", None)
    if divided:
        scale /= float(divided)
    softcap = getattr(config, "final_logit_softcapping", None)
    return Head(layer.weight, getattr(layer, "bias", None), scale, None if softcap is None else float(softcap))


def body_of(model: Any) -> Any:
    """Return a transformers causal LM without its head.

    Raises:
        ModelError: there is no way to it.
    """
    body = model.get_decoder()
    if body is None or body is model:
        body = getattr(model, model.base_model_prefix, None)
    if body is None or body is model:
        raise ModelError(f"{type(model).__name__}: no way to its hidden states without its head")
    return body
