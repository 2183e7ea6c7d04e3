"""Operands that change nothing: a factor of 1, a term of 0, true for And."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Value
from graphopt.ir.tensor import Array
from graphopt.match import FLOATING, INTEGERS, NUMERIC, Declined, Match, any_of, const, op, rule, tensor
from graphopt.match.conditions import broadcasts_into
from graphopt.patterns.noop import all_one, all_zero

x = tensor("x")


def all_negative_zero(array: Array) -> bool:
    """Whether every element is -0.0."""
    wide = array.astype(np.float64)
    return bool((wide == 0).all() and np.signbit(wide).all())


def all_positive_zero(array: Array) -> bool:
    """Whether every element is +0.0."""
    wide = array.astype(np.float64)
    return bool((wide == 0).all() and not np.signbit(wide).any())


def unless_wider(m: Match, x: Value, c: Value) -> Value | Declined:
    """x, when to broadcast it with c does not make it bigger."""
    shape = c.shape or ()
    is_narrow = all(size == 1 for size in shape) and (not shape or (x.rank is not None and len(shape) <= x.rank))
    if is_narrow or (x.shape is not None and broadcasts_into(shape, x.shape)):
        return x
    return m.no("{} may be broadcast to the shape of {}", x, c.type)


ones = const("c", where=all_one)


@rule(any_of(op.Mul(x, ones), op.Div(x, ones)), dtype=NUMERIC, keeps_type=True)
def times_one(m: Match, x: Value, c: Value) -> Value | Declined:
    """Mul(x, 1)  ->  x                            Div(x, 1) likewise; every element exactly 1, and x no smaller than c."""
    return unless_wider(m, x, c)


@rule(op.Pow(x, ones), dtype=FLOATING, keeps_type=True)
def to_the_power_of_one(m: Match, x: Value, c: Value) -> Value | Declined:
    """Pow(x, 1)  ->  x                            floats; of big integers some runtimes lose digits, because they compute in floats."""
    return unless_wider(m, x, c)


@rule(any_of(op.Add(x, const("c", where=all_zero)), op.Sub(x, const("c", where=all_zero))), dtype=INTEGERS, keeps_type=True)
def plus_zero(m: Match, x: Value, c: Value) -> Value | Declined:
    """Add(x, 0)  ->  x                            Sub(x, 0) likewise; integers."""
    return unless_wider(m, x, c)


@rule(
    any_of(op.Add(x, const("c", where=all_negative_zero)), op.Sub(x, const("c", where=all_positive_zero))),
    dtype=FLOATING,
    keeps_type=True,
)
def plus_negative_zero(m: Match, x: Value, c: Value) -> Value | Declined:
    """Add(x, -0.0)  ->  x                         Sub(x, +0.0) likewise; x + 0.0 would make +0 of -0."""
    return unless_wider(m, x, c)


@rule(
    any_of(
        op.And(x, const("c", where=all_one)),
        op.Or(x, const("c", where=all_zero)),
        op.Xor(x, const("c", where=all_zero)),
    ),
    keeps_type=True,
)
def and_true(m: Match, x: Value, c: Value) -> Value | Declined:
    """And(x, true)  ->  x                         Or(x, false) and Xor(x, false) likewise."""
    return unless_wider(m, x, c)


@rule(op.Not(op.Not(x).kept()), keeps_type=True)
def not_not(m: Match, x: Value) -> Value:
    """Not(Not(x))  ->  x"""
    return x
