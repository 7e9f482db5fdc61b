"""An OpenVINO graph out of an ONNX one, its weights in float32, 16, 8 or 4 bits.

Compressed weights stand in the graph as codes that are turned into numbers before the product; the processor's plugin
knows that form and keeps the codes in memory. The products themselves are in the session's precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.constrained.quantize import group_of, grouped, packed, rows_of
from pilotfish.compete.constrained.way import Precision

__all__ = ["to_openvino"]

LEAST = 1 << 10


def to_openvino(source: Path, target: Path, precision: Precision, vocabulary: int | None = None) -> str:
    """Write model.xml and model.bin; return what there is to know of them.

    Args:
        source: the ONNX graph in float32.
        target: model.xml.
        precision: of the weights; "bf16" holds them in float16, which the bfloat16 products are made from.
        vocabulary: of a language model, whose head keeps 8 bits where the rest has 4.
    """
    library = need("openvino", "openvino")
    model = library.Core().read_model(str(source))
    about = {"fp32": "", "bf16": "weights held in float16", "int8": "a scale a row", "int4": "groups of 32"}[precision]
    if precision in ("int8", "int4"):
        _compress(model, precision, vocabulary)
    library.save_model(model, str(target), compress_to_fp16=precision == "bf16")
    return about


def _compress(model: Any, precision: Precision, vocabulary: int | None) -> None:
    ops = need("openvino.opset13", "openvino")
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        at = {"MatMul": 1, "Gather": 0}.get(kind)
        held = None if at is None else node.input_value(at).get_node()
        if held is None or held.get_type_name() != "Constant" or len(held.get_output_shape(0)) != 2:
            continue
        weight = held.data
        if weight.dtype != np.float32 or weight.size < LEAST:
            continue
        if kind == "Gather":
            codes, scales = rows_of(weight)
            places, axis = node.input_value(1), node.input_value(2)
            told = ops.convert(ops.gather(ops.constant(codes), places, axis), "f32")
            made = ops.multiply(told, ops.gather(ops.constant(scales), places, axis))
        else:
            if not node.get_attributes()["transpose_b"]:
                weight = weight.T
            weight = np.ascontiguousarray(weight)
            size = group_of(weight.shape[1])
            small = precision == "int4" and size is not None and len(weight) != vocabulary
            made = ops.matmul(node.input_value(0), _four(weight, size or 1) if small else _eight(weight), False, True)
        made.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(made.output(0))


def _eight(weight: Any) -> Any:
    """Return a node that gives a weight (out, in) held in 8 bits."""
    ops = need("openvino.opset13", "openvino")
    codes, scales = rows_of(weight)
    return ops.multiply(ops.convert(ops.constant(codes), "f32"), ops.constant(scales))


def _four(weight: Any, size: int) -> Any:
    """Return a node that gives a weight (out, in) held in 4 bits by groups."""
    library, ops = need("openvino", "openvino"), need("openvino.opset13", "openvino")
    groups = grouped(weight, 4, size)

    def told(codes: Any) -> Any:
        # Memory of its own: one made around an array looks into it when the array is gone.
        held = library.Tensor(library.Type.u4, library.Shape(codes.shape))
        held.data.reshape(-1)[:] = packed(codes.reshape(1, -1)).reshape(-1)
        return ops.convert(ops.constant(held), "f32")

    wide = ops.subtract(told(groups.codes), told(groups.zeros[..., None]))
    whole = ops.multiply(wide, ops.constant(groups.scales[..., None]))
    return ops.reshape(whole, ops.constant(np.array(weight.shape, dtype=np.int64)), False)
