"""Element types for which runtimes have next to no kernels: a model that loads has to load afterwards."""

from __future__ import annotations

import onnx.parser
import pytest

import graphopt
from tests.passes.all_sizes import operators


def optimized(opset: int, text: str) -> list[str]:
    """The operators that are left of a model."""
    return operators(graphopt.optimize(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> g {text}')))


@pytest.mark.parametrize(
    ("dtype", "opset", "stays"), [("int4", 21, True), ("uint4", 23, True), ("float8e4m3fn", 19, True), ("int8", 21, False)],
)
def test_the_shape_of_a_cast(dtype: str, opset: int, stays: bool) -> None:
    assert ("Cast" in optimized(opset, f"({dtype}[N,4] x) => (int64[2] y) {{ c = Cast<to = 1>(x) y = Shape(c) }}")) is stays


def test_a_size_that_a_dequantized_value_has() -> None:
    """All sizes are those of x; the shortest way to one would be a Shape of it."""
    text = """<ir_version: 10, opset_import: ["" : 21]> g (int4[N,M] x) => (int64 y, float[M,N] r) <float s = {0.5}, int64 i = {1}> {
        c = DequantizeLinear(x, s) q = Relu(c) r = Transpose(q) h = Shape(r) y = Gather(h, i) }"""
    after = graphopt.optimize(onnx.parser.parse_model(text))
    (shape,) = (node for node in after.graph.node if node.op_type == "Shape")
    assert shape.input[0] != "x"


@pytest.mark.parametrize(("dtype", "left"), [("int4", ["Transpose", "Transpose"]), ("int8", ["Transpose", "Identity"])])
def test_two_equal_outputs(dtype: str, left: list[str]) -> None:
    text = f"({dtype}[2,3] x) => ({dtype}[3,2] y, {dtype}[3,2] z) {{ y = Transpose(x) z = Transpose(x) }}"
    assert optimized(21, text) == left


@pytest.mark.parametrize(("dtype", "left"), [("int4", ["Cast"]), ("int8", ["Identity"])])
def test_an_output_that_is_an_input(dtype: str, left: list[str]) -> None:
    kind = onnx.TensorProto.DataType.Value(dtype.upper())
    assert optimized(21, f"({dtype}[2,3] x) => ({dtype}[2,3] y) {{ y = Cast<to = {kind}>(x) }}") == left


def test_a_concat_of_casts_stays_behind_them() -> None:
    text = "(int4[2] x, int4[2] z) => (float[4] y) { a = Cast<to = 1>(x) b = Cast<to = 1>(z) y = Concat<axis = 0>(a, b) }"
    assert optimized(21, text) == ["Cast", "Cast", "Concat"]


@pytest.mark.parametrize(("opset", "stays"), [(13, True), (14, False)])
def test_a_sequence_that_a_loop_passes_through(opset: int, stays: bool) -> None:
    """Until opset 13 there is no Identity of a sequence, which would have to keep the output's name."""
    text = """(seq(float[N]) q, float[N] x) => (seq(float[N]) y) <int64 none = {0}, bool true = {1}> {
        y = Loop(none, true, q) <body = b (int64 i, bool ci, seq(float[K]) h) => (bool co, seq(float[K]) ho) {
            co = Identity(ci) ho = SequenceInsert(h, x) }> }"""
    assert ("Loop" in optimized(opset, text)) is stays


def test_the_bins_of_stft_without_onesided() -> None:
    """The default is 1, which gives 9 bins of 16; onnx's own inference says 16."""
    text = """(float[1,128,1] x) => (int64 bins) <int64 step = {8}, int64 length = {16}, int64 two = {2}> {
        y = STFT(x, step, , length) s = Shape(y) bins = Gather(s, two) }"""
    assert optimized(17, text) == ["STFT", "Shape", "Gather"]
