"""Repetitions of repetitions, and of single elements. Elements are only copied, so whatever the element type, it is exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Value
from graphopt.match import Declined, Match, any_of, const, op, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.reshape_family import reshapings

MOST_REPEATS: Final = int(np.iinfo(np.int64).max)
x = tensor("x")


@rule(op.Expand(op.Expand(x, const("first")), const("then")), keeps_type=True)
def expand_expand(m: Match, x: Value, first: Value, then: Value) -> Value | Declined:
    """Expand(Expand(x, a), b)  ->  Expand(x, c)                   c: a and b broadcast against each other"""
    one, other = numbers(first), numbers(then)
    if one is None or other is None:
        return m.no("the shapes are not constant")
    rank = max(len(one), len(other))
    pairs = zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other, strict=True)
    shape = [b if a == 1 else a for a, b in pairs]
    return m.op.Expand(x, m.constant(np.array(shape, np.int64), name="shape"))


@rule(op.Tile(op.Tile(x, const("first")), const("then")), keeps_type=True)
def tile_tile(m: Match, x: Value, first: Value, then: Value) -> Value | Declined:
    """Tile(Tile(x, a), b)  ->  Tile(x, a * b)"""
    one, other = numbers(first), numbers(then)
    if one is None or other is None or len(one) != len(other):
        return m.no("the repeats are not constant, or for other ranks")
    repeats = [a * b for a, b in zip(one, other, strict=True)]
    if max(repeats, default=0) > MOST_REPEATS:  # of nothing, that often is possible
        return m.no("{} times {} is more than an int64 holds", first, then)
    return m.op.Tile(x, m.constant(np.array(repeats, np.int64), name="repeats"))


expanded = op.Expand(x, tensor("shape"))


@rule(any_of(*reshapings(expanded, "argument"), op.Transpose(expanded)), keeps_type=True)
def moved_expand(m: Match, x: Value) -> Value | Declined:
    """Unsqueeze(Expand(x, s), axes)  ->  Expand(x, c)             x: one element; c: the result's shape, all numbers

    Squeeze, Reshape, Flatten and Transpose likewise: every element is the same.
    """
    made = m.root.output.shape
    sizes = [size for size in made or () if isinstance(size, int)]
    if x.shape is None or any(size != 1 for size in x.shape):
        return m.no("{} is {}, not provably one element", x, x.type or "of unknown type")
    if made is None or len(sizes) < len(made) or len(sizes) < len(x.shape):
        return m.no("the result's shape is {}, not all numbers, or of a lower rank than {}", made or "unknown", x)
    return m.op.Expand(x, m.constant(np.array(sizes, np.int64), name="shape"))
