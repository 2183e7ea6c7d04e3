"""Types and results of many calls, at every version of each operator, against onnxruntime without its optimizations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import helper

from graphopt.infer import CannotEvaluate, evaluate, infer_node
from graphopt.infer.protos import to_node_proto
from graphopt.infer.shapes import contradicts
from graphopt.infer.trust import UNTRUSTED_KERNELS
from graphopt.ir import DType, Node, Tensor, TensorType
from tests.infer.kernel_calls import node_of, versions_of
from tests.infer.kernel_cases import Call, calls

onnxruntime = pytest.importorskip("onnxruntime", reason="the results are compared with onnxruntime's")
pytestmark = pytest.mark.slow  # 3,000 sessions: 20 s

NEWEST = 22  # what onnxruntime has implemented on the CPU, by and large


class Trial(NamedTuple):
    """A call at one opset, and what onnxruntime makes of it; None when it has no kernel there."""

    call: Call
    opset: int
    node: Node
    inputs: list[Tensor | None]
    results: list[Any] | None


def trials(seed: int) -> Iterator[Trial]:
    for one in calls(seed):
        for opset in versions_of(one.op, NEWEST):
            node = node_of(one, opset)
            if node is None:
                continue
            inputs = [None if value is None else value.const for value in node.inputs]
            yield Trial(one, opset, node, inputs, run(node, opset, inputs))


def run(node: Node, opset: int, inputs: list[Tensor | None]) -> list[Any] | None:
    message = to_node_proto(node)
    feeds = {f"i{slot}": tensor.numpy() for slot, tensor in enumerate(inputs) if tensor is not None}
    declared = [helper.make_tensor_value_info(name, int(DType.of(array.dtype)), array.shape) for name, array in feeds.items()]
    body = helper.make_graph([message], "one", declared, [onnx.ValueInfoProto(name=name) for name in message.output])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results: list[Any] = session.run(None, feeds)
    except Exception:  # whatever the reason, there is nothing to compare with
        return None
    return results


@pytest.mark.parametrize("seed", [0, 1])
def test_types_and_results_agree_with_onnxruntime(seed: int) -> None:
    """Types never contradict. Results: integers are equal, floats within rtol 1e-4 and atol 1e-5; what is refused needs no check.

    A kernel that is not trusted had onnxruntime as its witness: nothing is learnt of it here.
    """
    compared: Counter[str] = Counter()
    for trial in trials(seed):
        where = f"{trial.call.op}-{trial.opset} {trial.call.attributes}"
        if trial.results is None:
            continue
        for type, array in zip(infer_node(trial.node), trial.results, strict=True):
            assert not contradicts(type, TensorType(DType.of(array.dtype), array.shape)), f"{where}: {type}, but {array.shape}"
        try:
            ours = evaluate(trial.node, trial.inputs)
        except CannotEvaluate:
            continue
        compared[trial.call.op] += 1
        for tensor, array in zip(ours, trial.results, strict=True):
            assert (tensor.dtype, tensor.shape) == (DType.of(array.dtype), array.shape), where
            if array.dtype.kind == "f":
                np.testing.assert_allclose(tensor.numpy().astype(np.float64), array, rtol=1e-4, atol=1e-5, err_msg=where)
            else:
                np.testing.assert_array_equal(tensor.numpy(), array, err_msg=where)
    assert sum(compared[op] for op in compared.keys() - UNTRUSTED_KERNELS.keys()) > 2000


def test_the_inference_of_common_operators_is_complete() -> None:
    """With all shapes known, the type is known to the last size, but where it depends on the elements."""
    depends_on_elements = {"Compress", "NonMaxSuppression", "NonZero", "Range", "Unique"}
    for trial in trials(0):
        if trial.call.op in depends_on_elements:
            continue
        for type in infer_node(trial.node):
            assert isinstance(type, TensorType), trial.node
            assert type.shape is not None, trial.node
            assert None not in type.shape, trial.node
