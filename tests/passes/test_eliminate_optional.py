"""What is known of optionals, as the values that it has: golden texts of older releases of onnx do not show truth values."""

from __future__ import annotations

import onnx.parser
import pytest

import graphopt


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [("o = Optional(x) b = OptionalHasElement(o)", True), ("o = Optional<type = float[2]>() b = OptionalHasElement(o)", False),
     ("b = OptionalHasElement(x)", True), ("b = OptionalHasElement()", False)],
)  # fmt: skip
def test_has_element(nodes: str, expected: bool) -> None:
    model = graphopt.load(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> g (float[2] x) => (bool b) {{ {nodes} }}'))
    graphopt.optimize(model)
    (output,) = model.graph.outputs
    assert not list(model.graph) and output.const is not None
    assert output.const.numpy().tolist() is expected
