"""A folded result that a branch returns is a Constant node; below opset 9 that holds no integers, and the model was invalid."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

import graphopt

TEXT = """
<ir_version: 8, opset_import: ["" : {opset}]>
g (float[2] x, bool c) => (int64[1] y) {{
    y = If (c) <
        then_branch = a () => (int64[1] r) {{ r = Shape(x) }},
        else_branch = b () => (int64[1] q) <int64[1] three = {{3}}> {{ q = Identity(three) }}
    >
}}
"""


@pytest.mark.parametrize("opset", [7, 8, 9, 17])
def test_it_is_folded_only_where_a_constant_can_hold_it(opset: int) -> None:
    optimized = graphopt.optimize(parser.parse_model(TEXT.format(opset=opset)))
    onnx.checker.check_model(optimized, full_check=True)
    branch = optimized.graph.node[0].attribute[0].g
    assert [node.op_type for node in branch.node] == ["Shape" if opset < 9 else "Constant"]
