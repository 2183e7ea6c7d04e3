"""Inputs full of zeros that may as well be absent: biases, and the states in which a recurrence begins."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Tensor, Value
from graphopt.match import Declined, Match, any_of, attr, op, opt, rule, tensor
from graphopt.patterns.neutral import all_positive_zero
from graphopt.patterns.noop import MOST_READ
from graphopt.schema.spelling import has_neutral_form

MOVING: Final = frozenset({"Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
DEEPEST: Final = 5  # operators that are looked through


def is_zero(value: Value, depth: int = DEEPEST) -> bool:
    """Whether every element provably is +0: of a small constant, of what fills a shape, of parts of either."""
    held, node = value.const, value.producer
    if held is not None:
        return held.nbytes <= MOST_READ and is_number(held) and all_positive_zero(held.numpy())
    if node is None or not depth or node.domain or not has_neutral_form(node):
        return False
    if node.op == "ConstantOfShape":
        filling = node.attributes.get("value")
        content = None if filling is None else filling.value
        return filling is None or (isinstance(content, Tensor) and is_number(content) and all_positive_zero(content.numpy()))
    source = node.inputs[0] if node.op in MOVING else None
    return source is not None and is_zero(source, depth - 1)


def is_number(held: Tensor) -> bool:
    """Whether the elements are numbers that numpy compares."""
    return held.dtype.is_float or held.dtype.is_integer


x, w, zero = tensor("x"), tensor("w"), tensor("b", where=is_zero)


@rule(any_of(op.Conv(x, w, zero), op.ConvTranspose(x, w, zero)), keeps_type=True, exactness="rounding")
def conv_without_bias(m: Match, x: Value, w: Value) -> Value:
    """Conv(x, w, 0)  ->  Conv(x, w)                   ConvTranspose likewise            rounding: of -0 either zero may come"""
    return rebuilt(m, x, w)[0]


@rule(op.Gemm(x, w, zero, beta=attr("beta")), keeps_type=True, exactness="rounding")
def gemm_without_bias(m: Match, x: Value, w: Value, beta: float) -> Value | Declined:
    """Gemm(x, w, 0)  ->  Gemm(x, w)                   since opset 11                    rounding: of -0 either zero may come"""
    if not np.isfinite(beta):
        return m.no("beta is {}", beta)
    kept = m.root.attributes_without("beta")
    return m.op.Gemm(x, w, **kept)


def recurrent_examples() -> list[str]:
    """Models of recurrences that begin with zeros."""
    fills = "s = Shape(x) n = Gather(s, batch) d = Concat<axis = 0>(one, n, two) h = ConstantOfShape(d)"
    names = "<int64[1] batch = {1}, int64[1] one = {1}, int64[1] two = {2}, float[1,3,2] z = {0, 0, 0, 0, 0, 0}, "
    return [
        f"""<ir_version: 8, opset_import: ["" : {opset}]> g ({x} x, float[1,{rows},2] w) => (float[A,B,C,D] y)
        {names} float[1,{rows},2] r = {{{", ".join(["0.5"] * 2 * rows)}}}> {{ {body} }}"""
        for opset in (7, 14, 21)
        for x, state in (("float[4,N,2]", f"{fills} "), ("float[4,3,2]", ""))
        if state == "" or opset >= 9
        for rows, body in (
            (8, f"{state}y = LSTM<hidden_size = 2>(x, w, r, , , {'h, h' if state else 'z, z'})"),
            (8, f"{state}y, l, m = LSTM<hidden_size = 2>(x, w, r, , , {'h' if state else 'z'})"),
            (6, f"{state}y = GRU<hidden_size = 2>(x, w, r, , , {'h' if state else 'z'})"),
            (2, f"{state}y, l = RNN<hidden_size = 2>(x, w, r, , , {'h' if state else 'z'})"),
        )
    ]


r, b, lens, h, c, p = tensor("r"), opt(tensor("b")), opt(tensor("lens")), opt(tensor("h")), opt(tensor("c")), opt(tensor("p"))


@rule(op.LSTM(x, w, r, b, lens, h, c, p, layout=attr("layout")), keeps_type=True, examples=recurrent_examples)
def lstm_from_zero(
    m: Match, x: Value, w: Value, r: Value, b: Value | None, lens: Value | None, h: Value | None, c: Value | None, p: Value | None,
    layout: int,
) -> tuple[Value, ...] | Declined:
    """LSTM(x, w, r, b, lens, 0, 0, p)  ->  LSTM(x, w, r, b, lens, , , p)

    Either state may stay. They are for as many sequences as x has. r and p are constant and finite: 0 times infinity is NaN.
    """
    if why := unbounded(m, r, p):
        return why
    states = tuple(state if state is None or not begins_with_zero(x, state, layout) else None for state in (h, c))
    if states == (h, c):
        return m.no("the first states are absent, or not known to be 0 for each sequence of {}", x)
    return rebuilt(m, x, w, r, b, lens, *states, p)


state = tensor("h", where=is_zero)


@rule(
    any_of(op.GRU(x, w, r, b, lens, state, layout=attr("layout")), op.RNN(x, w, r, b, lens, state, layout=attr("layout"))),
    keeps_type=True,
    examples=recurrent_examples,
)
def recurrence_from_zero(
    m: Match, x: Value, w: Value, r: Value, b: Value | None, lens: Value | None, h: Value, layout: int
) -> tuple[Value, ...] | Declined:
    """GRU(x, w, r, b, lens, 0)  ->  GRU(x, w, r, b, lens)                     RNN likewise

    The states are for as many sequences as x has; r is constant and finite: 0 times infinity is NaN.
    """
    if why := unbounded(m, r):
        return why
    if not begins_with_zero(x, h, layout):
        return m.no("{} is not known to be for each sequence of {}", h, x)
    return rebuilt(m, x, w, r, b, lens)


def unbounded(m: Match, *factors: Value | None) -> Declined | None:
    """No where a state is multiplied by what may not be finite; runtimes leave the product out when there is no state."""
    for factor in factors:
        held = None if factor is None else factor.const
        if factor is not None and (held is None or not held.dtype.is_float or not np.isfinite(held.numpy().astype(np.float32)).all()):
            return m.no("{} is not known to be finite", factor)
    return None


def begins_with_zero(x: Value, state: Value, layout: int) -> bool:
    """Whether a first state is 0, for provably as many sequences as there are: with fewer, some runtimes broadcast."""
    if x.shape is None or state.shape is None or len(x.shape) != 3 or len(state.shape) != 3:
        return False
    batch = x.shape[0 if layout else 1]
    return batch is not None and batch == state.shape[0 if layout else 1] and is_zero(state)


def rebuilt(m: Match, *inputs: Value | None) -> tuple[Value, ...]:
    """The root with other inputs."""
    return m.call(m.root.op_type, inputs, m.root.attributes, outputs=len(m.root.outputs))
