"""Operators of one operand that what comes before them makes superfluous."""

from __future__ import annotations

from typing import Final

from graphopt.ir import DType, Node, Value
from graphopt.match import INTEGERS, Call, Match, Operand, any_of, op, rule, tensor
from graphopt.patterns.sign import is_nonnegative

x = tensor("x")
IDEMPOTENT: Final = ("Abs", "Ceil", "Floor", "Relu", "Round", "Sign")
ROUNDING: Final = ("Ceil", "Floor", "Round")


def of(op_type: str, operand: Operand) -> Call:
    """The pattern of an operator applied to an operand."""
    return op[op_type](operand)


def inner(op_type: str) -> Call:
    """The pattern of an operator that stays where it is, bound to "inner"."""
    return of(op_type, x).kept().named("inner")


@rule(any_of(*(of(name, inner(name)) for name in IDEMPOTENT)), keeps_type=True)
def unary_twice(m: Match, inner: Node) -> Value:
    """Relu(Relu(x))  ->  Relu(x)                      Abs, Ceil, Floor, Round and Sign likewise"""
    return inner.output


@rule(any_of(*(of(outer, inner(name)) for outer in ROUNDING for name in ROUNDING if name != outer)), keeps_type=True)
def rounded_twice(m: Match, inner: Node) -> Value:
    """Floor(Ceil(x))  ->  Ceil(x)                     each of Ceil, Floor and Round after another"""
    return inner.output


integers = tensor("x", dtype=INTEGERS | {DType.bool})


@rule(any_of(*(of(outer, op.Cast(integers, saturate=1).kept().named("inner")) for outer in ROUNDING)), keeps_type=True)
def rounded_integer(m: Match, inner: Node) -> Value:
    """Floor(Cast(x))  ->  Cast(x)                     x: integers; Ceil and Round likewise"""
    return inner.output


def nonnegative_examples() -> list[str]:
    """Models of the operators that make nothing negative."""
    head = '<ir_version: 8, opset_import: ["" : 18]>'
    made = [
        "t = Exp(x) y = Abs(t)", "t = Sigmoid(x) y = Relu(t)", "s = Mul(x, x) t = ReduceMean(s) y = Abs(t)",
        "t = Relu(x) y = Abs(t)", "t = Softmax(x) u = Add(t, t) y = Relu(u)", "s = Sqrt(x) y = Relu(s)",
    ]  # fmt: skip
    return [f"{head} g{i} (float[2,3] x) => (float[A,B] y) {{ {body} }}" for i, body in enumerate(made)]


@rule(
    any_of(op.Abs(tensor("x", where=is_nonnegative)), op.Relu(tensor("x", where=is_nonnegative))),
    keeps_type=True,
    exactness="rounding",
    examples=nonnegative_examples,
)
def absolute_of_nonnegative(m: Match, x: Value) -> Value:
    """Abs(x)  ->  x                                   Relu(x) likewise; x: floats that are never negative                rounding

    By how they are computed: Exp, Sigmoid, Softmax, a square, sums and means of such, and so on. Rounding: -0 stays -0.
    """
    return x
