"""An ONNX graph with its products in 8 or 4 bits, and its embeddings in 8.

int8: ONNX Runtime's own dynamic quantiser (activations in 8 bits too, their range taken anew for each row of inputs).
int4: `MatMulNBits` in groups of 32; a language model's head, which decides between near tokens, keeps 8 bits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.constrained.quantize import group_of, grouped, packed, rows_of
from pilotfish.measure.meters import machine

__all__ = ["to_int4", "to_int8"]

LEAST = 1 << 10  # elements below which a constant is left as it is
_DOT = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"}


def to_int8(source: Path, target: Path) -> str:
    """Write a graph whose products with constants are of 8 bits; return what there is to know of it.

    Without instructions that add products of 8 bits in 32, pairs of them overflow, so that weights then have 7 bits.
    """
    quantization = need("onnxruntime.quantization", "onnx")
    narrow = not _DOT & set(machine()["instructions"])
    with _quiet():
        quantization.quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=narrow,
            weight_type=quantization.QuantType.QInt8,
            use_external_data_format=True,
        )
    onnx = need("onnx", "onnx")
    model = onnx.load(str(target))
    _embeddings(model.graph)
    _saved(model, target)
    return "dynamic, weights in 7 bits (no VNNI here)" if narrow else "dynamic, a scale a column"


def to_int4(source: Path, target: Path, vocabulary: int | None = None) -> str:
    """Write a graph whose products with constants are of 4 bits; return what there is to know of it.

    Args:
        source: the graph in float32.
        target: where to.
        vocabulary: of a language model, whose head is told by it.
    """
    onnx = need("onnx", "onnx")
    model = onnx.load(str(source))
    graph = model.graph
    constants = {one.name: one for one in graph.initializer}
    left = 0
    for node in graph.node:
        held = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if held is None or len(held.dims) != 2:
            continue
        inputs, outputs = held.dims
        size = group_of(inputs)
        if size is None or inputs * outputs < LEAST:
            left += 1
            continue
        bits = 8 if outputs == vocabulary else 4
        weight = onnx.numpy_helper.to_array(held).T
        groups = grouped(np.ascontiguousarray(weight, dtype=np.float32), bits, size)
        codes, zeros = (groups.codes, groups.zeros) if bits == 8 else (packed(groups.codes), packed(groups.zeros))
        parts = {"codes": codes, "scales": groups.scales.reshape(-1), "zeros": zeros.reshape(-1)}
        names = [f"{held.name}_{part}" for part in parts]
        if not any(one.name == names[0] for one in graph.initializer):
            graph.initializer.extend(
                onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
                for name, value in zip(names, parts.values(), strict=True)
            )
        how = {"K": inputs, "N": outputs, "bits": bits, "block_size": size, "accuracy_level": 4}
        made = onnx.helper.make_node(
            "MatMulNBits", [node.input[0], *names], list(node.output), domain="com.microsoft", **how
        )
        node.CopyFrom(made)
    _embeddings(graph)
    if not any(one.domain == "com.microsoft" for one in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    _saved(model, target)
    return "groups of 32, activations in 8 bits" + (f"; {left} products left in float32" if left else "")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice, to prepare graphs that others made, off the terminal."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


def _embeddings(graph: Any) -> None:
    """Hold the tables that rows are gathered from in 8 bits, with a scale a row."""
    onnx = need("onnx", "onnx")
    constants = {one.name: one for one in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        held = constants.get(node.input[0]) if node.op_type == "Gather" else None
        wide = held is not None and len(held.dims) == 2 and held.data_type == onnx.TensorProto.FLOAT
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        if held is None or not wide or axis != 0 or int(np.prod(held.dims)) < LEAST:
            nodes.append(node)
            continue
        names = [f"{held.name}_8", f"{held.name}_8_scales"]
        if names[0] not in {one.name for one in graph.initializer}:
            values = rows_of(onnx.numpy_helper.to_array(held))
            graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in zip(names, values, strict=True))
        out, places = node.output[0], node.input[1]
        make = onnx.helper.make_node
        nodes += [
            make("Gather", [names[0], places], [f"{out}_8"], axis=0),
            make("Cast", [f"{out}_8"], [f"{out}_wide"], to=onnx.TensorProto.FLOAT),
            make("Gather", [names[1], places], [f"{out}_scale"], axis=0),
            make("Mul", [f"{out}_wide", f"{out}_scale"], [out]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _saved(model: Any, target: Path) -> None:
    """Write a graph without constants that nothing reads, its weights in one file beside it."""
    onnx = need("onnx", "onnx")
    read = {name for node in model.graph.node for name in node.input} | {one.name for one in model.graph.output}
    kept = [one for one in model.graph.initializer if one.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.value_info[:]  # shapes of values that are no more
    beside = f"{target.name}.data"
    for old in (target, target.with_name(beside)):
        old.unlink(missing_ok=True)
    onnx.save(
        model,
        str(target),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=beside,
        size_threshold=1024,
    )
