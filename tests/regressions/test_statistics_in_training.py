"""Statistics of a BatchNormalization that trains are stored apart, equal or not: onnxruntime writes the new ones over them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import graphopt

onnxruntime = pytest.importorskip("onnxruntime", reason="the numbers are onnxruntime's")
MODEL = """<ir_version: 10, opset_import: ["" : 20]>
agraph (float[2,1,3,3] x) => (float[2,1,3,3] y)
<float[1] scale = {0}, float[1] shift = {0}, float[1] mean = {0}, float[1] var = {0}, float[1] a = {2}, float[1] b = {2}> {
   t = Mul(x, a)
   u = Add(t, b)
   y, m, v = BatchNormalization <training_mode = 1> (u, scale, shift, mean, var)
}"""


def test_statistics_stay_apart() -> None:
    given = onnx.parser.parse_model(MODEL)
    result = graphopt.optimize(given, pipeline="merge-equal-initializers")
    assert sorted(tensor.name for tensor in result.graph.initializer) == ["a", "mean", "scale", "shift", "var"]
    x = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # its own merging makes other numbers
    session = onnxruntime.InferenceSession(result.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": x})
    assert (y == 0).all()
