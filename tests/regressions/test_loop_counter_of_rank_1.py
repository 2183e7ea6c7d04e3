"""A Loop whose body declares counter and condition as vectors of 1: their shapes were folded as those of scalars."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

import graphopt

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x, int64 n) => (float[2] y) {
    y = Loop (n, "", x) <
        body = b (int64[1] i, bool[1] c, float[2] s) => (bool[1] d, float[2] t) {
            d = Identity(c)
            k = Shape(COUNTED)
            q = Cast <to = 1> (k)
            total = ReduceSum <keepdims = 0> (q)
            t = Add(s, total)
        }
    >
}
"""


@pytest.mark.parametrize("counted", ["i", "c"])
def test_its_shape_is_not_folded(counted: str) -> None:
    source = parser.parse_model(TEXT.replace("COUNTED", counted))
    optimized = graphopt.optimize(source)
    onnx.checker.check_model(optimized, full_check=True)
    body = next(node for node in optimized.graph.node if node.op_type == "Loop").attribute[0].g
    assert "Shape" in [node.op_type for node in body.node]


def test_onnxruntime_gives_the_same() -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnx.reference passes a scalar whatever is declared")
    source = parser.parse_model(TEXT.replace("COUNTED", "i"))
    feeds = {"x": np.zeros(2, np.float32), "n": np.array(3)}
    before, after = (
        runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for model in (source, graphopt.optimize(source))
    )
    np.testing.assert_array_equal(before, after)
