"""Read a transformers module into an `Architecture`; None for anything that is not known exactly.

A module is known when its class is one of those below (a subclass may compute otherwise), every linear layer and norm
is the plain one (LoRA and quantised layers are not), nothing is hooked into its forward, no setting is on that the
architecture has no word for, and all its parameters were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pilotfish._extras import need
from pilotfish.decode.arch import Architecture, Layer, Linear, Norm

__all__ = ["read"]

ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh"}
# Ropes whose frequencies are fixed at construction; others change with the length of the text.
FIXED_ROPES = {"default", "linear", "llama3", "yarn"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
BLOCK = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
SANDWICH = {"pre_feedforward_layernorm", "post_feedforward_layernorm"}


class _Unknown(Exception):  # noqa: N818 never leaves this file
    """The module has something that is not known."""


def read(module: Any) -> Architecture | None:
    """Return what the module computes, or None where any part of it is not known exactly.

    Linear weights, embeddings and float32 norms are the module's own memory; GPT-2's transposed ones are copied.
    """
    known: dict[str, Callable[[Any], Architecture]] = {
        "LlamaForCausalLM": _rotary,
        "MistralForCausalLM": _rotary,
        "Qwen2ForCausalLM": _rotary,
        "Qwen3ForCausalLM": _rotary,
        "Gemma3ForCausalLM": _rotary,
        "Gemma3ForConditionalGeneration": _rotary,
        "GPT2LMHeadModel": _gpt2,
    }
    kind = type(module)
    if kind.__name__ not in known or not kind.__module__.startswith("transformers.models."):
        return None
    try:
        return known[kind.__name__](module)
    except _Unknown:
        return None


def _need(condition: object) -> None:
    if not condition:
        raise _Unknown


def _rotary(module: Any) -> Architecture:
    """Llama and its kin: rotary positions, RMSNorm, a gated MLP."""
    base = module.get_decoder()
    base = getattr(base, "language_model", base)
    config = base.config
    gemma = config.model_type == "gemma3_text"
    for key in ("final_logit_softcapping", "attn_logit_softcapping", "use_bidirectional_attention"):
        _need(not getattr(config, key, None))
    _need(getattr(config, "is_causal", True))
    _plain(base)
    _plain(module.lm_head)
    kinds = getattr(config, "layer_types", None)
    names, ropes = _ropes(base.rotary_emb, kinds if gemma else None)
    head_dim = int(base.layers[0].self_attn.head_dim)
    _need(all(2 * len(frequencies) == head_dim for frequencies, _ in ropes))
    layers = []
    for i, block in enumerate(list(base.layers)):
        _need({name for name, _ in block.named_children()} == BLOCK | (SANDWICH if gemma else set()))
        attention, mlp = block.self_attn, block.mlp
        normed = {"q_norm", "k_norm"} if gemma or config.model_type == "qwen3" else set()
        _need({name for name, _ in attention.named_children()} == ATTENTION | normed)
        _need({name for name, _ in mlp.named_children()} == {"gate_proj", "up_proj", "down_proj", "act_fn"})
        _need(attention.head_dim == head_dim)
        windowed = kinds[i] == "sliding_attention" if kinds else config.model_type == "mistral"
        _need(not kinds or kinds[i] in ("sliding_attention", "full_attention"))
        layers.append(
            Layer(
                attention_norm=_rms(block.input_layernorm),
                q=_linear(attention.q_proj),
                k=_linear(attention.k_proj),
                v=_linear(attention.v_proj),
                o=_linear(attention.o_proj),
                mlp_norm=_rms(block.pre_feedforward_layernorm if gemma else block.post_attention_layernorm),
                up=_linear(mlp.up_proj),
                down=_linear(mlp.down_proj),
                gate=_linear(mlp.gate_proj),
                q_norm=_rms(attention.q_norm) if normed else None,
                k_norm=_rms(attention.k_norm) if normed else None,
                post_attention_norm=_rms(block.post_attention_layernorm) if gemma else None,
                post_mlp_norm=_rms(block.post_feedforward_layernorm) if gemma else None,
                window=int(getattr(config, "sliding_window", None) or 0) if windowed else 0,
                rope=names.index(kinds[i]) if gemma and kinds else 0,
            )
        )
    embedding = base.embed_tokens.weight
    scale = getattr(base.embed_tokens, "embed_scale", None)
    architecture = Architecture(
        family=config.model_type,
        width=int(config.hidden_size),
        heads=int(config.num_attention_heads),
        kv_heads=int(config.num_key_value_heads),
        head_dim=head_dim,
        vocabulary=int(module.lm_head.weight.shape[0]),
        length=int(config.max_position_embeddings),
        embedding=embedding.detach(),
        layers=tuple(layers),
        final_norm=_rms(base.norm),
        head=_linear(module.lm_head),
        ropes=tuple(ropes),
        attention_scale=float(base.layers[0].self_attn.scaling),
        activation=_activation(config.hidden_activation if gemma else config.hidden_act),
        # Multiplied in the weights' dtype, as the module does.
        embedding_scale=1.0 if scale is None else float(scale.to(embedding.dtype)),
    )
    expected = "inv_freq original_inv_freq embed_scale"
    _need(all(any(name.endswith(word) for word in expected.split()) for name, _ in base.named_buffers()))
    _alike([*base.parameters(), *module.lm_head.parameters()], architecture)
    return architecture


def _gpt2(module: Any) -> Architecture:
    """GPT-2: learned positions, LayerNorm, transposed linears, query, key and value in one."""
    base, config = module.transformer, module.config
    _need(config.scale_attn_weights and not config.scale_attn_by_inverse_layer_idx)
    _need(not config.add_cross_attention and not config.reorder_and_upcast_attn)
    _plain(base)
    _plain(module.lm_head)
    layers = []
    for block in list(base.h):
        _need({name for name, _ in block.named_children()} == {"ln_1", "attn", "ln_2", "mlp"})
        q, k, v = _conv(block.attn.c_attn, parts=3)
        layers.append(
            Layer(
                attention_norm=_layer_norm(block.ln_1),
                q=q,
                k=k,
                v=v,
                o=_conv(block.attn.c_proj)[0],
                mlp_norm=_layer_norm(block.ln_2),
                up=_conv(block.mlp.c_fc)[0],
                down=_conv(block.mlp.c_proj)[0],
                rope=-1,
            )
        )
    head_dim = int(config.n_embd) // int(config.n_head)
    architecture = Architecture(
        family="gpt2",
        width=int(config.n_embd),
        heads=int(config.n_head),
        kv_heads=int(config.n_head),
        head_dim=head_dim,
        vocabulary=int(module.lm_head.weight.shape[0]),
        length=int(config.n_positions),
        embedding=base.wte.weight.detach(),
        layers=tuple(layers),
        final_norm=_layer_norm(base.ln_f),
        head=_linear(module.lm_head),
        ropes=(),
        attention_scale=head_dim**-0.5,
        activation=_activation(config.activation_function),
        positions=base.wpe.weight.detach(),
    )
    _alike([*base.parameters(), *module.lm_head.parameters()], architecture)
    return architecture


def _plain(part: Any) -> None:
    """Refuse hooks and anything but the few kinds of layers that are read here."""
    known = {"Linear", "Conv1D", "Embedding", "Gemma3TextScaledWordEmbedding", "LayerNorm", "Dropout", "ModuleList"}
    for child in part.modules():
        hooks = [*child._forward_hooks.values(), *child._forward_pre_hooks.values()]
        # transformers' own hooks, which stay after a pass that was asked for hidden states, only look.
        _need(all(str(getattr(hook, "__module__", "")).startswith("transformers.utils.") for hook in hooks))
        _need("forward" not in vars(child))
        name = type(child).__name__
        place = type(child).__module__.startswith(("torch.nn.modules.", "transformers."))
        ends = ("RMSNorm", "RotaryEmbedding", "Attention", "MLP", "DecoderLayer", "Block", "Model", "TextModel")
        activation = type(child).__module__ == "transformers.activations" or name in ("SiLU", "GELU")
        _need(place and (name in known or activation or name.endswith(ends)))


def _linear(layer: Any) -> Linear:
    torch = need("torch", "local")
    _need(type(layer) is torch.nn.Linear and layer.weight.is_contiguous())
    return Linear(layer.weight.detach(), None if layer.bias is None else layer.bias.detach())


def _conv(layer: Any, parts: int = 1) -> list[Linear]:
    """Return the parts of a transposed linear layer: weight (in, parts * out)."""
    _need(type(layer).__name__ == "Conv1D")
    weights = layer.weight.detach().t().contiguous().chunk(parts)
    return [Linear(weight, bias) for weight, bias in zip(weights, layer.bias.detach().chunk(parts), strict=True)]


def _rms(norm: Any) -> Norm:
    """RMSNorm; Gemma's keeps its weight as the distance from 1."""
    gemma = type(norm).__name__ == "Gemma3RMSNorm"
    weight = norm.weight.detach().float()
    return Norm(1.0 + weight if gemma else weight, epsilon=float(norm.eps if gemma else norm.variance_epsilon))


