"""A model as an ONNX graph in float32, which ONNX Runtime runs, OpenVINO reads, and both are quantised from.

An encoder's graph pools and normalises as the model's own recipe does. A language model's graph takes the keys and
values of the tokens before, in one array whose first axis is the token, so that a beginning of it needs no copy.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, silu

from pilotfish._extras import need
from pilotfish.decode._arch_read import read
from pilotfish.decode.arch import Architecture, Linear, Norm
from pilotfish.errors import ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

__all__ = ["encoder_graph", "lm_graph"]

OPSET = 18
IR = 10  # read by every runtime of the last years; nothing here needs a later one
AXES = {
    "ids": {0: "rows", 1: "tokens"},
    "mask": {0: "rows", 1: "tokens"},
    "positions": {0: "tokens"},
    "wanted": {0: "wanted"},
    "past": {0: "held", 1: "rows"},
}


class Product(torch.nn.Module):  # type: ignore[misc]
    """x Wᵀ + b with the weight (in, out), so that the graph has a product with a constant and no transposition."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = _frozen(weight.detach().float().t().contiguous())
        self.bias = None if bias is None else _frozen(bias.detach().float().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out)."""
        out = x @ self.weight
        return out if self.bias is None else out + self.bias


class Sentence(torch.nn.Module):  # type: ignore[misc]
    """A sentence encoder: token ids and mask (rows, tokens) to vectors (rows, dimension)."""

    def __init__(self, model: Any, wide_mask: bool) -> None:
        super().__init__()
        self.body = model[0].auto_model
        self.rest = torch.nn.ModuleList(list(model)[1:])
        self.wide_mask = wide_mask

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors."""
        given = mask
        if self.wide_mask:
            # Made here, as (rows, 1, 1, tokens): what transformers makes of a narrow one depends on its release.
            given = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        states = self.body(input_ids=ids, attention_mask=given).last_hidden_state
        features = {"token_embeddings": states, "attention_mask": mask}
        for part in self.rest:
            features = part(features)
        return features["sentence_embedding"]


class Causal(torch.nn.Module):  # type: ignore[misc]
    """A decoder-only transformer: tokens after those of `past` to logits and their own keys and values."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.embedding = _frozen(arch.embedding.detach().float().clone())
        self.places = None if arch.positions is None else _frozen(arch.positions.detach().float().clone())
        self.head = _product(arch.head)
        names = ("q", "k", "v", "o", "up", "down", "gate")
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleDict({name: _product(part) for name in names if (part := getattr(layer, name)) is not None})
            for layer in arch.layers
        )

    def forward(self, ids: Tensor, positions: Tensor, wanted: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (rows, wanted, vocabulary), and keys and values (tokens, rows, 2 x layers, heads, width).

        Args:
            ids: (rows, tokens).
            positions: (tokens,), the same for all rows.
            wanted: (places,) the tokens whose logits are wanted.
            past: (held, rows, 2 x layers, heads, width).
        """
        arch = self.arch
        rows, tokens = ids.shape
        x = self.embedding[ids] * arch.embedding_scale
        if self.places is not None:
            x = x + self.places[positions]
        keys = torch.arange(past.shape[0] + tokens)
        least = torch.finfo(torch.float32).min
        masks = {}
        for window in sorted({layer.window for layer in arch.layers}):
            hidden = keys[None] > positions[:, None]
            if window:
                hidden = hidden | (keys[None] <= positions[:, None] - window)
            masks[window] = hidden.float() * least
        turns = []
        for frequencies, scale in arch.ropes:
            angles = positions[:, None].float() * frequencies.detach().float()[None]
            turns.append(((angles.cos() * scale)[:, None], (angles.sin() * scale)[:, None]))
        new: list[Tensor] = []
        group = arch.heads // arch.kv_heads
        for i, (layer, parts) in enumerate(zip(arch.layers, self.layers, strict=True)):
            h = _normed(layer.attention_norm, x)
            q = parts["q"](h).view(rows, tokens, arch.heads, arch.head_dim)
            k = parts["k"](h).view(rows, tokens, arch.kv_heads, arch.head_dim)
            v = parts["v"](h).view(rows, tokens, arch.kv_heads, arch.head_dim)
            if layer.q_norm is not None and layer.k_norm is not None:
                q, k = _normed(layer.q_norm, q), _normed(layer.k_norm, k)
            if layer.rope >= 0:
                q, k = _turned(q, *turns[layer.rope]), _turned(k, *turns[layer.rope])
            new += [k.transpose(0, 1), v.transpose(0, 1)]
            whole_k = torch.cat([past[:, :, 2 * i], new[-2]]).permute(1, 2, 3, 0)[:, :, None]
            whole_v = torch.cat([past[:, :, 2 * i + 1], new[-1]]).permute(1, 2, 0, 3)[:, :, None]
            # Heads that share keys and values stand side by side, so that nothing is repeated.
            q = q.view(rows, tokens, arch.kv_heads, group, arch.head_dim).permute(0, 2, 3, 1, 4)
            scores = (q @ whole_k) * arch.attention_scale + masks[layer.window]
            seen = (scores.softmax(dim=-1) @ whole_v).permute(0, 3, 1, 2, 4)
            seen = parts["o"](seen.reshape(rows, tokens, arch.heads * arch.head_dim))
            x = x + (seen if layer.post_attention_norm is None else _normed(layer.post_attention_norm, seen))
            h = _normed(layer.mlp_norm, x)
            wide = self._activated(parts["up"](h)) if layer.gate is None else self._gated(parts, h)
            deep = parts["down"](wide)
            x = x + (deep if layer.post_mlp_norm is None else _normed(layer.post_mlp_norm, deep))
        x = _normed(arch.final_norm, x.index_select(1, wanted))
        return self.head(x), torch.stack(new, dim=2)

    def _gated(self, parts: Any, h: Tensor) -> Tensor:
        return self._activated(parts["gate"](h)) * parts["up"](h)

    def _activated(self, x: Tensor) -> Tensor:
        return silu(x) if self.arch.activation == "silu" else gelu(x, approximate="tanh")


