"""Random calls of one operator, with their kernels: what the sweeps of quantization are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from graphopt.infer import infer_model
from graphopt.io import load, node_to_proto
from graphopt.ir import DType, Node, Tensor
from graphopt.ir.tensor import Array
from graphopt.quantization.arithmetic import entries, limits
from graphopt.quantization.parameters import Quantization

Random = np.random.Generator
OPSET = 21


@dataclass
class Call:
    """One operator, its inputs (shapes of what moves, arrays of what is given) and which of the arrays the model knows."""

    op: str
    inputs: list[Any]  # Any: a shape (tuple), an array, or None
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    fed: tuple[int, ...] = ()  # arrays that the model does not know before it runs
    carries: tuple[int, ...] = ()  # arrays of floats

    @property
    def data(self) -> list[int]:
        return [slot for slot, given in enumerate(self.inputs) if isinstance(given, tuple)]

    def node(self, symbols: Random | None = None) -> Node:
        """The node in a graph of its own, its types inferred; some sizes are names where `symbols` says so."""
        declared, stored, names = [], [], []
        for slot, given in enumerate(self.inputs):
            names.append("" if given is None else f"i{slot}")
            if isinstance(given, tuple):
                sizes = [f"s{slot}_{axis}" if symbols is not None and symbols.random() < 0.4 else size for axis, size in enumerate(given)]
                declared.append(helper.make_tensor_value_info(f"i{slot}", TensorProto.FLOAT, sizes))
            elif slot in self.fed:
                kind = helper.np_dtype_to_tensor_dtype(given.dtype)
                declared.append(helper.make_tensor_value_info(f"i{slot}", kind, list(given.shape)))
            elif given is not None:
                stored.append(numpy_helper.from_array(np.asarray(given), f"i{slot}"))
        made = [f"o{index}" for index in range(self.outputs)]
        results = [onnx.ValueInfoProto(name=name) for name in made]
        graph = helper.make_graph([helper.make_node(self.op, names, made, **self.attributes)], "g", declared, results, stored)
        model = load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10))
        infer_model(model)
        return next(iter(model.graph))

    def nodes(self) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
        """The float form: its node, which reads i0, i1 ..., and what is stored for it."""
        names = ["" if given is None else f"i{slot}" for slot, given in enumerate(self.inputs)]
        stored = [numpy_helper.from_array(given, f"i{slot}") for slot, given in enumerate(self.inputs) if isinstance(given, np.ndarray)]
        return [helper.make_node(self.op, names, [f"o{index}" for index in range(self.outputs)], **self.attributes)], stored


def integer_nodes(call: Call, made: Sequence[Node]) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The integer form, in the same names."""
    stored: dict[str, TensorProto] = {f"i{slot}": numpy_helper.from_array(call.inputs[slot], f"i{slot}") for slot in call.fed}
    for index, node in enumerate(made):
        for output, value in enumerate(node.outputs):
            value.name = f"o{output}" if node is made[-1] else f"t{index}"
    for node in made:
        for operand in node.inputs:
            if operand is not None and operand.const is not None:
                operand.name = f"c{len(stored)}" if operand.is_detached else operand.name
                stored[operand.name] = tensor_of(operand.name, operand.const)
    return [node_to_proto(node) for node in made], list(stored.values())


def tensor_of(name: str, held: Tensor) -> TensorProto:
    return TensorProto(name=name, data_type=int(held.dtype), dims=held.shape, raw_data=bytes(held.storage.view()))


def run(nodes: Sequence[onnx.NodeProto], stored: Sequence[TensorProto], outputs: int) -> list[Array]:
    """What onnxruntime makes of it, without any optimization."""
    made = [onnx.ValueInfoProto(name=f"o{index}") for index in range(outputs)]
    graph = helper.make_graph(list(nodes), "g", [], made, list(stored))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    found: list[Array] = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {})
    return found


class NoKernel(Exception):
    """onnxruntime has no kernel, and the call cannot be run on floats instead."""


