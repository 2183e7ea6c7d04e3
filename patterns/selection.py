"""Where whose condition is known, whose branches are equal, or that only combines conditions."""

from __future__ import annotations

from graphopt.ir import DType, Value
from graphopt.match import Declined, Match, any_of, op, rule, tensor
from graphopt.patterns.neutral import unless_wider
from graphopt.patterns.noop import MOST_READ, same_shape
from graphopt.schema import facts

x, y, c = tensor("x"), tensor("y"), tensor("c")


def is_true(value: Value) -> bool:
    """Whether a condition is constant and true everywhere."""
    return decision(value) is True


def is_false(value: Value) -> bool:
    """Whether a condition is constant and false everywhere."""
    return decision(value) is False


def is_decided(value: Value) -> bool:
    """Whether a condition is constant and the same everywhere."""
    return decision(value) is not None


def decision(value: Value) -> bool | None:
    """What a constant condition is everywhere; None when it is not, or is not known to be."""
    held = value.const
    if held is None or held.dtype is not DType.bool or not 0 < held.nbytes <= MOST_READ:
        return None
    elements = held.numpy()
    return True if elements.all() else None if elements.any() else False


yes, no = tensor("k", where=is_true), tensor("k", where=is_false)


@rule(op.Where(tensor("c", where=is_decided), x, y), keeps_type=True, exactness="rounding")
def where_decided(m: Match, c: Value, x: Value, y: Value) -> Value | Declined:
    """Where(true, x, y)  ->  x                        Where(false, x, y)  ->  y; neither c nor the other makes it bigger      rounding

    Of a -0 in x onnxruntime's Where makes +0.
    """
    taken, left = (x, y) if is_true(c) else (y, x)
    return alone(m, taken, c, left)


@rule(op.Where(c, x, x), keeps_type=True, exactness="rounding")
def where_same(m: Match, c: Value, x: Value) -> Value | Declined:
    """Where(c, x, x)  ->  x                           c does not make it bigger                       rounding: of -0 Where may make +0

    Not when c is drawn at random: with its last reader the draw would go, and whoever draws after it from the same generator
    would get other numbers.
    """
    if c.producer is not None and not facts.is_deterministic(c.producer):
        return m.no("{} is drawn at random: draws after it would be others", c)
    return alone(m, x, c)


@rule(any_of(op.Where(c, yes, y), op.Where(c, x, no)), dtype=DType.bool, keeps_type=True)
def where_true(m: Match, c: Value, k: Value, x: Value | None, y: Value | None) -> Value | Declined:
    """Where(c, true, y)  ->  Or(c, y)                 Where(c, x, false)  ->  And(c, x); the constant does not make it bigger"""
    other = y if x is None else x
    if other is None or all(isinstance(unless_wider(m, value, k), Declined) for value in (c, other)):
        return m.no("{} may be broadcast to the shape of {}", other, k.type)
    build = m.op.Or if x is None else m.op.And
    return build(c, other)


@rule(any_of(op.Where(c, yes, tensor("j", where=is_false)), op.Where(c, no, tensor("j", where=is_true))), dtype=DType.bool, keeps_type=True)
def where_true_false(m: Match, c: Value, k: Value, j: Value) -> Value | Declined:
    """Where(c, true, false)  ->  c                    Where(c, false, true)  ->  Not(c); the constants do not make it bigger"""
    found = alone(m, c, k, j)
    return found if is_true(k) or isinstance(found, Declined) else m.op.Not(c)


@rule(op.Where(c, x, y), dtype=DType.bool)
def where_to_logic(m: Match, c: Value, x: Value, y: Value) -> Value:
    """Where(c, x, y)  ->  Or(And(c, x), And(Not(c), y))           of bool, for runtimes that select no bool"""
    return m.op.Or(m.op.And(c, x), m.op.And(m.op.Not(c), y))


def alone(m: Match, taken: Value, *others: Value) -> Value | Declined:
    """A value, when broadcasting with the others does not make it bigger."""
    if same_shape(taken, m.root.output):
        return taken
    return next((found for other in others if isinstance(found := unless_wider(m, taken, other), Declined)), taken)
