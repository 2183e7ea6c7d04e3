"""What quantization has to know of an operator: which inputs move, which constants are carried, whether order matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np

from graphopt.ir import Graph, Node, Tensor, Value
from graphopt.ir.tensor import Array
from graphopt.quantization.flow import Flow, Part, Shapes, Unclear, dropped, new_axis, repeated, unchanged, unclear
from graphopt.schema.spelling import UNKNOWN, neutral_attribute, neutral_inputs

Flows: TypeAlias = Callable[[Shapes], Sequence[Flow]]
Form: TypeAlias = "Callable[[Node, Mapping[int, Value], Mapping[int, Tensor], Graph], list[Node]]"


@final
@dataclass(frozen=True, slots=True)
class Carried:
    """A constant that takes part, in an input slot of the integer form.

    A fill is one element that stands at some places; otherwise it is an operand that broadcasts against the result. `is_raw`: the
    operator writes 0, whatever its type.
    """

    slot: int
    elements: Array
    is_fill: bool = False
    is_raw: bool = False


@final
@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator that passes on elements of its `data` inputs, or says which of them is greater.

    `results` hold such elements; what the `strict` ones hold depends on which elements are equal. `is_ordered`: elements are compared, or
    signs of zeros get lost, so that scales must be positive. `lowest` says in words when an element may be made of none, and is the lowest
    number then. `form` writes the integer form where that is not the same operator.
    """

    data: tuple[int, ...]
    flows: Flows
    results: tuple[int, ...] = (0,)
    strict: tuple[int, ...] = ()
    carried: tuple[Carried, ...] = ()
    is_ordered: bool = False
    lowest: str = ""
    form: Form | None = None


Rule: TypeAlias = Callable[[Node], Call]
NOTHING: Final[tuple[Flow, ...]] = ()


def attribute(node: Node, name: str) -> Any:  # Any: as many kinds as attributes have
    """What an attribute means. Raises Unclear when a function's caller supplies it."""
    found = neutral_attribute(node, name)
    if found is UNKNOWN:
        raise Unclear(f"{name} is the caller's")
    return found


def operand(node: Node, slot: int) -> Value | None:
    """An input, as the newest opset has it."""
    inputs = neutral_inputs(node)
    return inputs[slot] if slot < len(inputs) else None


def elements(node: Node, slot: int) -> Array | None:
    """The elements of a constant input; None when it is absent or not constant."""
    found = operand(node, slot)
    return None if found is None or found.const is None else found.const.numpy()


def integers(node: Node, slot: int) -> tuple[int, ...] | None:
    """The elements of a constant input, in their order; None when it is absent or not constant."""
    found = elements(node, slot)
    return None if found is None else tuple(int(element) for element in found.reshape(-1))


def rank_of(node: Node, slot: int = 0) -> int:
    """The rank of an input. Raises Unclear."""
    found = operand(node, slot)
    if found is None or found.rank is None:
        raise Unclear(f"the rank of {found!r} is not known")
    return found.rank


def axis_of(node: Node, rank: int, name: str = "axis") -> int:
    """An axis, counted from the front. Raises Unclear."""
    found = attribute(node, name)
    if not isinstance(found, int) or not -rank <= found < rank:
        raise Unclear(f"{name} is no axis of {rank}")
    return found % rank


def is_read(node: Node, output: int) -> bool:
    """Whether anybody reads an output."""
    return output < len(node.outputs) and bool(node.outputs[output].users)


def broadcast(shapes: Shapes, slot: int, output: int = 0) -> Flow:
    """An operand against a result that it is broadcast to."""
    sizes, results = shapes.input(slot), shapes.output(output)
    extra = len(results) - len(sizes)
    parts = [new_axis(axis, results) for axis in range(extra)]
    for axis, size in enumerate(sizes):
        given = axis + extra
        if size == results[given] or (isinstance(size, int) and size > 1):
            parts.append(unchanged(axis, given, sizes, results))
        elif size == 1:
            parts.append(repeated(axis, given, results))
        else:
            parts.append(unclear((axis,), (given,), f"axis {axis} of {shapes.node.inputs[slot]!r} may be broadcast or not"))
    return Flow(slot, output, tuple(parts))


def elementwise(slots: Sequence[int] = (0,)) -> Flows:
    """Each result is made of elements at its own place."""
    return lambda shapes: [broadcast(shapes, slot) for slot in slots]


def nothing(shapes: Shapes) -> Sequence[Flow]:
    """No element of the result is one of an operand."""
    return NOTHING


def same(shapes: Shapes, slot: int = 0, output: int = 0, *, without: Sequence[int] = ()) -> list[Part]:
    """The parts for axes that stay as and where they are."""
    sizes, results = shapes.input(slot), shapes.output(output)
    return [unchanged(axis, axis, sizes, results) for axis in range(len(sizes)) if axis not in without]


def branches(node: Node, slots: Sequence[int]) -> tuple[tuple[int, ...], tuple[Carried, ...]]:
    """Which of some inputs move, and which are constants that are carried."""
    held = {slot: elements(node, slot) for slot in slots}
    moving = tuple(slot for slot, found in held.items() if found is None)
    if not moving:
        raise Unclear("all that it reads is constant")
    return moving, tuple(Carried(slot, found) for slot, found in held.items() if found is not None)


def zero_like(node: Node, slot: int = 0) -> Array:
    """A scalar 0 of an input's element type. Raises Unclear."""
    found = operand(node, slot)
    if found is None or found.dtype is None:
        raise Unclear(f"the element type of {found!r} is not known")
    return np.zeros((), found.dtype.numpy)


def without_axes(shapes: Shapes, axes: Sequence[int], *, keeps: bool, mix: Callable[[Sequence[int], Sequence[int]], Part]) -> Flow:
    """All axes stay but some, whose elements come together in one."""
    sizes, results = shapes.input(0), shapes.output(0)
    parts: list[Part] = []
    given = 0
    for axis in range(len(sizes)):
        if axis not in axes:
            parts.append(unchanged(axis, given, sizes, results))
            given += 1
        elif sizes[axis] == 1 and not keeps:
            parts.append(dropped(axis))
        else:
            parts.append(mix((axis,), (given,) if keeps else ()))
            given += keeps
    return Flow(0, 0, tuple(parts))