def run_on(
    form: tuple[list[onnx.NodeProto], list[TensorProto]],
    data: dict[int, Array],
    outputs: int,
    results: Sequence[int],
    dtype: DType | None = None,
) -> list[Array]:
    """Run with these arrays as data; on the same numbers as floats where there is no kernel for their integers, which move alike."""
    nodes, stored = form
    names = {f"i{slot}" for slot in data}
    given = [held for held in stored if held.name not in names]
    fed = [tensor_of(f"i{slot}", Tensor.of(array)) for slot, array in data.items()]
    try:
        return run(nodes, [*given, *fed], outputs)
    except Exception as error:  # whatever onnxruntime raises for what it lacks
        if dtype is None or not any(said in str(error) for said in ("NOT_IMPLEMENTED", "No corresponding Numpy type")):
            raise NoKernel(str(error)) from error
    wide = [numpy_helper.from_array(array.astype(np.float32), f"i{slot}") for slot, array in data.items()]
    for held in given:
        if held.data_type == int(dtype):
            array = load_tensor(held).astype(np.float32)
            wide.append(numpy_helper.from_array(array, held.name))
        else:
            wide.append(held)
    made = run(nodes, wide, outputs)
    return [found.astype(dtype.numpy) if index in results else found for index, found in enumerate(made)]


def load_tensor(held: TensorProto) -> Array:
    from graphopt.ir import InMemory

    return Tensor(DType(held.data_type), tuple(held.dims), InMemory(held.raw_data)).numpy()


# ---- parameters and numbers


def parameters(
    random: Random, dtype: DType, shape: Sequence[int], axis: int | None, block: int = 0, *, symmetric: bool = False
) -> Quantization:
    """Random scales and zero points; some of them equal, now and then negative."""
    size: tuple[int, ...] = () if axis is None else (shape[axis],)
    if block and axis is not None:
        size = tuple(-(-extent // block) if index == axis else extent for index, extent in enumerate(shape))
    least, most = limits(dtype)
    scale = np.exp(random.uniform(-4, 3, size)).astype(np.float32)
    zero = np.zeros(size) if symmetric else random.integers(int(least), int(most) + 1, size)
    if random.random() < 0.15:
        scale = np.broadcast_to(scale.reshape(-1)[:1].reshape((1,) * len(size)), size).copy()
    if random.random() < 0.15:
        zero = np.broadcast_to(np.asarray(zero).reshape(-1)[:1].reshape((1,) * len(size)), size).copy()
    if random.random() < 0.05:
        scale = -scale
    scales: Array = np.asarray(scale, np.float32)
    zeros: Array = np.asarray(zero).astype(np.int64).astype(dtype.numpy)
    if scales.size == 1 and not block:
        return Quantization(scales.reshape(()), zeros.reshape(()), dtype)
    return Quantization(scales, zeros, dtype, axis, block if axis is not None else 0)


def floats(random: Random, shape: tuple[int, ...], by: Quantization) -> Array:
    """Numbers on the grid, half-way between, beyond the range, and both zeros."""
    scale, zero = (np.broadcast_to(entries(part, by, shape).astype(np.float32), shape) for part in (by.scale, by.zero_point))
    least, most = (int(limit) for limit in limits(by.dtype))
    steps = random.integers(least - (most - least) // 2, most + (most - least) // 2 + 1, shape) - zero
    kind = random.integers(0, 5, shape)
    x = np.where(kind == 0, steps, np.where(kind == 1, steps + 0.5, steps + random.uniform(-0.5, 0.5, shape))).astype(np.float32) * scale
    for share, value in ((0.03, np.float32(0)), (0.03, np.float32(-0.0)), (0.01, 1e5 * scale), (0.01, -1e5 * scale)):
        x = np.where(random.random(shape) < share, value, x)
    return np.ascontiguousarray(x, np.float32).reshape(shape)


def quantized(random: Random, shape: tuple[int, ...], dtype: DType) -> Array:
    least, most = limits(dtype)
    return np.asarray(random.integers(int(least), int(most) + 1, shape)).astype(dtype.numpy)


Maker = Callable[[Random], Call]
