"""How the operators that move elements do it: the parts of each, in the spelling of the newest opset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from graphopt.ir import Dim, Graph, Node, Size, Tensor, Value
from graphopt.ir.tensor import Array
from graphopt.quantization.call import (
    Call,
    Carried,
    Rule,
    attribute,
    axis_of,
    branches,
    elements,
    elementwise,
    integers,
    is_read,
    nothing,
    operand,
    rank_of,
    same,
    zero_like,
)
from graphopt.quantization.flow import (
    MISSING,
    Flow,
    Part,
    Shapes,
    Unclear,
    chosen,
    dropped,
    joint,
    mixed,
    new_axis,
    number,
    unchanged,
    unclear,
)
from graphopt.schema import facts
from graphopt.schema.spelling import spell


def _identity(node: Node) -> Call:
    return Call((0,), elementwise())


def _dropout(node: Node) -> Call:
    if not facts.is_deterministic(node) or is_read(node, 1):
        raise Unclear("it may be training, or its mask is read")
    return Call((0,), elementwise(), form=_as_identity)


def _as_identity(node: Node, operands: Mapping[int, Value], constants: Mapping[int, Tensor], graph: Graph) -> list[Node]:
    return [spell("Identity", (operands[0],), {}, graph)]


def _transpose(node: Node) -> Call:
    given = attribute(node, "perm")

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        perm = given if given is not None else range(len(sizes))[::-1]
        return [Flow(0, 0, tuple(unchanged(axis, index, sizes, results) for index, axis in enumerate(perm)))]

    return Call((0,), flows)


# ---- other shapes for the same elements in the same order


def _reshape(node: Node) -> Call:
    return Call((0,), lambda shapes: [Flow(0, 0, tuple(regrouped(shapes.input(0), shapes.output(0))))])


def regrouped(sizes: Sequence[Size], results: Sequence[Size]) -> list[Part]:
    """The parts of a Reshape: axes that stay, and the smallest groups whose extents are as many elements before as after."""
    parts: list[Part] = []
    end, last = len(sizes), len(results)
    while end and last and _same(sizes[end - 1], results[last - 1]) and sizes[end - 1] != 0:
        end, last = end - 1, last - 1
        parts.append(unchanged(end, last, sizes, results))
    taken, given = 0, 0
    while taken < end or given < last:
        if taken < end and given < last and _same(sizes[taken], results[given]) and sizes[taken] != 0:
            parts.append(unchanged(taken, given, sizes, results))
            taken, given = taken + 1, given + 1
        elif given < last and results[given] == 1:
            parts.append(new_axis(given, results))
            given += 1
        elif taken < end and sizes[taken] == 1:
            parts.append(dropped(taken))
            taken += 1
        else:
            stop, until = _group(sizes, results, taken, given, end, last)
            parts.append(_merged(tuple(range(taken, stop)), tuple(range(given, until)), sizes, results))
            taken, given = stop, until
    return parts


def _same(one: Size, other: Size) -> bool:
    return one is not None and one == other


def _group(sizes: Sequence[Size], results: Sequence[Size], taken: int, given: int, end: int, last: int) -> tuple[int, int]:
    """Where the next group of axes with as many elements on both sides ends; all that is left where none is found."""
    before: int | Dim | None = 1
    for stop in range(taken + 1, end + 1):
        before = _times(before, sizes[stop - 1])
        after: int | Dim | None = 1
        for until in range(given + 1, last + 1):
            after = _times(after, results[until - 1])
            if before is not None and before == after and before != 0 and (stop, until) != (end, last):
                return stop, until
    return end, last


def _times(product: int | Dim | None, size: Size) -> int | Dim | None:
    return None if product is None or size is None else product * size


def _merged(takes: tuple[int, ...], gives: tuple[int, ...], sizes: Sequence[Size], results: Sequence[Size]) -> Part:
    def move(places: Array) -> Array:
        wanted = [number(results[axis], f"axis {axis} of the result") for axis in gives]
        if places.size != int(np.prod(wanted, dtype=np.int64)):
            raise Unclear("the extents before and after are not as many elements")
        return places.reshape(wanted)

    return joint(takes, gives, sizes, move)


def _depth(node: Node) -> Call:
    """DepthToSpace and SpaceToDepth."""
    block, mode = attribute(node, "blocksize"), attribute(node, "mode")

    def to_space(places: Array) -> Array:
        c, h, w = places.shape
        if mode == "CRD":
            blocks = places.reshape(c // block**2, block, block, h, w).transpose(0, 3, 1, 4, 2)
        else:
            blocks = places.reshape(block, block, c // block**2, h, w).transpose(2, 3, 0, 4, 1)
        moved: Array = blocks.reshape(c // block**2, h * block, w * block)
        return moved

    def to_depth(places: Array) -> Array:
        c, h, w = places.shape
        blocks = places.reshape(c, h // block, block, w // block, block).transpose(2, 4, 0, 1, 3)
        moved: Array = blocks.reshape(c * block**2, h // block, w // block)
        return moved

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes = shapes.input(0)
        moved = joint((1, 2, 3), (1, 2, 3), sizes, to_space if node.op == "DepthToSpace" else to_depth)
        return [Flow(0, 0, (unchanged(0, 0, sizes, shapes.output(0)), moved))]

    return Call((0,), flows)


# ---- parts of a tensor


def _slice(node: Node) -> Call:
    starts, ends, axes, steps = (integers(node, slot) for slot in range(1, 5))
    knows_axes = operand(node, 3) is None or axes is not None

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes = shapes.input(0)
        if not knows_axes:
            why = "which axes are cut is not known"
            return [Flow(0, 0, tuple(unclear((axis,), (axis,), why) for axis in range(len(sizes))))]
        along = [axis % len(sizes) for axis in (axes if axes is not None else range(len(starts or sizes)))]
        parts = same(shapes, without=along)
        for index, axis in enumerate(along):
            step = 1 if operand(node, 4) is None else None if steps is None else steps[index]
            if starts is None or ends is None or step is None:
                parts.append(unclear((axis,), (axis,), f"where axis {axis} is cut is not known"))
            else:
                parts.append(_cut(axis, sizes, slice(starts[index], ends[index], step)))
        return [Flow(0, 0, tuple(parts))]

    return Call((0,), flows)


def _cut(axis: int, sizes: Sequence[Size], cut: slice) -> Part:
    return chosen(axis, (axis,), sizes, lambda extent: np.arange(extent)[cut])


def _split(node: Node) -> Call:
    axis, given = axis_of(node, rank_of(node)), integers(node, 1)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes = shapes.input(0)

        def part(output: int) -> Part:
            def places(extent: int) -> Array:
                ends = given or [number(shapes.output(index)[axis], "a part") for index in range(len(node.outputs))]
                first = sum(ends[:output])
                return np.arange(first, first + ends[output])

            return chosen(axis, (axis,), sizes, places, is_partial=True)

        return [Flow(0, output, (*same(shapes, 0, output, without=[axis]), part(output))) for output in range(len(node.outputs))]

    return Call((0,), flows, results=tuple(range(len(node.outputs))))


def _concat(node: Node) -> Call:
    slots = tuple(range(len(node.inputs)))
    axis = axis_of(node, rank_of(node))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        def part(slot: int) -> Part:
            def places(extent: int) -> Array:
                held = [number(shapes.input(other)[axis], f"axis {axis} of an operand") for other in slots]
                found = np.full(sum(held), MISSING)
                found[sum(held[:slot]) : sum(held[: slot + 1])] = np.arange(extent)
                return found

            return chosen(axis, (axis,), shapes.input(slot), places, is_partial=True)

        return [Flow(slot, 0, (*same(shapes, slot, without=[axis]), part(slot))) for slot in slots]

    return Call(slots, flows)


def _compress(node: Node) -> Call:
    condition = elements(node, 1)
    given = attribute(node, "axis")

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes = shapes.input(0)
        if given is None:
            return [Flow(0, 0, (unclear(tuple(range(len(sizes))), (0,), "all axes become one"),))]
        axis = axis_of(node, len(sizes))
        if condition is None:
            part = mixed((axis,), (axis,), sizes, shapes.output(0))
        else:
            part = chosen(axis, (axis,), sizes, lambda extent: np.nonzero(condition.reshape(-1)[:extent])[0])
        return [Flow(0, 0, (*same(shapes, without=[axis]), part))]

    return Call((0,), flows)


# ---- elements once, or several times


def _expand(node: Node) -> Call:
    return Call((0,), elementwise())


def _tile(node: Node) -> Call:
    repeats = integers(node, 1)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        if repeats is None:
            return [Flow(0, 0, tuple(unclear((axis,), (axis,), "the repeats are not constant") for axis in range(len(sizes))))]
        parts = [
            unchanged(axis, axis, sizes, results) if times == 1 else _tiled(axis, sizes, times) for axis, times in enumerate(repeats)
        ]
        return [Flow(0, 0, tuple(parts))]

    return Call((0,), flows)


def _tiled(axis: int, sizes: Sequence[Size], times: int) -> Part:
    return chosen(axis, (axis,), sizes, lambda extent: np.tile(np.arange(extent), times))


def _where(node: Node) -> Call:
    moving, carried = branches(node, (1, 2))
    # onnxruntime adds up what it takes from either branch, which makes 0 of the -0 that dequantizing by a negative scale gives.
    return Call(moving, elementwise(moving), carried=carried, is_ordered=True)


def _reverse_sequence(node: Node) -> Call:
    along = axis_of(node, rank_of(node), "time_axis")

    def flows(shapes: Shapes) -> Sequence[Flow]:
        reversing = mixed((along,), (along,), shapes.input(0), shapes.output(0))
        return [Flow(0, 0, (*same(shapes, without=[along]), reversing))]

    return Call((0,), flows)


def _trilu(node: Node) -> Call:
    # The zeros that it writes are numbers of its own type: those of floats only where the zero point is 0.
    def flows(shapes: Shapes) -> Sequence[Flow]:
        rank = len(shapes.input(0))
        cut = [unclear((axis,), (axis,), "a triangle is cut out", fills=True) for axis in (rank - 2, rank - 1)]
        return [Flow(0, 0, (*same(shapes, without=[rank - 2, rank - 1]), *cut))]

    return Call((0,), flows, carried=(Carried(-1, zero_like(node), is_fill=True, is_raw=True),))


def _shape(node: Node) -> Call:
    return Call((0,), nothing, results=())


RULES: Final[dict[str, Rule]] = {
    "Compress": _compress,
    "Concat": _concat,
    "DepthToSpace": _depth,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _reshape,
    "Identity": _identity,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "Shape": _shape,
    "Size": _shape,
    "Slice": _slice,
    "SpaceToDepth": _depth,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _reshape,
    "Where": _where,
}
