"""What is never negative, by how it is computed; and what rounding to whole numbers cannot change."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Node, Value
from graphopt.match import FLOATING
from graphopt.patterns.noop import MOST_READ
from graphopt.schema.spelling import has_neutral_form, neutral_inputs

NEVER_NEGATIVE: Final = frozenset({
    "Abs", "Exp", "HardSigmoid", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt",
})  # fmt: skip
# Not negative where their first input is not. The empty maximum is -inf.
KEEPING_SIGN: Final = frozenset({
    "AveragePool", "Expand", "Flatten", "Gather", "GlobalAveragePool", "Identity", "ReduceMean", "ReduceMin", "ReduceSum",
    "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
DEEPEST: Final = 5  # operators that are looked through; a variance and its epsilon are four


def is_nonnegative(value: Value | None, depth: int = DEEPEST) -> bool:
    """Whether every element of a float tensor provably is at least 0 (either zero), or NaN."""
    if value is None or value.dtype not in FLOATING:
        return False
    held = value.const
    if held is not None:
        return held.nbytes <= MOST_READ and not bool((held.numpy().astype(np.float64) < 0).any())
    node = value.producer
    if node is None or not depth or node.domain or not has_neutral_form(node):
        return False
    if node.op in NEVER_NEGATIVE:
        return True
    if node.op in KEEPING_SIGN:
        return is_nonnegative(node.inputs[0], depth - 1)
    return _is_nonnegative_result(node, depth - 1)


def _is_nonnegative_result(node: Node, depth: int) -> bool:
    """Of operators with several operands. Not Div: 1 / -0 is -inf."""
    first, *others = node.inputs
    if node.op == "Mul":
        return first is others[0] or all(is_nonnegative(factor, depth) for factor in node.inputs)
    if node.op in ("Add", "Min", "Sum"):
        return all(is_nonnegative(operand, depth) for operand in node.inputs)
    if node.op == "Max":
        return any(is_nonnegative(operand, depth) for operand in node.inputs)
    if node.op == "Pow":
        exponent = number(others[0])
        return exponent is not None and exponent % 2 == 0
    if node.op == "Clip":
        _, low, high = (*neutral_inputs(node), None, None)[:3]
        least, most = number(low), number(high)
        return least is not None and least >= 0 and (high is None or (most is not None and most >= 0))
    return False


def number(value: Value | None) -> float | None:
    """The one element of a constant of numbers; None when it is none, has more, or is NaN."""
    held = None if value is None else value.const
    if held is None or held.size != 1 or not (held.dtype.is_float or held.dtype.is_integer):
        return None
    found = float(held.numpy().astype(np.float64).reshape(-1)[0])
    return None if np.isnan(found) else found
