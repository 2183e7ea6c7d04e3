"""Contents of what is computed element by element, and of sums, products and extremes along axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TypeAlias

import numpy as np

from graphopt.infer.call import axis_of, integer
from graphopt.infer.elements import Block, Elements, block, elements, filled, mapped, numbers_of
from graphopt.infer.shapes import add, bounds, floor_divide, is_never, maximum, minimum, multiply, product, subtract
from graphopt.ir.algebra import exact_quotient
from graphopt.ir.dim import Dim, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.schema.spelling import neutral_inputs

Contents: TypeAlias = "tuple[Block | Elements | None, ...]"
ContentsRule: TypeAlias = Callable[[Node], Contents]

_LIMITS = {DType.bool: 2, DType.int32: 1 << 31, DType.int64: 1 << 63}


def unary(function: Callable[[Size], Size]) -> ContentsRule:
    """An operator that makes one element of one."""
    return lambda node: (mapped(function, block(node.input(0))),)


def binary(function: Callable[[Size, Size], Size]) -> ContentsRule:
    """An operator that makes one element of two."""


    def rule(node: Node) -> Contents:
        one, other = elements(node.inputs[0]), elements(node.inputs[1])
        if one is not None and other is not None and len(one) == len(other) == 1:  # whatever their ranks
            return ((function(one[0], other[0]),),)
        return (mapped(function, block(node.inputs[0]), block(node.inputs[1])),)

    return rule


def variadic(function: Callable[[Size, Size], Size]) -> ContentsRule:
    """An operator of one or more operands, taken two at a time."""
    return lambda node: (reduce(lambda one, other: mapped(function, one, other), map(block, node.inputs)),)


def divided(a: Size, b: Size) -> Size:
    """Div rounds towards 0: as `floor_divide` does only where neither operand can be negative, or their signs are known."""
    if a is None or b is None or b == 0:
        return None
    if isinstance(b, int):
        if b < 0:
            a, b = -a, -b
        if not isinstance(a, int) and not any(k % b for _, k in a.terms) and not a.constant % b:
            return floor_divide(a, b)
        least, greatest = bounds(a)
        if least is not None and least >= 0:
            return floor_divide(a, b)
        return _negative(floor_divide(-a, b)) if greatest is not None and greatest <= 0 else None
    exact = exact_quotient(a, b)
    return exact if exact is not None else floor_divide(a, b)


def _remainder(node: Node) -> Contents:
    """Mod: the sign of the divisor, or with fmod that of the dividend."""
    function = truncated_remainder if integer(node, "fmod") else floored_remainder
    return (mapped(function, block(node.input(0)), block(node.input(1))),)


def floored_remainder(a: Size, b: Size) -> Size:
    """What floor division leaves: a - b (a // b)."""
    if a is None or b is None or b == 0:
        return None
    if isinstance(b, int) and b < 0:
        return _negative(floored_remainder(-a, -b))
    return subtract(a, multiply(b, floor_divide(a, b)))


def truncated_remainder(a: Size, b: Size) -> Size:
    """What division towards 0 leaves, with the sign of a."""
    if a is None or b is None or b == 0:
        return None
    return subtract(a, multiply(b, divided(a, b)))


def _negative(a: Size) -> Size:
    return None if a is None else -a


def magnitude(a: Size) -> Size:
    """Abs."""
    least, greatest = bounds(a)
    return a if least is not None and least >= 0 else _negative(a) if greatest is not None and greatest <= 0 else None


def sign(a: Size) -> Size:
    """Sign: -1, 0 or 1."""
    if a == 0:
        return 0
    least, greatest = bounds(a)
    return 1 if least is not None and least > 0 else -1 if greatest is not None and greatest < 0 else None


def truth(a: Size) -> Size:
    """Cast to bool: whether it is not 0."""
    return 0 if a == 0 else 1 if is_never(a, 0) else None


def _equal(a: Size, b: Size) -> Size:
    if a is None or b is None:
        return None
    return 1 if a == b else 0 if is_never(a - b, 0) else None


def _less(a: Size, b: Size) -> Size:
    """1 where the greatest difference is below 0, 0 where the least is not."""
    least, greatest = bounds(subtract(a, b))
    return 1 if greatest is not None and greatest < 0 else 0 if least is not None and least >= 0 else None


def _not(a: Size) -> Size:
    return None if a is None else subtract(1, a)


def _and(a: Size, b: Size) -> Size:
    return 0 if 0 in (a, b) else None if a is None or b is None else 1


def _or(a: Size, b: Size) -> Size:
    return 1 if 1 in (a, b) else None if a is None or b is None else 0


def _xor(a: Size, b: Size) -> Size:
    return None if a is None or b is None else int(a != b)


def _chosen(condition: Size, one: Size, other: Size) -> Size:
    if condition is None:
        return one if one == other else None
    return one if condition else other


def _where(node: Node) -> Contents:
    return (mapped(_chosen, *map(block, node.inputs)),)


def _cast(node: Node) -> Contents:
    """Cast and CastLike between integers and bool: a number that does not fit would wrap around; sizes fit."""
    held = block(node.input(0))
    dtype = node.output.dtype
    if dtype is DType.bool:
        return (mapped(truth, held),)
    return (held,)


def fits(size: Size, dtype: DType) -> bool:
    """Whether an element is what the operator computes: a number in the range of the type, or an expression with small numbers in it.

    Sizes are taken to fit, also when they are multiplied with numbers up to the square root of the type's range.
    """
    limit = _LIMITS[dtype]
    if isinstance(size, Dim):
        small = 1 << 31 if dtype is DType.int64 else 1 << 24
        return -small < size.constant < small and all(-small < coefficient < small for _, coefficient in size.terms)
    return size is None or -limit <= size < limit


def _reduced(fold: Callable[[list[Size]], Size]) -> ContentsRule:
    def rule(node: Node) -> Contents:
        held = block(node.input(0))
        inputs = neutral_inputs(node)
        axes = () if len(inputs) < 2 or inputs[1] is None else numbers_of(inputs[1])
        if not axes and integer(node, "noop_with_empty_axes"):
            return (held,)
        gone = sorted({axis_of(axis, held.ndim) for axis in axes}) or list(range(held.ndim))
        kept = [axis for axis in range(held.ndim) if axis not in gone]
        shape = tuple(held.shape[axis] for axis in kept)
        count = int(np.prod([held.shape[axis] for axis in gone], dtype=int))
        rows = np.transpose(held, kept + gone).reshape(*shape, count).reshape(-1, count) if held.size else None
        results = [fold(row.tolist()) for row in rows] if rows is not None else [fold([])] * int(np.prod(shape, dtype=int))
        if integer(node, "keepdims"):
            shape = tuple(1 if axis in gone else extent for axis, extent in enumerate(held.shape))
        return (filled(results, shape),)

    return rule


def _sum(held: list[Size]) -> Size:
    total: Size = 0
    for element in held:
        total = add(total, element)
    return total


def _smallest(held: list[Size]) -> Size:
    return reduce(minimum, held) if held else None  # of nothing: what a runtime makes of it


def _largest(held: list[Size]) -> Size:
    return reduce(maximum, held) if held else None


def _running_sum(node: Node) -> Contents:
    """CumSum along an axis, from either end, with or without the element itself."""
    held = block(node.input(0)).copy()
    axis = axis_of(numbers_of(node.input(1))[0], held.ndim)
    exclusive = integer(node, "exclusive")
    lanes = np.moveaxis(held, axis, 0)
    lanes = lanes[::-1] if integer(node, "reverse") else lanes
    total = np.full(lanes.shape[1:], 0, dtype=object)
    for place in range(len(lanes)):
        before, total = total, mapped(add, total, lanes[place, ...])
        lanes[place, ...] = before if exclusive else total
    return (held,)


def _clip(node: Node) -> Contents:
    """Clip(x, min, max): the lower bound first, so that the upper one wins."""
    held, *limits = neutral_inputs(node)
    made = block(held)
    for limit, function in zip(limits, (maximum, minimum), strict=False):
        if limit is not None:
            made = mapped(function, made, block(limit))
    return (made,)


RULES: dict[str, ContentsRule] = {
    "Abs": unary(magnitude),
    "Add": binary(add),
    "And": binary(_and),
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "CumSum": _running_sum,
    "Div": binary(divided),
    "Equal": binary(_equal),
    "Greater": binary(lambda a, b: _less(b, a)),
    "GreaterOrEqual": binary(lambda a, b: _not(_less(a, b))),
    "Less": binary(_less),
    "LessOrEqual": binary(lambda a, b: _not(_less(b, a))),
    "Max": variadic(maximum),
    "Min": variadic(minimum),
    "Mod": _remainder,
    "Mul": binary(multiply),
    "Neg": unary(_negative),
    "Not": unary(_not),
    "Or": binary(_or),
    "ReduceMax": _reduced(_largest),
    "ReduceMin": _reduced(_smallest),
    "ReduceProd": _reduced(product),
    "ReduceSum": _reduced(_sum),
    "Sign": unary(sign),
    "Sub": binary(subtract),
    "Where": _where,
    "Xor": binary(_xor),
}
