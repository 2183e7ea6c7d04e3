"""compare() of models that round to integers inside: a last bit before the rounding may become a step, and no more."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper, parser

from graphopt.verify import Verdict, compare
from tests.verify.test_compare import Array, model


def test_quantized_models_may_be_off_by_a_step_in_few_places() -> None:
    """1 element of 3000 moves by one step of the grid: within tolerance for a model with QuantizeLinear only; 10% of them never."""
    values = np.zeros((1, 3000), np.uint8)
    moved, many = values.copy(), values.copy()
    moved[0, 7] = 1
    many[0, :300] = 2

    def adding(what: Array, quantize: bool) -> ModelProto:
        quantized = "s = Constant<value_float=0.5>()  u = QuantizeLinear(x, s)  i = Cast<to=6>(u)"
        plain = "f = Abs(x)  i = Cast<to=6>(f)"
        made = model(f"g (float[N,3000] x) => (int32[N,3000] y) {{ {quantized if quantize else plain}  y = Add(i, w) }}")
        made.graph.initializer.append(numpy_helper.from_array(what.astype(np.int32), "w"))
        return made

    assert compare(adding(values, True), adding(moved, True), special=False).verdict is Verdict.WITHIN
    assert any("quantized" in line for line in compare(adding(values, True), adding(moved, True), special=False).tolerance)
    assert compare(adding(values, False), adding(moved, False), special=False).verdict is Verdict.DIFFERENT
    assert compare(adding(values, True), adding(many, True), special=False).verdict is Verdict.DIFFERENT


def test_any_operator_that_is_quantized_inside_makes_a_quantized_model() -> None:
    """A mean of 8-bit integers may be rounded up in one model and down in the other; 2 steps are an error."""
    head = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> g (uint8[1,1,2,4] x) => (uint8[1,1,2,4] y)'

    def pooled(offset: int) -> ModelProto:
        parameters = f"<float s = {{0.1}}, uint8 z = {{0}}, uint8 w = {{{offset}}}>"
        pool = "com.microsoft.QLinearAveragePool <kernel_shape = [1, 1]> (x, s, z, s, w)"
        return parser.parse_model(f"{head} {parameters} {{ y = {pool} }}")

    assert compare(pooled(0), pooled(1)).verdict is Verdict.WITHIN
    assert compare(pooled(0), pooled(2)).verdict is Verdict.DIFFERENT
    branch = "b () => (uint8[N] r) { s = Constant<value_float=0.5>()  r = QuantizeLinear(x, s) }"
    inside = model(f"g (float[N] x, bool c) => (uint8[N] y) {{ y = If(c) <then_branch = {branch}, else_branch = {branch}> }}")
    assert any("quantized" in line for line in compare(inside, inside).tolerance)
