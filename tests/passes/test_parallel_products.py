"""fuse-parallel-matmuls on weights too big for golden text: those that others read are not stored twice."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import graphopt


def products(side: int, *, shared: bool) -> onnx.ModelProto:
    """A value times two square matrices, of which another product may read the second."""
    random = np.random.default_rng(0)
    weights = [numpy_helper.from_array(random.random((side, side), np.float32), name) for name in ("u", "v")]
    nodes = [helper.make_node("MatMul", ["x", name], [f"x{name}"]) for name in ("u", "v")]
    if shared:
        nodes.append(helper.make_node("MatMul", ["z", "v"], ["zv"]))
    types = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", side])
        for name in ("x", "z", *(output for node in nodes for output in node.output))
    }
    made = [types[output] for node in nodes for output in node.output]
    graph = helper.make_graph(nodes, "products", [types["x"], types["z"]], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(("side", "shared", "count"), [(64, False, 1), (64, True, 2), (256, False, 1), (256, True, 3), (1024, False, 1)])
def test_shared_weights_are_stored_twice_only_when_small(side: int, shared: bool, count: int) -> None:
    before = products(side, shared=shared)
    after = graphopt.optimize(before, pipeline="fuse-parallel-matmuls")
    assert [node.op_type for node in after.graph.node].count("MatMul") == count
    feeds = {name: np.random.default_rng(1).random((3, side), np.float32) for name in ("x", "z")}
    for one, other in zip(ReferenceEvaluator(before).run(None, feeds), ReferenceEvaluator(after).run(None, feeds), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    stored = sum(np.prod(tensor.dims) for tensor in after.graph.initializer if tensor.data_type == TensorProto.FLOAT)
    assert stored == side * side * (3 if shared and count == 2 else 2)
