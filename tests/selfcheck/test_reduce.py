"""A failing model gets small and stays failing; the one given is not touched."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto

from graphopt.io.walking import all_nodes
from graphopt.verify.reduce import reduce_feeds, reduce_model

BIG = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4,6] x, float[6] b, bool[1] k, float[4,6] unused) => (float[4,6] y, float[4,6] z) <float[6] w = {1.5, 2.25, 3, 4, 5, 6}>
{
   a = Mul(x, w)
   c = Softmax<axis = 1>(a)
   d = Add(c, b)
   e = Relu(d)
   y = Neg(e)
   z = Tanh(e)
}"""
NESTED = """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (bool c, float[N,3] x) => (float[N,3] y)
{
   y = If (c) <then_branch = t () => (float[N,3] p) { q = Exp(x) p = local.f(q) }, else_branch = e () => (float[N,3] r) { r = Neg(x) }>
}
<domain: "local", opset_import: ["" : 17]>
f (a) => (b) { h = Softmax(a) b = Log(h) }"""


def holds(op_type: str, model: ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return any(node.op_type == op_type for node in all_nodes(model))


def test_what_does_not_matter_goes() -> None:
    model = onnx.parser.parse_model(BIG)
    given = model.SerializeToString()
    small = reduce_model(model, lambda candidate: holds("Softmax", candidate))
    assert model.SerializeToString() == given
    assert [node.op_type for node in small.graph.node] == ["Softmax"]
    assert not small.graph.node[0].attribute
    assert len(small.graph.input) == len(small.graph.output) == 1
    assert [dim.dim_value for dim in small.graph.input[0].type.tensor_type.shape.dim] == [1, 1]
    assert not small.graph.initializer


def test_branches_and_functions_are_opened() -> None:
    small = reduce_model(onnx.parser.parse_model(NESTED), lambda candidate: holds("Softmax", candidate))
    assert [node.op_type for node in small.graph.node] == ["Softmax"]
    assert not small.functions
    assert all(dim.HasField("dim_value") for dim in small.graph.input[0].type.tensor_type.shape.dim)


def test_constants_become_simple() -> None:
    def fails(candidate: ModelProto) -> bool:
        stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in candidate.graph.initializer}
        return holds("Mul", candidate) and "w" in stored and bool((stored["w"] > 0.5).all())

    small = reduce_model(onnx.parser.parse_model(BIG), fails)
    assert onnx.numpy_helper.to_array(small.graph.initializer[0]).tolist() == [1.0]


def test_budget_is_kept() -> None:
    tried = []

    def fails(candidate: ModelProto) -> bool:
        tried.append(candidate)
        return False

    model = onnx.parser.parse_model(BIG)
    assert reduce_model(model, fails, budget=5) == model
    assert len(tried) == 5


def test_feeds_become_simple() -> None:
    feeds = {"a": np.array([1.37, -2.2], np.float32), "b": np.array([3, 4]), "c": np.array(["x"], object)}
    small = reduce_feeds(feeds, lambda feeds: bool(feeds["a"][0] > 0.5))
    assert small["a"].tolist() == [1.0, 1.0]
    assert small["b"].tolist() == [0, 0]
    assert feeds["b"].tolist() == [3, 4]
