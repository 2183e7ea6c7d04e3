"""compare() does not hold against a result what the original does by itself when only rounding changes."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper

from graphopt.verify import Verdict, compare
from tests.verify.test_compare import RUNNERS, model, verdicts


def detector(*, reciprocal: bool = False, factor: float = 1.0) -> ModelProto:
    """The place of the largest of a thousand scores that are all x, but for rounding: x * a / a. A `factor` makes the scores wrong."""
    divided = "r = Reciprocal(a)  q = Mul(p, r)" if reciprocal else "q = Div(p, a)"
    steps = f"p = Mul(x, a)  {divided}  f = Constant<value_float={factor}>()  scores = Mul(q, f)  place = ArgMax<axis=1,keepdims=0>(scores)"
    made = model(f"g (float[200,1] x) => (float[200,1000] scores, int64[200] place) {{ {steps} }}")
    made.graph.initializer.append(numpy_helper.from_array(np.random.default_rng(0).uniform(1, 2, (1, 1000)).astype(np.float32), "a"))
    return made


@RUNNERS
def test_an_output_that_jumps_with_the_last_bit_is_not_held_against_the_result(runner: str) -> None:
    """ArgMax over scores that are equal but for rounding: moving the weights by their last bit moves the place as well."""
    before, after = detector(), detector(reciprocal=True)
    comparison = compare(before, after, runner=runner, special=False)
    assert verdicts(comparison) == {"scores": Verdict.WITHIN, "place": Verdict.NOT_COMPARABLE}
    assert "moves as far by itself when only rounding changes" in str(comparison)
    assert not comparison.differs and not comparison.agrees
    assert compare(before, after, runner=runner, special=False, exact=True).differs


@RUNNERS
def test_a_wrong_result_is_not_excused_by_an_output_that_jumps(runner: str) -> None:
    comparison = compare(detector(), detector(reciprocal=True, factor=1.01), runner=runner, special=False)
    assert verdicts(comparison)["scores"] is Verdict.DIFFERENT
    sure = model("g (float[N,1000] x) => (int64[N] place) { place = ArgMax<axis=1,keepdims=0>(x) }")
    other = model("g (float[N,1000] x) => (int64[N] place) { place = ArgMin<axis=1,keepdims=0>(x) }")
    assert compare(sure, other, runner=runner, special=False).outputs[0].verdict is Verdict.DIFFERENT


def steps(first: float, second: float, factor: float = 8.0) -> ModelProto:
    """Integers times the first scale, quantized with the second: halves, when it is twice the first. Then eight times as much."""
    held = f"<float a = {{{first}}}, float b = {{{second}}}, float one = {{1.0}}, float f = {{{factor}}}>"
    chain = "x = DequantizeLinear(u, a)  q = QuantizeLinear(x, b)  d = DequantizeLinear(q, one)  m = Mul(d, f)  y = QuantizeLinear(m, one)"
    return model(f"g (uint8[N] u) => (uint8[N] y) {held} {{ {chain} }}")


@RUNNERS
def test_steps_that_jump_with_the_last_bit_of_a_scale(runner: str) -> None:
    """Halves are rounded up or down, as the last bit of the scales will have it, and what follows makes eight steps of one."""
    feed = {"u": np.arange(200, dtype=np.uint8) % 31}
    comparison = compare(steps(0.05, 0.1), steps(0.15, 0.3), runner=runner, feeds=[feed])
    assert comparison.verdict is Verdict.NOT_COMPARABLE
    assert "moves as far by itself when only rounding changes" in str(comparison)
    assert compare(steps(0.05, 0.1), steps(0.05, 0.1, factor=12.0), runner=runner, feeds=[feed]).differs
