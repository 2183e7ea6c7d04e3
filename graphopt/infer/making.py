"""Types of operators that make tensors out of sizes and numbers, or tell of shapes."""

from __future__ import annotations

from math import ceil

import numpy as np

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integer, one, shape_of, tensor
from graphopt.infer.elements import elements
from graphopt.infer.shapes import ceil_divide, is_size, maximum, subtract
from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.schema.spelling import neutral_attribute


def constant(node: Node) -> Types:
    """Constant: what its value is."""
    held = node.output.tensor
    if held is None:
        value = node.attributes.get("value")
        held = value.value if value is not None and isinstance(value.value, Tensor) else None
    if held is None:
        raise TooHard
    return one(held.dtype, held.shape)


def constant_of_shape(node: Node) -> Types:
    """ConstantOfShape(shape): the element type of `value`, float32 when there is none."""
    value = node.attributes.get("value")
    if value is not None and not isinstance(value.value, Tensor):
        raise NotKnown
    dtype = value.value.dtype if value is not None and isinstance(value.value, Tensor) else DType.float32
    return one(dtype, sizes_in(node.input(0)))


def sizes_in(value: Value | None) -> Shape | None:
    """The shape that an input holds as its elements, none of which may be below 0; unknown sizes where only their number is known."""
    held = elements(value)
    if held is None:
        length = shape_of(value)
        return (None,) * length[0] if length is not None and len(length) == 1 and isinstance(length[0], int) else None
    if any(isinstance(entry, int) and entry < 0 for entry in held):
        raise NotKnown
    return held


def shape(node: Node) -> Types:
    """Shape(x): a vector as long as the rank."""
    value = node.input(0)
    known = shape_of(value)
    if known is None:
        return one(DType.int64, (None,))
    end = neutral_attribute(node, "end")
    if end is not None and not isinstance(end, int):
        raise NotKnown
    return one(DType.int64, (len(known[slice(integer(node, "start"), end)]),))


def size(node: Node) -> Types:
    """Size(x): a scalar."""
    return one(DType.int64, ())


def range_(node: Node) -> Types:
    """Range(start, limit, delta): a vector of max((limit - start) / delta rounded up, 0) numbers."""
    dtype = data(node).dtype
    if dtype.is_float:
        return one(dtype, (_float_steps(node, dtype),))
    bounds = [elements(value) for value in node.inputs]
    if any(bound is None or len(bound) != 1 for bound in bounds):
        return one(dtype, (None,))
    start, limit, delta = (bound[0] if bound else None for bound in bounds)
    if not isinstance(delta, int) or delta == 0:
        return one(dtype, (None,))
    distance = subtract(limit, start) if delta > 0 else subtract(start, limit)
    return one(dtype, (ceil_divide(distance if is_size(distance) else maximum(distance, 0), abs(delta)),))


def _float_steps(node: Node, dtype: DType) -> Size:
    """How many numbers a Range of constant floats has, when the precision of the difference does not matter."""
    held = [None if value is None else value.const for value in node.inputs]
    if dtype not in (DType.float32, DType.float64):
        return None
    numbers = [tensor.numpy().reshape(-1)[0] for tensor in held if tensor is not None and tensor.size == 1]
    if len(numbers) != 3 or not np.isfinite(numbers).all() or not numbers[2]:
        return None
    start, limit, delta = numbers
    steps = {max(ceil(float(limit - start) / float(delta)), 0), max(ceil((float(limit) - float(start)) / float(delta)), 0)}
    return steps.pop() if len(steps) == 1 else None


def non_zero(node: Node) -> Types:
    """NonZero(x): one row per axis, one column per element found."""
    known = shape_of(node.input(0))
    return one(DType.int64, (len(known) if known else None, None))  # of a scalar: 0 in the operator's text, 1 in runtimes


def one_hot(node: Node) -> Types:
    """OneHot(indices, depth, values): one axis more, of extent depth."""
    indices, depth = shape_of(node.input(0)), elements(node.input(1))
    dtype = tensor(node.input(2)).dtype
    if indices is None:
        return one(dtype, None)
    axis = axis_of(integer(node, "axis"), len(indices) + 1)
    return one(dtype, (*indices[:axis], depth[0] if depth else None, *indices[axis:]))


RULES: dict[str, InferenceRule] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "NonZero": non_zero,
    "OneHot": one_hot,
    "Range": range_,
    "Shape": shape,
    "Size": size,
}
