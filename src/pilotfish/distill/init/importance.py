"""How much each channel, neuron and head of a model matters.

By activations: Muralidharan et al. 2024 (Compact Language Models via Pruning and Knowledge Distillation, "Minitron"),
section 2.2: the size of what a head gives, of what a neuron gives, and of the normalised residual stream in a channel,
averaged over the tokens of a text, then the L2 norm over texts (the best of the aggregations in their table 3). Neurons
are read after the gate: what they hand on.

By weights: the norms of what a unit reads and writes. It needs no text and knows none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.init._anatomy import Anatomy
from pilotfish.errors import DataError

__all__ = ["Importance", "by_activations", "by_weights"]


@dataclass(frozen=True)
class Importance:
    """Scores, larger is more important; float32 tensors.

    Attributes:
        hidden: (hidden,), of the channels of the residual stream, over all layers.
        neurons: (intermediate,) a layer.
        groups: (key-value heads,) a layer; a group is a key-value head and the query heads that read it.
        shares: for each norm, the mean share of a token's energy (LayerNorm: variance) in each channel, (hidden,); none
            where only weights were looked at.
        source: "activations" or "weights".
    """

    hidden: Any
    neurons: Sequence[Any]
    groups: Sequence[Any]
    shares: Mapping[str, Any]
    source: str


def by_activations(model: Any, tokenizer: Any, texts: Iterable[str], *, length: int = 512) -> Importance:
    """Run a model over calibration texts, one by one, and score what its parts give.

    Args:
        model: a transformers causal LM; it is run in eval mode and left in the mode it was in.
        tokenizer: its tokenizer.
        texts: what the student will be used on; Minitron takes 1,024 of them.
        length: a text is cut off after so many tokens.

    Raises:
        DataError: there is no text with a token.
        ModelError: a family that is not known here.
    """
    torch = need("torch", "train")
    anatomy = Anatomy(model)
    scores = _Scores(model, anatomy)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for text in texts:
                ids = list(tokenizer(text, verbose=False)["input_ids"])[:length]
                if ids:
                    model(input_ids=torch.tensor([ids], device=model.device), use_cache=False)
                    scores.next_text()
    finally:
        scores.close()
        model.train(was_training)
    if not scores.texts:
        raise DataError("importance by activations needs at least one calibration text with a token in it")
    return scores.result()


class _Scores:
    """Hooks that add up what flows through a model: sums of squares (over texts) of means (over a text's tokens)."""

    def __init__(self, model: Any, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.texts = self.tokens = 0
        self.squares: dict[str, Any] = {}
        self.shares: dict[str, Any] = {}
        self._hooks = []
        for i, block in enumerate(model.get_submodule(anatomy.prefix)):
            self._hooks.append(anatomy.down(block).register_forward_pre_hook(self._neurons(f"neurons.{i}")))
            self._hooks.append(anatomy.out(block).register_forward_pre_hook(self._heads(f"groups.{i}")))
        self.norms = anatomy.norms(model)
        for name, module in self.norms.items():
            self._hooks.append(module.register_forward_hook(self._norm(name)))

    def next_text(self) -> None:
        """Count a text that has been run."""
        self.texts += 1

    def close(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()

    def result(self) -> Importance:
        """Return the scores of all texts so far."""
        layers = range(self.anatomy.layers)
        return Importance(
            hidden=sum(self.squares[f"hidden.{name}"].sqrt() for name in self.norms),
            neurons=[self.squares[f"neurons.{i}"].sqrt() for i in layers],
            groups=[self.squares[f"groups.{i}"].sqrt() for i in layers],
            shares={name: share / self.texts for name, share in self.shares.items()},
            source="activations",
        )

    def _add(self, key: str, value: Any) -> None:
        self.squares[key] = self.squares.get(key, 0) + value.square()

    def _neurons(self, key: str) -> Any:
        def hook(_: Any, args: tuple[Any, ...]) -> None:
            self._add(key, args[0][0].float().abs().mean(0))

        return hook

    def _heads(self, key: str) -> Any:
        def hook(_: Any, args: tuple[Any, ...]) -> None:
            heads = args[0][0].float().unflatten(-1, (self.anatomy.groups, -1, self.anatomy.head_dim))
            self._add(key, heads.norm(dim=-1).sum(-1).mean(0))

        return hook

    def _norm(self, name: str) -> Any:
        def hook(_: Any, args: tuple[Any, ...], output: Any) -> None:
            self._add(f"hidden.{name}", output[0].float().abs().mean(0))
            states = args[0][0].float()
            if self.anatomy.gpt2:
                states = states - states.mean(-1, keepdim=True)
            energy = states.square()
            share = energy / energy.sum(-1, keepdim=True).clamp_min(1e-30)
            self.shares[name] = self.shares.get(name, 0) + share.mean(0)

        return hook


def by_weights(model: Any) -> Importance:
    """Score the parts of a model by the norms of its weights alone: what there is to go by without texts.

    A neuron's score is the product of the norms of its gate, its input and its output; a head's that of its values and
    its output, each with the gain of the norm that it reads; a channel's is the norm of the embedding in it. A poor
    stand-in: SmolLM2-135M without a quarter of its neurons, perplexity 43 -> 75 by 32 texts' activations, and past
    10,000 by weights, as a few neurons that write little make the huge states that attention rests on.

    Raises:
        ModelError: a family that is not known here.
    """
    anatomy = Anatomy(model)
    weights = {name: weight.detach().float().cpu() for name, weight in model.named_parameters()}
    # The squared norm of each unit in each linear layer, its bias included.
    neurons: list[dict[str, Any]] = [{} for _ in range(anatomy.layers)]
    groups: list[dict[str, Any]] = [{} for _ in range(anatomy.layers)]
    for name, weight in weights.items():
        layer, axes = anatomy.axes(name, weight.ndim)
        linear = name.rpartition(".")[0].rpartition(".")[2]
        if layer is None or not any(axis in ("neurons", "q", "kv", "qkv") for axis in axes):
            continue
        dim = next(i for i, axis in enumerate(axes) if axis not in (None, "hidden"))
        units = weight.movedim(dim, 0).flatten(1) if weight.ndim > 1 else weight[:, None]
        if weight.ndim > 1 and linear not in ("down_proj", "o_proj", "c_proj"):
            units = units * weights[anatomy.gain(layer, neurons=axes[dim] == "neurons")]
        own = units.square().sum(1)
        if axes[dim] == "neurons":
            neurons[layer][linear] = neurons[layer].get(linear, 0) + own
        elif linear in ("v_proj", "o_proj", "c_attn", "c_proj"):
            values = own[-anatomy.hidden :] if axes[dim] == "qkv" else own  # GPT-2's last third are the values
            groups[layer][linear] = groups[layer].get(linear, 0) + values.unflatten(0, (anatomy.groups, -1)).sum(-1)
    return Importance(
        hidden=model.get_input_embeddings().weight.detach().float().cpu().norm(dim=0),
        neurons=[math.prod(own.values()).sqrt() for own in neurons],
        groups=[math.prod(own.values()).sqrt() for own in groups],
        shares={},
        source="weights",
    )
