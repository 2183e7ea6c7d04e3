"""Models as text, run by onnxruntime before and after passes for every size that a symbol may have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnx.checker
import onnx.parser
import onnx.shape_inference
import pytest
from onnx import helper

import graphopt

try:
    import onnxruntime
except ImportError:  # an extra
    onnxruntime = None

SIZES: Final = (0, 1, 2, 5)
PIPELINE: Final = "materialize-shapes, simplify-shape-arithmetic, eliminate-dead-nodes"

Feeds = dict[str, npt.NDArray[Any]]


def simplified(text: str, pipeline: str = PIPELINE, *, runs: int | None = None, level: int = 1) -> onnx.ModelProto:
    """What passes make of a model, which computes the same in every run in which the original succeeds; so does all of a level.

    `runs`: how many runs of the original succeed; otherwise at least one does.
    """
    source = onnx.parser.parse_model(text)
    check(source)
    result = graphopt.optimize(source, pipeline=pipeline, verify_each=True)
    whole = graphopt.optimize(source, level, verify_each=True)
    succeeded = same_in_all_sizes(source, result, whole)
    assert succeeded == runs if runs is not None else succeeded
    return result


def same_in_all_sizes(source: onnx.ModelProto, *results: onnx.ModelProto, sizes: Sequence[int] = SIZES) -> int:
    """Run the models and compare shapes, element types and bits; returns in how many runs the original succeeds."""
    if onnxruntime is None:
        pytest.skip("onnxruntime is not installed, and onnx.reference reshapes otherwise")
    before = session(source)
    for result in results:
        check(result)
    after = [session(result) for result in results]
    names = [output.name for output in source.graph.output]
    succeeded = 0
    for feeds in all_feeds(source, sizes):
        wanted = ran(before, names, feeds)
        if wanted is None:
            continue
        succeeded += 1
        sizes_fed = {name: array.shape for name, array in feeds.items()}
        for each in after:
            found = each.run(names, feeds)
            for name, one, other in zip(names, wanted, found, strict=True):
                where = f"{name} of {sizes_fed}"
                assert (one.dtype, one.shape) == (other.dtype, other.shape), where
                assert one.tobytes() == other.tobytes(), where
    return succeeded


def check(message: onnx.ModelProto) -> None:
    """onnx's own checks, for which each output needs a rank; `float[] y` declares none, so that each run may have another."""
    checked = onnx.shape_inference.infer_shapes(message)
    for output in checked.graph.output:
        output.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(checked)


def session(message: onnx.ModelProto) -> Any:  # Any: onnxruntime's types may not be there
    """The model as it stands, in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(message.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ran(model: Any, names: Sequence[str], feeds: Feeds) -> list[npt.NDArray[Any]] | None:  # Any: see `session`
    """What a run gives; None when it fails."""
    try:
        return list(model.run(list(names), feeds))
    except Exception as error:  # onnxruntime raises a class of its own for each status
        if "onnxruntime" not in type(error).__module__:
            raise
        return None


def all_feeds(message: onnx.ModelProto, sizes: Sequence[int] = SIZES) -> Iterator[Feeds]:
    """Inputs for every combination of sizes, and both values of every bool scalar. A size without a name is one of its own."""
    held = {tensor.name for tensor in message.graph.initializer}
    inputs = [value for value in message.graph.input if value.name not in held]
    symbols: dict[str, int] = {}
    for value in inputs:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                symbols.setdefault(dim.dim_param or f"{value.name}:{axis}", 0)
    conditions = [value.name for value in inputs if value.type.tensor_type.elem_type == onnx.TensorProto.BOOL]
    for drawn in itertools.product(sizes, repeat=len(symbols)):
        numbers = dict(zip(symbols, drawn, strict=True))
        for truths in itertools.product((False, True), repeat=len(conditions)):
            feeds = {value.name: _array(value, numbers) for value in inputs if value.name not in conditions}
            yield feeds | {name: np.array(truth) for name, truth in zip(conditions, truths, strict=True)}


def _array(value: onnx.ValueInfoProto, numbers: dict[str, int]) -> npt.NDArray[Any]:
    kind = value.type.tensor_type
    shape = [
        dim.dim_value if dim.HasField("dim_value") else numbers[dim.dim_param or f"{value.name}:{axis}"]
        for axis, dim in enumerate(kind.shape.dim)
    ]
    count = int(np.prod(shape, dtype=int))
    return (np.arange(count) + 1).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).reshape(shape)


def operators(message: onnx.ModelProto) -> list[str]:
    """The operators of a model, subgraphs and functions included, but for Constant."""
    bodies = [message.graph.node, *(function.node for function in message.functions)]
    return [op for nodes in bodies for op in _operators(nodes)]


def _operators(nodes: Any) -> Iterator[str]:  # Any: protobuf's containers
    for node in nodes:
        if node.op_type != "Constant":
            yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _operators(attribute.g.node)