def _layer_norm(norm: Any) -> Norm:
    _need(norm.weight is not None and norm.bias is not None)
    return Norm(norm.weight.detach().float(), norm.bias.detach().float(), float(norm.eps), centred=True)


def _ropes(rotary: Any, kinds: list[str] | None) -> tuple[list[str], list[tuple[Any, float]]]:
    """Return the names of the kinds of layers that have ropes of their own, and the ropes."""
    if kinds is None:
        _need(isinstance(rotary.rope_type, str) and rotary.rope_type in FIXED_ROPES)
        return [], [(rotary.inv_freq.detach().float(), float(rotary.attention_scaling))]
    names = sorted(set(kinds))
    _need(all(rotary.rope_type.get(kind) in FIXED_ROPES for kind in names))
    return names, [
        (getattr(rotary, f"{kind}_inv_freq").detach().float(), float(getattr(rotary, f"{kind}_attention_scaling")))
        for kind in names
    ]


def _activation(name: str) -> Any:
    _need(name in ACTIVATIONS)
    return ACTIVATIONS[name]


def _alike(parameters: list[Any], architecture: Architecture) -> None:
    """Refuse weights of several dtypes or devices, and any parameter that was not read."""
    _need(len({(weight.dtype, weight.device) for weight in parameters}) == 1)
    _need(parameters[0].device.type != "meta" and parameters[0].is_floating_point())
    whole = sum(weight.numel() for weight in {id(weight): weight for weight in parameters}.values())
    read_here = sum(
        weight.numel() for weight in {weight.data_ptr(): weight for weight in _weights(architecture)}.values()
    )
    _need(read_here == whole)


def _weights(architecture: Architecture) -> Iterator[Any]:
    """All tensors of an architecture that stand for parameters."""
    parts: list[Linear | Norm | None] = [architecture.head, architecture.final_norm]
    for layer in architecture.layers:
        parts += [part for part in vars(layer).values() if isinstance(part, Linear | Norm)]
    for part in parts:
        if part is not None:
            yield part.weight
            if part.bias is not None:
                yield part.bias
    yield architecture.embedding
    if architecture.positions is not None:
        yield architecture.positions
