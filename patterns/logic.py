"""Conditions: negations that fold away, comparisons of converted numbers, operands that stand twice."""

from __future__ import annotations

from typing import Final

from graphopt.ir import DType, Node, Value
from graphopt.match import INTEGERS, Call, Declined, Match, Operand, any_of, op, rule, tensor
from graphopt.patterns.cast import holds

a, b, c = tensor("a"), tensor("b"), tensor("c")
OPPOSITE: Final = {
    "Greater": "LessOrEqual", "GreaterOrEqual": "Less", "Less": "GreaterOrEqual", "LessOrEqual": "Greater",
}  # fmt: skip
COMPARED: Final = (*OPPOSITE, "Equal")
# What every runtime compares; others are often compared nowhere, and cast for that reason.
COMPARABLE: Final = frozenset({DType.float32, DType.float64, DType.int32, DType.int64})


def compared(name: str, one: Operand, other: Operand) -> Call:
    """The pattern of a comparison."""
    return op[name](one, other)


@rule(op.Where(op.Not(c).kept(), a, b), keeps_type=True, exactness="rounding")
def where_not(m: Match, c: Value, a: Value, b: Value) -> Value:
    """Where(Not(c), a, b)  ->  Where(c, b, a)         rounding: of a -0 in the second operand onnxruntime's Where makes +0"""
    return m.op.Where(c, b, a)


integers = tensor("a", dtype=INTEGERS)


@rule(any_of(*(op.Not(compared(name, integers, b).named("compare")) for name in OPPOSITE)), keeps_type=True)
def not_compare(m: Match, compare: Node, a: Value, b: Value) -> Value:
    """Not(Less(a, b))  ->  GreaterOrEqual(a, b)       Greater, LessOrEqual and GreaterOrEqual likewise; integers: of a NaN all are false"""
    return m.op[OPPOSITE[compare.op]](a, b)


@rule(any_of(op.And(op.Not(a), op.Not(b)), op.Or(op.Not(a), op.Not(b))), keeps_type=True)
def and_of_nots(m: Match, a: Value, b: Value) -> Value:
    """And(Not(a), Not(b))  ->  Not(Or(a, b))          Or(Not(a), Not(b))  ->  Not(And(a, b))"""
    return m.op.Not(m.op.Or(a, b) if m.root.op == "And" else m.op.And(a, b))


@rule(op.Xor(op.Not(a), op.Not(b)), keeps_type=True)
def xor_of_nots(m: Match, a: Value, b: Value) -> Value:
    """Xor(Not(a), Not(b))  ->  Xor(a, b)"""
    return m.op.Xor(a, b)


@rule(any_of(*(compared(name, a, a) for name in ("And", "BitwiseAnd", "BitwiseOr", "Max", "Min", "Or"))), keeps_type=True)
def both_the_same(m: Match, a: Value) -> Value:
    """And(a, a)  ->  a                                Or, Max, Min, BitwiseAnd and BitwiseOr likewise"""
    return a


@rule(any_of(*(compared(name, op.Cast(a), op.Cast(b)) for name in COMPARED)), keeps_type=True)
def compare_of_casts(m: Match, a: Value, b: Value) -> Value | Declined:
    """Less(Cast<to = T>(a), Cast<to = T>(b))  ->  Less(a, b)      each comparison; a, b: of one type, every value of which T holds

    Types that runtimes compare: float32, float64, int32, int64; for Equal also bool.
    """
    one, other = a.dtype, b.dtype
    if one is None or one != other:
        return m.no("{} is {}, {} is {}", a, one or "of unknown type", b, other or "of unknown type")
    if one not in COMPARABLE and not (one is DType.bool and m.root.op == "Equal"):
        return m.no("not every runtime compares {}", one)
    to = next(iter(m.root.inputs))
    wide = None if to is None else to.dtype
    if wide is None or not holds(wide, one):
        return m.no("{} does not hold every {}", wide or "an unknown type", one)
    return m.op[m.root.op_type](a, b)
