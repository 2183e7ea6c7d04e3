"""Small quantized models, with the Q and DQ that onnxruntime leaves of each after its own fusion, and why.

A node is named after what it makes. `s` and `h` are scales, `z` and `k` zero points of uint8, `i` and `j` of int8.
"""

from __future__ import annotations

from typing import NamedTuple

import onnx
import onnx.parser
from onnx import ModelProto

PARAMETERS = """float s = {0.5}, float h = {0.25}, uint8 z = {0}, uint8 k = {128}, int8 i = {0}, int8 j = {3},
float[2] each = {0.5, 0.25}, uint8[2] zeros = {0, 0}, int64[1] one = {1}, int64[2] matrix = {-1, 4}, float half = {0.5}, float six = {6},
int8[4,4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}, int8[2,2,1,1] c = {1,2,3,4}, int32[2] b = {5,6}, float[2] fb = {1,2},
float quarter = {0.25}, int32 n = {0}"""


class Case(NamedTuple):
    """`left`: the names of what remains -> a part of the reason, for onnxruntime on x64. `advised`: passes that would help."""

    signature: str
    body: str
    left: dict[str, str]
    advised: frozenset[str] = frozenset()


IMAGE = "g (uint8[1,2,4,4] x) => (uint8[1,2,4,4] y)"
MATRIX = "g (uint8[4,4] x) => (uint8[4,4] y)"
CASES = {
    "conv": Case(
        IMAGE,
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(c, s, i) a = DequantizeLinear(b, quarter, n) m = Conv(d, v, a) "
        "y = QuantizeLinear(m, s, z)",
        {},
    ),
    "conv_of_int8": Case(
        "g (int8[1,2,4,4] x) => (int8[1,2,4,4] y)",
        "d = DequantizeLinear(x, s, i) v = DequantizeLinear(c, s, i) m = Conv(d, v) y = QuantizeLinear(m, s, i)",
        dict.fromkeys("dvy", "first input is int8"),
        frozenset({"convert-int8-to-uint8"}),
    ),
    "int8_between_one_pair": Case(
        "g (float[1,2,4,4] x) => (float[1,2,4,4] y)",
        "q = QuantizeLinear(x, s, i) d = DequantizeLinear(q, s, i) v = DequantizeLinear(c, s, i) m = Conv(d, v) "
        "r = QuantizeLinear(m, s, i) y = DequantizeLinear(r, s, i)",
        {"q": "%x is an input of the graph", "y": "%y is an output of the graph"},
    ),
    "int8_that_two_read": Case(
        "g (float[1,2,4,4] x) => (float[1,2,4,4] y)",
        "q = QuantizeLinear(x, s, i) d = DequantizeLinear(q, s, i) e = DequantizeLinear(q, s, i) v = DequantizeLinear(c, s, i) "
        "m = Conv(d, v) t = Sin(e) u = Add(m, t) r = QuantizeLinear(u, s, z) y = DequantizeLinear(r, s, z)",
        {
            "q": "input of the graph", "d": "goes to Add 'u' in floats", "v": "goes to Add 'u' in floats", "e": "no Sin",
            "r": "Add 'u'", "y": "output of the graph",
        },
    ),
    "relu_is_absorbed": Case(
        IMAGE,
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(c, s, i) m = Conv(d, v) r = Relu(m) y = QuantizeLinear(r, s, z)",
        {},
    ),
    "relu_is_not_absorbed": Case(
        IMAGE,
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(c, s, i) m = Conv(d, v) r = Relu(m) y = QuantizeLinear(r, s, k)",
        {"d": "Relu 'r' after it changes", "v": "Relu 'r' after it changes", "y": "Relu 'r' before it changes"},
        frozenset({"move-relu-after-quantize"}),
    ),
    "relu_that_two_read": Case(
        "g (uint8[4] x) => (uint8[4] y, float[4] t)",
        "d = DequantizeLinear(x, s, z) r = Relu(d) y = QuantizeLinear(r, s, z) t = Sin(r)",
        {"d": "Relu 'r' reads it in floats: the runtime fuses no Relu", "y": "Relu 'r' computes on floats: the runtime fuses no Relu"},
        frozenset({"move-relu-after-quantize"}),
    ),
    "clip_is_not_absorbed": Case(
        IMAGE,
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(c, s, i) m = Conv(d, v) r = Clip(m, half, six) y = QuantizeLinear(r, s, z)",
        dict.fromkeys("dvy", "Clip 'r'"),
        frozenset({"move-clip-after-quantize"}),
    ),
    "result_in_floats_too": Case(
        "g (uint8[1,2,4,4] x) => (uint8[1,2,4,4] y, float[1,2,4,4] t)",
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(c, s, i) m = Conv(d, v) y = QuantizeLinear(m, s, z) t = Sin(m)",
        dict.fromkeys("dvy", "is quantized and read in floats as well"),
    ),
    "matmul": Case(MATRIX, "d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) m = MatMul(d, v) y = QuantizeLinear(m, s, z)", {}),
    "matmul_of_floats": Case(
        "g (uint8[4,4] x) => (float[4,4] y)", "d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) y = MatMul(d, v)", {}
    ),
    "matmul_before_a_relu": Case(
        "g (uint8[4,4] x) => (float[4,4] y)",
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) m = MatMul(d, v) r = Relu(m) y = Sin(r)",
        dict.fromkeys("dv", "Relu 'r' reads its result in floats"),
    ),
    "gemm_without_zero_points": Case(
        MATRIX,
        "d = DequantizeLinear(x, s) v = DequantizeLinear(w, s) m = Gemm(d, v) y = QuantizeLinear(m, s)",
        dict.fromkeys("dvy", "no zero point input"),
        frozenset({"normalize-quantization"}),
    ),
    "matmul_and_add_is_gemm": Case(
        "g (uint8[4,2] x, int8[2,2] v8) => (uint8[4,2] y)",
        "d = DequantizeLinear(x, s, z) v = DequantizeLinear(v8, s, i) a = DequantizeLinear(b, quarter, n) p = MatMul(d, v) m = Add(p, a) "
        "y = QuantizeLinear(m, s, z)",
        {},
    ),
    "add": Case(
        IMAGE, "d = DequantizeLinear(x, s, z) e = DequantizeLinear(x, h, k) m = Add(d, e) y = QuantizeLinear(m, s, k)", {}
    ),
    "add_of_a_float_constant": Case(
        IMAGE,
        "d = DequantizeLinear(x, s, z) m = Add(d, half) y = QuantizeLinear(m, s, z)",
        dict.fromkeys("dy", "(%half) is a float constant"),
    ),
    "add_of_one_tensor": Case(IMAGE, "d = DequantizeLinear(x, s, z) m = Add(d, d) y = QuantizeLinear(m, s, z)", {}),
    "where_with_a_number": Case(
        "g (uint8[4,4] x, bool[4,4] which) => (uint8[4,4] y)",
        "d = DequantizeLinear(x, s, z) m = Where(which, d, half) y = QuantizeLinear(m, s, z)",
        {},
    ),
    "reshape": Case(MATRIX, "d = DequantizeLinear(x, s, z) m = Reshape(d, matrix) y = QuantizeLinear(m, s, z)", {}),
    "reshape_to_other_parameters": Case(
        MATRIX,
        "d = DequantizeLinear(x, s, z) m = Reshape(d, matrix) y = QuantizeLinear(m, h, z)",
        dict.fromkeys("dy", "scale 0.25"),
    ),
    "moved_down_by_the_runtime": Case(
        "g (uint8[4,4] x) => (float[4,4] y)",
        "d = DequantizeLinear(x, s, z) m = Reshape(d, matrix) y = Sin(m)",
        {"m_dq": "no Sin on integers"},
    ),
    "flatten_is_not_moved_below": Case(
        "g (uint8[4,4] x) => (float[4,4] y)",
        "d = DequantizeLinear(x, s, z) m = Flatten(d) y = Sin(m)",
        {"d": "its result goes to Sin 'y' in floats"},
        frozenset({"propagate-dequantize-down"}),
    ),
    "moved_up_by_the_runtime": Case(
        "g (float[4,4] x) => (uint8[4,4] y)",
        "t = Sin(x) m = Reshape(t, matrix) y = QuantizeLinear(m, s, z)",
        {"t_q": "no Sin on integers"},
    ),
    "two_inputs_of_other_opsets": Case(
        "g (uint8[4,4] x) => (uint8[4,4] y)",
        "d = DequantizeLinear(x, s) m = Reshape(d, matrix) y = QuantizeLinear(m, s)",
        dict.fromkeys("dy", "has no zero point input"),
        frozenset({"normalize-quantization"}),
    ),
    "along_an_axis": Case(
        "g (uint8[2,4] x) => (uint8[2,1,4] y)",
        "d = DequantizeLinear <axis = 0> (x, each, zeros) m = Unsqueeze(d, one) y = QuantizeLinear <axis = 0> (m, each, zeros)",
        dict.fromkeys("dy", "has parameters per axis"),
        frozenset({"drop-quantization-around-movement"}),
    ),
    "max_pool": Case(
        IMAGE, "d = DequantizeLinear(x, s, z) m = MaxPool <kernel_shape = [1, 1]> (d) y = QuantizeLinear(m, s, z)", {}
    ),
    "linear_resize": Case(
        IMAGE,
        'd = DequantizeLinear(x, s, z) m = Resize <mode = "linear"> (d, , sizes) y = QuantizeLinear(m, s, z)',
        dict.fromkeys("dy", "mode is linear"),
    ),
    "arg_max": Case("g (uint8[4,4] x) => (int64[1,4] y)", "d = DequantizeLinear(x, s, z) y = ArgMax(d)", {}),
    "cancelled": Case(
        "g (uint8[4,4] x) => (uint8[4,4] y)", "d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = Max(q, k)", {}
    ),
    "not_cancelled_for_two_readers": Case(
        "g (uint8[4,4] x) => (uint8[4,4] y, uint8[4,4] u)",
        "d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = Max(q, k) u = Min(q, k)",
        dict.fromkeys("dq", "%q has several readers"),
        frozenset({"cancel-dequantize-quantize"}),
    ),
    "no_kernel": Case(
        "g (float[4,4] x) => (float[4,4] y)",
        "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) m = Tanh(d) r = QuantizeLinear(m, s, z) y = DequantizeLinear(r, s, z)",
        {"q": "input of the graph", "d": "no Tanh on integers", "r": "no Tanh on integers", "y": "output of the graph"},
    ),
}


def model(case: Case, opset: int = 21) -> ModelProto:
    """The model of a case."""
    text = f'<ir_version: 10, opset_import: ["" : {opset}]> {case.signature} <{PARAMETERS}, float[4] sizes = {{1,1,1,1}}> {{ {case.body} }}'
    found = onnx.parser.parse_model(text)
    for node in found.graph.node:
        node.name = node.output[0]
    read = {name for node in found.graph.node for name in node.input}
    kept = [tensor for tensor in found.graph.initializer if tensor.name in read]
    del found.graph.initializer[:]
    found.graph.initializer.extend(kept)
    onnx.checker.check_model(found, full_check=True)
    return found
