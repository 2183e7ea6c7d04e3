"""Small messages for the tests of io."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def tensor(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    """A float32 tensor of random content, in raw_data."""
    return numpy_helper.from_array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), name)


def value(name: str, *shape: int | str | None) -> onnx.ValueInfoProto:
    """A declared float32 value."""
    return helper.make_tensor_value_info(name, FLOAT, shape)


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> onnx.NodeProto:  # Any: as make_node takes them
    """A node."""
    return helper.make_node(op_type, inputs, outputs, **attributes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    outputs: Sequence[onnx.ValueInfoProto] = (),
    initializers: Sequence[onnx.TensorProto] = (),
    name: str = "g",
    **more: Any,  # Any: as make_graph takes them
) -> onnx.GraphProto:
    """A graph."""
    return helper.make_graph(nodes, name, inputs, outputs, initializers, **more)


def model(made: onnx.GraphProto, opset: int = 18, ir_version: int = 8, **more: Any) -> onnx.ModelProto:  # Any: as make_model takes them
    """A model around a graph."""
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version, **more)


def big(count: int = 3, size: int = 512) -> onnx.ModelProto:
    """A chain of MatMuls whose weights make a file that is cut before protobuf sees it (1 MiB each by default)."""
    nodes = [node("MatMul", ["x" if not i else f"y{i - 1}", f"w{i}"], [f"y{i}"]) for i in range(count)]
    weights = [tensor(f"w{i}", size, size, seed=i) for i in range(count)]
    return model(graph(nodes, [value("x", "n", size)], [value(f"y{count - 1}", "n", size)], weights))
