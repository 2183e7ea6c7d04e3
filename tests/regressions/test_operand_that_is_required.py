"""A node without an operand that its opset requires is no reason to break: nothing is known of what it gives."""

from __future__ import annotations

import onnx.parser

from graphopt import io
from graphopt.infer import infer_model

TEXT = """<ir_version: 8, opset_import: ["" : 15]>
g () => (bool y) { y = OptionalHasElement() }"""


def test_it_is_carried() -> None:
    model = io.load(onnx.parser.parse_model(TEXT))
    infer_model(model)
    assert [node.op for node in model.graph] == ["OptionalHasElement"]
