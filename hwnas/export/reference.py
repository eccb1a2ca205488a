"""A small network of fixed shape and weights, to measure beside a network that comes without a table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas.export.file import write_whole

__all__ = ["export_reference"]

_CHANNELS, _SIZE, _DEPTH = 48, 56, 4


def export_reference(path: str | os.PathLike[str]) -> Path:
    """Write the reference: pairs of depthwise and pointwise convolutions with ReLU, a few milliseconds on one core.

    Depthwise convolutions wait for memory and pointwise ones for arithmetic, as in the networks measured beside it.

    Raises:
        ExportError: the file cannot be written.
    """
    rng = np.random.default_rng(0)
    nodes, weights, previous = [], [], "input_0"
    for depth in range(_DEPTH):
        for kind, shape, group in (
            ("depthwise", (_CHANNELS, 1, 3, 3), _CHANNELS),
            ("pointwise", (_CHANNELS, _CHANNELS, 1, 1), 1),
        ):
            name = f"{kind}_{depth}"
            scale = 1.0 / np.sqrt(np.prod(shape[1:]))
            weights.append(
                numpy_helper.from_array((scale * rng.standard_normal(shape)).astype(np.float32), f"{name}_w")
            )
            pads = [shape[2] // 2] * 4
            nodes.append(helper.make_node("Conv", [previous, f"{name}_w"], [name], group=group, pads=pads))
            nodes.append(helper.make_node("Relu", [name], [f"{name}_relu"]))
            previous = f"{name}_relu"
    nodes.append(helper.make_node("GlobalAveragePool", [previous], ["output_0"]))
    graph = helper.make_graph(
        nodes,
        "hwnas_reference",
        [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, _CHANNELS, _SIZE, _SIZE])],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, [1, _CHANNELS, 1, 1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    write_whole(Path(path), model.SerializeToString(deterministic=True))
    return Path(path)
