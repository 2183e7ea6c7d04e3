"""What a Loop collects of no round at all: ONNX says nothing of its sizes, and onnxruntime gives those that it knows without a round."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx.parser
import pytest

import graphopt
from tests.passes.all_sizes import operators
from tests.passes.models import needs_onnxruntime

HEAD = '<ir_version: 10, opset_import: ["" : 18]> g '
BODY = "body = b (int64 i, bool ci, float[Q] h) => (bool co, float[Q] ho, float[Q] so)"


def computed(model: onnx.ModelProto, rounds: int, **feed: Any) -> np.ndarray:
    """What onnxruntime makes of so many rounds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.arange(4, dtype=np.float32), "n": np.array(rounds, np.int64), **feed})
    return np.asarray(found)


@needs_onnxruntime
@pytest.mark.parametrize("declares_shapes", [True, False])
def test_a_reshape_of_what_was_collected_stays(declares_shapes: bool) -> None:
    model = onnx.parser.parse_model(f"""{HEAD} (float[4] x, int64 n) => (float[A,4] r) <bool tr = {{1}}, int64[2] t = {{-1, 4}}> {{
        y, s = Loop(n, tr, x) <{BODY} {{ co = Identity(ci) ho = Exp(h) so = Neg(h) }}> r = Reshape(s, t) }}""")
    if not declares_shapes:
        body = model.graph.node[0].attribute[0].g
        for port in (*body.input[2:], *body.output[1:]):
            port.type.tensor_type.ClearField("shape")
    after = graphopt.optimize(model)
    for rounds in range(3):
        assert computed(model, rounds).tolist() == computed(after, rounds).tolist()
        assert computed(after, rounds).shape == (rounds, 4)


@needs_onnxruntime
@pytest.mark.parametrize(
    ("node", "constant"),
    [("Reshape(h, k)", "int64[1] k = {4}"), ("Expand(h, k)", "int64[1] k = {4}"), ("Mul(h, k)", "float[4] k = {1, 1, 1, 1}")],
)
def test_a_node_that_tells_the_runtime_a_size_goes_and_the_size_stays(node: str, constant: str) -> None:
    model = onnx.parser.parse_model(f"""{HEAD} (float[4] x, float[4,3] w, int64 n) => (float[A,3] r) <bool tr = {{1}}, {constant}> {{
        y, s = Loop(n, tr, x) <{BODY} {{ co = Identity(ci) ho = Exp(h) q = {node} so = Neg(q) }}> r = MatMul(s, w) }}""")
    after = graphopt.optimize(model)
    assert node.partition("(")[0] not in operators(after)
    for rounds in range(3):
        given = {"w": np.ones((4, 3), np.float32)}
        assert computed(model, rounds, **given).tolist() == computed(after, rounds, **given).tolist()


def test_an_unchanged_body_is_written_as_it_was_read() -> None:
    model = onnx.parser.parse_model(f"""{HEAD} (float[4] x, int64 n) => (float[A,B] s) <bool tr = {{1}}> {{
        y, s = Loop(n, tr, x) <{BODY} {{ co = Identity(ci) ho = Exp(h) so = Neg(h) }}> }}""")
    (after,) = graphopt.optimize(model).graph.node
    assert after.attribute[0].g.output[2] == model.graph.node[0].attribute[0].g.output[2]
