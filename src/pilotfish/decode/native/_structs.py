"""The structures of `csrc/model.h`, field by field."""

from __future__ import annotations

import ctypes as c
from typing import Any

__all__ = ["KINDS", "Layer", "Linear", "Model", "Norm", "Row", "kind_of"]

KINDS = {"float32": 0, "bfloat16": 1, "int8": 2, "int4": 3, "short": 4}


def kind_of(dtype: Any) -> int:
    """Return the number of a torch dtype."""
    return KINDS[str(dtype).removeprefix("torch.")]


class Linear(c.Structure):
    """A linear layer: weights as they are, or packed."""

    _fields_ = (
        ("w", c.c_void_p),
        ("scale", c.c_void_p),
        ("bias", c.c_void_p),
        ("n", c.c_int64),
        ("k", c.c_int64),
        ("kind", c.c_int64),
        ("misses", c.c_void_p),
        ("miss_count", c.c_int64),
    )


class Norm(c.Structure):
    """A norm; no weight: none stands here."""

    _fields_ = (("w", c.c_void_p), ("b", c.c_void_p), ("eps", c.c_double), ("centred", c.c_int64))


class Layer(c.Structure):
    """A block."""

    _fields_ = (
        *((name, Norm) for name in ("attention", "q_norm", "k_norm", "post_attention", "mlp", "post_mlp")),
        *((name, Linear) for name in ("q", "k", "v", "o", "gate", "up", "down")),
        ("window", c.c_int64),
        ("rope", c.c_int64),
    )


class Model(c.Structure):
    """A whole model."""

    _fields_ = (
        *(
            (name, c.c_int64)
            for name in ("width", "heads", "kv_heads", "head_dim", "value_dim", "inner", "vocabulary", "layers")
        ),
        ("gelu", c.c_int64),
        ("cache", c.c_int64),
        ("attention_scale", c.c_double),
        ("embedding_scale", c.c_double),
        ("embedding", c.c_void_p),
        ("positions", c.c_void_p),
        ("embedding_kind", c.c_int64),
        ("positions_kind", c.c_int64),
        ("ropes", c.POINTER(c.c_void_p)),
        ("layer", c.POINTER(Layer)),
        ("final", Norm),
        ("head", Linear),
        ("exits", c.POINTER(c.c_int64)),
        ("exit_count", c.c_int64),
    )


class Row(c.Structure):
    """One row's part in a step."""

    _fields_ = (
        ("keys", c.c_void_p),
        ("values", c.c_void_p),
        ("capacity", c.c_int64),
        ("length", c.c_int64),
        ("n", c.c_int64),
        ("tokens", c.c_void_p),
        ("places", c.c_void_p),
        ("mask", c.c_void_p),
        ("first_logits", c.c_int64),
    )
