"""What runtimes compute in more than one way stays in the graph: odd `keepdims`, products of nothing, uneven padding."""

from __future__ import annotations

import onnx
import pytest

import graphopt

KEEPS_OTHERWISE = """<ir_version: 8, opset_import: ["" : 11]>
agraph () => (float y) <float[1,1,1] x = {0.5}> { y = ReduceL2 <keepdims = -1> (x) }"""
EMPTY_PRODUCT = """<ir_version: 8, opset_import: ["" : 11]>
agraph () => (float[1,1] y) <float[1,0] x = {}, float[0,1] w = {}, float[1] b = {1}> { y = Gemm <beta = 0.5> (x, w, b) }"""

PADDED_IN_FRONT = """<ir_version: 8, opset_import: ["" : 12]>
agraph () => (float[1,1,2,1] y) <float[1,1,4,1] x = {1,2,3,4}> {
   y = MaxPool <kernel_shape = [3, 3], strides = [2, 1], auto_pad = "SAME_LOWER"> (x)
}"""


@pytest.mark.parametrize("text", [KEEPS_OTHERWISE, EMPTY_PRODUCT, PADDED_IN_FRONT])
def test_stays(text: str) -> None:
    given = onnx.parser.parse_model(text)
    result = graphopt.optimize(given)
    assert [node.op_type for node in result.graph.node] == [node.op_type for node in given.graph.node]
    onnx.checker.check_model(result, full_check=True)


@pytest.mark.parametrize(("text", "old", "new"), [(KEEPS_OTHERWISE, "keepdims = -1", "keepdims = 0"), (EMPTY_PRODUCT, "0.5", "1.0")])
def test_goes_where_they_agree(text: str, old: str, new: str) -> None:
    assert not graphopt.optimize(onnx.parser.parse_model(text.replace(old, new))).graph.node
