"""The contents of small integer tensors, as far as they follow from shapes: what `Shape -> Gather -> Concat` chains compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from graphopt.infer.shapes import add, multiply, product
from graphopt.ir.dim import Dim, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType
from graphopt.schema.facts import of_node
from graphopt.schema.spelling import UNKNOWN, neutral_attribute, neutral_inputs
from graphopt.schema.versions import OLDEST

Elements: TypeAlias = tuple[Size, ...]

_MOST = 64  # longer vectors are no shapes
_DEEPEST = 40  # producers in a row; chains in exported models are shorter


def elements(value: Value | None) -> Elements | None:
    """The elements of a tensor of integers (or bool, as 0 and 1) in row-major order; None where one, or how many, is not known.

    Numbers come from constants, symbols from shapes. Sizes are taken to fit into 32 bits where a model casts them.
    """
    return None if value is None else _elements(value, {}, 0)


def constant_ints(value: Value | None) -> tuple[int, ...] | None:
    """All elements of a small tensor of integers, when every one is a known number."""
    held = elements(value)
    if held is None:
        return None
    numbers = tuple(element for element in held if isinstance(element, int))
    return numbers if len(numbers) == len(held) else None


def _elements(value: Value, seen: dict[Value, Elements | None], depth: int) -> Elements | None:
    tensor = value.const
    if tensor is not None:
        return _of_tensor(tensor)
    if value in seen:
        return seen[value]
    node = value.producer
    rule = None if node is None or node.domain else _RULES.get(node.op)
    if rule is None or node is None or depth > _DEEPEST or value.dtype not in _KINDS:
        return None
    if of_node(node) is None or (node.opset or 0) < OLDEST:
        return None
    seen[value] = None
    found = rule(node, lambda other: None if other is None else _elements(other, seen, depth + 1))
    if found is not None:
        limit = 1 << 31 if value.dtype is DType.int32 else 1 << 63  # beyond it the operator would wrap around
        kept = tuple(None if isinstance(size, int) and not -limit <= size < limit else size for size in found)
        found = kept if len(kept) <= _MOST else None
    seen[value] = found
    return found


def _of_tensor(tensor: Tensor) -> Elements | None:
    if tensor.size > _MOST or tensor.dtype not in _KINDS:
        return None
    return tuple(map(int, tensor.numpy().reshape(-1).tolist()))


Look: TypeAlias = Callable[["Value | None"], "Elements | None"]

_KINDS = frozenset({DType.int64, DType.int32, DType.bool})


def _shape(node: Node, look: Look) -> Elements | None:
    data = node.input(0)
    if data is None or data.shape is None:
        return None
    start, end = _attribute(node, "start"), _attribute(node, "end")
    if start is UNKNOWN or end is UNKNOWN:
        return None
    return data.shape[slice(start, end)]


def _size(node: Node, look: Look) -> Elements | None:
    data = node.input(0)
    return None if data is None or data.shape is None else (product(data.shape),)


def _same(node: Node, look: Look) -> Elements | None:
    return look(node.input(0))


def _gather(node: Node, look: Look) -> Elements | None:
    data, indices = node.input(0), node.input(1)
    held, chosen = look(data), look(indices)
    if data is None or data.rank != 1 or held is None or chosen is None or _attribute(node, "axis") not in (0, -1):
        return None
    if not all(isinstance(index, int) and -len(held) <= index < len(held) for index in chosen):
        return None
    return tuple(held[index] for index in chosen if isinstance(index, int))


def _concat(node: Node, look: Look) -> Elements | None:
    joined: list[Size] = []
    for value in node.inputs:
        held = look(value)
        if held is None or value is None or value.rank != 1:
            length = None if value is None or value.shape is None or len(value.shape) != 1 else value.shape[0]
            if not isinstance(length, int) or length > _MOST:
                return None
            held = (None,) * length
        joined.extend(held)
    return tuple(joined)


def _slice(node: Node, look: Look) -> Elements | None:
    inputs = neutral_inputs(node)
    held = look(inputs[0])
    if held is None or inputs[0] is None or inputs[0].rank != 1:
        return None
    bounds: list[Size] = []
    for value in inputs[1:]:
        bound = (1,) if value is None else look(value)  # absent: the only axis, every element
        if bound is None or len(bound) != 1:
            return None
        bounds.append(bound[0])
    start, end, step = bounds[0], bounds[1], bounds[3] if len(bounds) > 3 else 1
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int)) or step == 0:
        return None
    return held[start:end:step]


def _binary(combine: Callable[[Size, Size], Size]) -> Callable[[Node, Look], Elements | None]:
    def rule(node: Node, look: Look) -> Elements | None:
        a, b = look(node.input(0)), look(node.input(1))
        if a is None or b is None:
            return None
        if any(value is None or value.rank is None or value.rank > 1 for value in node.inputs):
            return None
        if len(a) != len(b):
            if len(a) != 1 and len(b) != 1:
                return None
            a, b = a * len(b) if len(a) == 1 else a, b * len(a) if len(b) == 1 else b
        return tuple(combine(one, other) for one, other in zip(a, b, strict=True))

    return rule


def _subtract(a: Size, b: Size) -> Size:
    return None if a is None or b is None else a - b


def _divide(a: Size, b: Size) -> Size:
    """Integer division where it is exact, or both numbers are such that every way of rounding agrees."""
    if not isinstance(b, int) or b == 0 or a is None:
        return None
    if isinstance(a, int):
        return a // b if a % b == 0 or (a >= 0 and b > 0) else None
    if a.constant % b or any(factor % b for _, factor in a.terms):
        return None
    return Dim.make({name: factor // b for name, factor in a.terms}, a.constant // b)


def _equal(a: Size, b: Size) -> Size:
    if a is None or b is None:
        return None
    if a == b:
        return 1
    difference = a - b
    if isinstance(difference, int):
        return 0
    signs = {factor > 0 for _, factor in difference.terms}
    if len(signs) == 1 and difference.constant and (difference.constant > 0) in signs:
        return 0  # symbols are sizes, never below 0: a sum of one sign is not 0
    return None


def _where(node: Node, look: Look) -> Elements | None:
    condition, a, b = (look(value) for value in node.inputs)
    if condition is None or a is None or b is None:
        return None
    length = max(len(condition), len(a), len(b))
    if any(value is None or value.rank is None or value.rank > 1 for value in node.inputs):
        return None
    if {len(condition), len(a), len(b)} - {1, length}:
        return None
    rows = zip(*(held * length if len(held) == 1 else held for held in (condition, a, b)), strict=True)
    return tuple(one if chosen == 1 or one == other else other if chosen == 0 else None for chosen, one, other in rows)


def _filled(node: Node, look: Look) -> Elements | None:
    sizes = look(node.input(0))
    value = node.attributes.get("value")
    if sizes is None or (value is not None and not isinstance(value.value, Tensor)):
        return None
    count = product(sizes)
    if not isinstance(count, int) or count > _MOST:
        return None
    held = _of_tensor(value.value) if value is not None and isinstance(value.value, Tensor) else None
    return None if held is None else held * count


def _reduce_product(node: Node, look: Look) -> Elements | None:
    data, held = node.input(0), look(node.input(0))
    if held is None or data is None or data.rank != 1 or _attribute(node, "noop_with_empty_axes") != 0:
        return None
    return (product(held),)


def _attribute(node: Node, name: str) -> Any:  # Any: as many kinds as attributes have
    return neutral_attribute(node, name)


def _cast(node: Node, look: Look) -> Elements | None:
    data = node.input(0)
    if data is None or data.dtype not in (DType.int32, DType.int64) or not isinstance(node.output.type, TensorType):
        return None
    held = look(data)
    if held is None or node.output.type.dtype is DType.bool:
        return None
    if any(isinstance(element, int) and not -(1 << 31) <= element < 1 << 31 for element in held):
        return None
    return held


_RULES: dict[str, Callable[[Node, Look], Elements | None]] = {
    "Add": _binary(add),
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Div": _binary(_divide),
    "Equal": _binary(_equal),
    "Gather": _gather,
    "Identity": _same,
    "Mul": _binary(multiply),
    "ReduceProd": _reduce_product,
    "Reshape": _same,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Squeeze": _same,
    "Sub": _binary(_subtract),
    "Unsqueeze": _same,
    "Where": _where,
}
