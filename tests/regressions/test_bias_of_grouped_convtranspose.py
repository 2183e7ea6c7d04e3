"""onnx's reference kernel of ConvTranspose adds the bias of the first group to all: what it says is not folded."""

from __future__ import annotations

import onnx.numpy_helper
import onnx.parser

import graphopt

TEXT = """<ir_version: 8, opset_import: ["" : 11]>
g () => (float[1, 2, 1, 1] y) <float[1, 2, 1, 1] x = {0, 0}, float[2, 1, 1, 1] w = {0, 0}, float[2] b = {1, 2}> {
   y = ConvTranspose<group = 2>(x, w, b)
}"""


def test_each_group_has_its_bias() -> None:
    made = graphopt.optimize(onnx.parser.parse_model(TEXT)).graph
    folded = {tensor.name: onnx.numpy_helper.to_array(tensor).reshape(-1).tolist() for tensor in made.initializer}
    assert folded.get("y", [1, 2]) == [1, 2]
