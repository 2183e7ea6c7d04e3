"""Pairs of operators that only say the shape anew, as one Reshape. Elements keep their order: whatever their type, it is exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Value
from graphopt.match import Call, Declined, Match, Pattern, any_of, op, opt, rule, tensor
from graphopt.patterns.shape_arguments import target_of

RESHAPING: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def reshapings(operand: Pattern, argument: str) -> tuple[Call, ...]:
    """The patterns of all operators that only say the shape of this operand anew; `argument` names their second input."""
    given = tensor(argument)
    return op.Reshape(operand, given), op.Squeeze(operand, opt(given)), op.Unsqueeze(operand, given), op.Flatten(operand)


inner = any_of(*reshapings(tensor("x"), "between"))


@rule(any_of(*reshapings(inner, "last")), keeps_type=True)
def reshaped_twice(m: Match, x: Value) -> Value | Declined:
    """Unsqueeze(Reshape(x, s), axes)  ->  Reshape(x, c)            Reshape, Squeeze, Unsqueeze and Flatten in every pair

    c: numbers; 0 for a dimension of x that stays at its place; at most one -1, where no other dimension can be 0. A vector that comes
    out as a vector is x.
    """
    shape = m.root.output.shape
    if x.rank == 1 and shape is not None and len(shape) == 1:
        return x
    return in_shape(m, x)


def in_shape(m: Match, x: Value) -> Value | Declined:
    """x by one Reshape in the shape of the result, which holds as many elements."""
    shape = m.root.output.shape
    if shape is None or x.shape is None:
        return m.no("the shape of {} or of the result is unknown", x)
    target = target_of(x.shape, (None,) * len(shape), shape, None, m.graph.model.positive)
    return m.no(target) if isinstance(target, str) else m.op.Reshape(x, m.constant(np.array(target, np.int64), name="shape"))


@rule(op.Flatten(tensor("x")), keeps_type=True)
def flatten_to_reshape(m: Match, x: Value) -> Value | Declined:
    """Flatten<axis>(x)  ->  Reshape(x, c)                          c: numbers, 0 and at most one -1, as in reshaped-twice"""
    return in_shape(m, x)
