"""Reading the queries, keys and values of a model while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

from torch import Tensor

from pilotfish.distill.init._build import decoder_layers
from pilotfish.errors import ConfigError, ModelError

__all__ = ["Projections"]


class Projections:
    """Keeps the outputs of some layers' query, key and value projections (before positions are turned in).

        with Projections(model, layers=[30]) as seen:
            model(input_ids=ids)
        seen.states["v"][30]          # (batch, length, key-value heads x head size)

    Gradients flow through what is kept. Each pass overwrites what the last one left.

    Args:
        model: a transformers causal LM with Llama's or GPT-2's names.
        layers: which, from 1.

    Attributes:
        states: "q", "k" and "v", each by layer.

    Raises:
        ConfigError: no such layer.
        ModelError: the projections are not found.
    """

    def __init__(self, model: Any, layers: Iterable[int]) -> None:
        self.states: dict[str, dict[int, Tensor]] = {"q": {}, "k": {}, "v": {}}
        blocks = model.get_submodule(decoder_layers(model))
        self._wanted: list[tuple[Any, int, str]] = []
        for layer in layers:
            if not 1 <= layer <= len(blocks):
                raise ConfigError(f"there are layers 1 to {len(blocks)}, not {layer}")
            self._wanted += [(module, layer, name) for module, name in _projections(blocks[layer - 1])]
        self._hooks: list[Any] = []

    def __enter__(self) -> Projections:
        for module, layer, name in self._wanted:
            self._hooks.append(module.register_forward_hook(self._keep(layer, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def _keep(self, layer: int, names: str) -> Any:
        def hook(_: Any, __: Any, output: Tensor) -> None:
            for name, part in zip(names, output.chunk(len(names), dim=-1), strict=True):
                self.states[name][layer] = part

        return hook


def _projections(block: Any) -> list[tuple[Any, str]]:
    """Return the linear layers of a block, and which of queries, keys and values each gives."""
    attention: Any = getattr(block, "self_attn", None) or getattr(block, "attn", None)
    if hasattr(attention, "q_proj"):
        return [(getattr(attention, f"{name}_proj"), name) for name in "qkv"]
    if hasattr(attention, "c_attn"):
        return [(attention.c_attn, "qkv")]
    raise ModelError(f"{type(block).__name__}: its queries, keys and values are not found")
