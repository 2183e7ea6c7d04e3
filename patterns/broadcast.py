"""Operands that are made bigger, though the operator that reads them would broadcast them anyway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from graphopt.ir import Tensor, Value
from graphopt.match import Call, Declined, Match, Operand, any_of, attr, op, rule, tensor
from graphopt.schema.traits import COMMUTATIVE, ELEMENTWISE_BINARY

# Not Mean, of which onnx's own evaluator broadcasts the first operand to nothing bigger.
BINARY: Final = tuple(sorted(ELEMENTWISE_BINARY - {"Mean"}))

x, y, z = tensor("x"), tensor("y"), tensor("z")


def readers(operand: Operand) -> Iterator[Call]:
    """The pattern of each broadcasting operator that reads an operand.

    Not Where's condition: a runtime that fuses attention looks for the Expand of the mask there.
    """
    for name in BINARY:
        build = op[name]
        yield build(operand, y)
        if name not in COMMUTATIVE:
            yield build(y, operand)
    yield op.Where(z, operand, y)
    yield op.Where(z, y, operand)


expanded = op.Expand(x, tensor("shape")).kept().named("grown")
filled = op.ConstantOfShape(tensor("shape"), value=attr("value")).kept().named("grown")


@rule(any_of(*readers(expanded)))
def binary_of_expand(m: Match, x: Value) -> Value:
    """Add(Expand(x, shape), y)  ->  Add(x, y)         each operator that broadcasts, and Where: y alone gives the result its shape"""
    return with_operand(m, x)


@rule(any_of(*readers(filled)))
def binary_of_filled(m: Match, value: Tensor | None) -> Value | Declined:
    """Add(ConstantOfShape(shape), y)  ->  Add(k, y)   k: the one number; y alone gives the result its shape"""
    if value is None:
        return with_operand(m, m.constant(np.zeros((), np.float32), name="filled"))
    return with_operand(m, m.constant(value.numpy().reshape(()), value.dtype, name="filled"))


def with_operand(m: Match, operand: Value) -> Value:
    """The root with an operand in the place of what was grown from it; that its shape stays is for the engine to find out."""
    grown = m.bindings["grown"].output
    return m.op[m.root.op_type](*(operand if value is grown else value for value in m.root.inputs), **m.root.attributes)
