"""Negations that another operator can take over. In floats -x is x with the other sign bit, so that nothing is rounded."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Value
from graphopt.match import FLOATING, NUMERIC, Declined, Match, any_of, const, op, rule, tensor
from graphopt.patterns.neutral import unless_wider
from graphopt.patterns.noop import MOST_READ
from graphopt.patterns.zero import is_zero

a, b, c = tensor("a"), tensor("b"), const("c")


def divides(value: Value) -> bool:
    """Whether floats are divided by it: by zeros of either sign they come out as either infinity."""
    return value.dtype in FLOATING and any(
        user.op == "Reciprocal" or (user.op == "Div" and user.inputs[1] is value) for user in value.users
    )


@rule(op.Neg(op.Neg(a).kept()), keeps_type=True)
def neg_neg(m: Match, a: Value) -> Value:
    """Neg(Neg(a))  ->  a"""
    return a


@rule(op.Add(op.Neg(b), a), dtype=NUMERIC, keeps_type=True)
def add_neg(m: Match, a: Value, b: Value) -> Value:
    """Add(a, Neg(b))  ->  Sub(a, b)"""
    return m.op.Sub(a, b)


@rule(op.Sub(a, op.Neg(b)), dtype=NUMERIC, keeps_type=True)
def sub_neg(m: Match, a: Value, b: Value) -> Value:
    """Sub(a, Neg(b))  ->  Add(a, b)"""
    return m.op.Add(a, b)


@rule(op.Mul(op.Neg(a), op.Neg(b)), dtype=NUMERIC, keeps_type=True)
def mul_of_negs(m: Match, a: Value, b: Value) -> Value:
    """Mul(Neg(a), Neg(b))  ->  Mul(a, b)"""
    return m.op.Mul(a, b)


@rule(op.Div(op.Neg(a), op.Neg(b)), dtype=FLOATING, keeps_type=True)
def div_of_negs(m: Match, a: Value, b: Value) -> Value:
    """Div(Neg(a), Neg(b))  ->  Div(a, b)              floats: the least integer is its own negative"""
    return m.op.Div(a, b)


@rule(op.Neg(op.Sub(a, b)), dtype=NUMERIC, keeps_type=True, exactness="rounding")
def neg_sub(m: Match, a: Value, b: Value) -> Value | Declined:
    """Neg(Sub(a, b))  ->  Sub(b, a)                   rounding: of a - a, which is +0, it makes no -0; nothing is divided by it"""
    return m.no("{} is divided by, and so the sign of a zero matters", m.root.output) if divides(m.root.output) else m.op.Sub(b, a)


@rule(op.Sub(tensor("c", where=is_zero), a), dtype=NUMERIC, keeps_type=True, exactness="rounding")
def zero_minus(m: Match, a: Value, c: Value) -> Value | Declined:
    """Sub(0, a)  ->  Neg(a)                           rounding: of +0 it makes -0; c does not make it bigger, nothing is divided by it"""
    if divides(m.root.output):
        return m.no("{} is divided by, and so the sign of a zero matters", m.root.output)
    found = unless_wider(m, a, c)
    return found if isinstance(found, Declined) else m.op.Neg(a)


@rule(any_of(op.Mul(op.Neg(a), c), op.Div(op.Neg(a), c), op.Neg(op.Mul(a, c)), op.Neg(op.Div(a, c))), dtype=FLOATING, keeps_type=True)
def negated_factor(m: Match, a: Value, c: Value) -> Value | Declined:
    """Mul(Neg(a), c)  ->  Mul(a, -c)                  Neg(Mul(a, c)), Div(Neg(a), c) and Neg(Div(a, c)) likewise; floats"""
    held = c.const
    if held is None or held.nbytes > MOST_READ or a.const is not None:
        return m.no("{} is {}: more than is computed here", c, c.type)
    is_product = any(node.op == "Mul" for node in m.nodes)
    build = m.op.Mul if is_product else m.op.Div
    return build(a, m.constant(np.negative(held.numpy()), held.dtype, name=c.name))
