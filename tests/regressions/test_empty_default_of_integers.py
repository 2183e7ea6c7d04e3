"""A stored default without elements, of integers, is fed as it is: there is nothing to mix, and what is stored is read-only."""

from __future__ import annotations

import onnx.parser

from graphopt.verify import compare

TEXT = """<ir_version: 8, opset_import: ["" : 13]>
g (float x, int64[0] repeats) => (float y) <int64[0] repeats = {}> { y = Tile(x, repeats) }"""


def test_it_can_be_compared() -> None:
    model = onnx.parser.parse_model(TEXT)
    assert compare(model, model).agrees
