"""A model that imports one domain, no node of which is left, keeps the import: without any the checker refuses it."""

from __future__ import annotations

import onnx

import graphopt

MODEL = """<ir_version: 10, opset_import: ["ai.onnx.ml" : 3]>
agraph () => (float[1,2] y) <float[1,2] x = {0.5, 2.0}> { y = ai.onnx.ml.Binarizer<threshold = 1.0>(x) }"""


def test_the_last_import_stays() -> None:
    result = graphopt.optimize(onnx.parser.parse_model(MODEL))
    assert not result.graph.node
    assert [(entry.domain, entry.version) for entry in result.opset_import] == [("ai.onnx.ml", 3)]
    onnx.checker.check_model(result, full_check=True)