def encoder_graph(encoder: Encoder, path: Path) -> None:
    """Write the graph of an encoder.

    Raises:
        MissingExtra: onnx is not installed.
        ModelError: the model has parts that cannot be exported.
    """
    model = encoder.copied().model
    body = model[0].auto_model
    body.set_attn_implementation("eager")
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(parent, name, Product(child.weight, child.bias))
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    with torch.inference_mode():
        plain = Sentence(model, wide_mask=False)(ids, mask)
        try:
            same = torch.allclose(Sentence(model, wide_mask=True)(ids, mask), plain, atol=1e-5)
        except (ValueError, RuntimeError):  # a family that takes no wide mask
            same = False
    whole = Sentence(model, wide_mask=same).eval()
    _export(whole, {"ids": ids, "mask": mask}, {"vectors": {0: "rows"}}, path, encoder.name)


def lm_graph(local: LocalModel, path: Path) -> Architecture:
    """Write the graph of a language model of a family that is known, and return what it is made of.

    Embeddings and head are two constants there, in models too that share them.

    Raises:
        MissingExtra: onnx is not installed.
        ModelError: a family that is not known.
    """
    arch = read(local.model)
    if arch is None:
        raise ModelError(
            f"{local.name}: {type(local.model).__name__} is no family that is exported here; run it in torch"
        )
    shape = (4, 2, 2 * len(arch.layers), arch.kv_heads, arch.head_dim)
    inputs = {
        "ids": torch.tensor([[5, 6, 7], [7, 6, 5]]),
        "positions": torch.tensor([4, 5, 6]),
        "wanted": torch.tensor([1, 2]),
        "past": torch.zeros(shape),
    }
    outputs = {"logits": {0: "rows", 1: "wanted"}, "new": {0: "tokens", 1: "rows"}}
    _export(Causal(arch).eval(), inputs, outputs, path, local.name)
    return arch


def _export(module: Any, inputs: dict[str, Tensor], outputs: dict[str, dict[int, str]], path: Path, name: str) -> None:
    onnx = need("onnx", "onnx")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder) / path.name
        try:
            with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
                warnings.simplefilter("ignore")
                # By tracing: torch's newer exporter takes 50 times as long for the same graph, minutes for 30 layers.
                # What tracing could get wrong, a length taken for a constant, the comparison with torch finds.
                torch.onnx.export(
                    module,
                    tuple(inputs.values()),
                    str(whole),
                    input_names=list(inputs),
                    output_names=list(outputs),
                    dynamic_axes={**{one: AXES[one] for one in inputs}, **outputs},
                    opset_version=OPSET,
                    dynamo=False,
                )
        except Exception as error:  # the exporter's stages each raise their own kinds
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ModelError(f"{name}: it cannot be exported: {(lines or [type(error).__name__])[0]}") from error
        graph = onnx.load(str(whole))
    graph.ir_version = min(graph.ir_version, IR)
    beside = {"location": f"{path.name}.data", "size_threshold": 1024}
    onnx.save(graph, str(path), save_as_external_data=True, all_tensors_to_one_file=True, **beside)


def _product(linear: Linear) -> Product:
    return Product(linear.weight, linear.bias)


def _normed(norm: Norm, x: Tensor) -> Tensor:
    weight = norm.weight.detach()
    if norm.centred:
        bias = None if norm.bias is None else norm.bias.detach()
        return layer_norm(x, (x.shape[-1],), weight, bias, norm.epsilon)
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + norm.epsilon) * weight


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (rows, tokens, heads, width): the second half of a head against the first."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _frozen(tensor: Tensor) -> Any:
    return torch.nn.Parameter(tensor, requires_grad=False)
