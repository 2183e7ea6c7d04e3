"""Contents of what is read off shapes, moved about, or made out of nothing but numbers."""

from __future__ import annotations

from itertools import accumulate
from math import prod

import numpy as np

from graphopt.infer.call import NotKnown, axis_of, integer, integers, shape_of, text
from graphopt.infer.contents_arithmetic import Contents, ContentsRule, truth
from graphopt.infer.elements import MOST_ELEMENTS, Block, agreed, block, elements, filled, mapped, numbers_of, of_tensor
from graphopt.infer.shapes import add, multiply, product, subtract
from graphopt.ir.dim import Size
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.schema.spelling import neutral_attribute, neutral_inputs


def _shape(node: Node) -> Contents:
    """Shape(x, start, end): both count from the back when negative and are clamped, as in a slice."""
    shape, end = shape_of(node.input(0)), neutral_attribute(node, "end")
    if shape is None or not (end is None or isinstance(end, int)):
        raise NotKnown
    return (shape[slice(integer(node, "start"), end)],)


def _size(node: Node) -> Contents:
    shape = shape_of(node.input(0))
    return (None if shape is None else (product(shape),),)


def _same(node: Node) -> Contents:
    """The elements in their order, whatever the shape."""
    return (elements(node.input(0)),)


def _transpose(node: Node) -> Contents:
    return (np.transpose(block(node.input(0)), integers(node, "perm")),)


def _concat(node: Node) -> Contents:
    if node.output.rank == 1:
        joined: list[Size] = []
        for value in node.inputs:
            held = elements(value)
            joined += block(value).tolist() if held is None else held
        return (tuple(joined),)
    return (np.concatenate([block(value) for value in node.inputs], axis=integer(node, "axis")),)


def _gather(node: Node) -> Contents:
    """Gather(x, indices): where an index is not known, neither is what it picks."""
    source, picked = node.input(0), elements(node.input(1))
    if source is not None and source.rank == 1 and picked is not None and len(picked) == 1 and isinstance(picked[0], int):
        held = elements(source)
        if held is not None:
            return ((held[picked[0]],),)
    data, wanted = block(node.input(0)), block(node.input(1))
    axis = axis_of(integer(node, "axis"), data.ndim)
    flat = wanted.reshape(-1)
    taken = np.take(data, mapped(_place, flat).astype(int), axis=axis)
    np.moveaxis(taken, axis, 0)[mapped(_is_no_number, flat).astype(bool)] = None
    return (taken.reshape(data.shape[:axis] + wanted.shape + data.shape[axis + 1 :]),)


def _gather_elements(node: Node) -> Contents:
    data, wanted = block(node.input(0)), block(node.input(1))
    axis = axis_of(integer(node, "axis"), data.ndim)
    places = np.indices(wanted.shape)
    places[axis] = mapped(_place, wanted).astype(int)
    taken = data[tuple(places)]
    taken[mapped(_is_no_number, wanted).astype(bool)] = None
    return (taken,)


def _gather_nd(node: Node) -> Contents:
    data, wanted = block(node.input(0)), block(node.input(1))
    if integer(node, "batch_dims") or None in wanted.reshape(-1).tolist():
        raise NotKnown
    count = wanted.shape[-1]
    rows = wanted.reshape(prod(wanted.shape[:-1]), count).tolist()
    made = np.empty((len(rows), *data.shape[count:]), dtype=object)
    for place, row in enumerate(rows):
        made[place] = data[tuple(row)]
    return (made,)


def _place(index: Size) -> int:
    return index if isinstance(index, int) else 0


def _is_no_number(index: Size) -> int:
    return not isinstance(index, int)


_NO_END = (1 << 31) - 1  # what models write for "to the end"


def _slice(node: Node) -> Contents:
    """Slice(x, starts, ends, axes, steps) as Python's, but for bounds out of sight when it steps back."""
    inputs = [*neutral_inputs(node), None, None]
    data = block(inputs[0])
    starts, ends = numbers_of(inputs[1]), numbers_of(inputs[2])
    axes = tuple(range(len(starts))) if inputs[3] is None else numbers_of(inputs[3])
    steps = (1,) * len(starts) if inputs[4] is None else numbers_of(inputs[4])
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(axis, data.ndim)
        if step < 0 and (start < -data.shape[axis] or end >= _NO_END):
            raise NotKnown  # Python takes nothing; runtimes the first element, and all before the start
        cut[axis] = slice(start, end, step)
    return (data[tuple(cut)],)


def _split(node: Node) -> Contents:
    """Split: parts as they are given; equal ones, the last smaller, when none are."""
    inputs = neutral_inputs(node)
    data, count = block(inputs[0]), len(node.outputs)
    axis = axis_of(integer(node, "axis"), data.ndim)
    extent = data.shape[axis]
    if len(inputs) > 1 and inputs[1] is not None:
        parts = numbers_of(inputs[1])
    else:
        whole = -(-extent // count)
        parts = (*(whole,) * (count - 1), extent - whole * (count - 1))
    if len(parts) != count or sum(parts) != extent or min(parts) < 0:
        raise NotKnown
    return tuple(np.split(data, list(accumulate(parts))[:-1], axis=axis))


def _target(value: Value | None) -> tuple[int, ...]:
    shape = numbers_of(value)
    if any(extent < 0 for extent in shape) or prod(shape) > MOST_ELEMENTS:
        raise NotKnown
    return shape


def _constant_of_shape(node: Node) -> Contents:
    held = node.attributes.get("value")
    if held is None or not isinstance(held.value, Tensor):
        raise NotKnown
    content = of_tensor(held.value)
    return (None if content is None else content * prod(_target(node.input(0))),)


def _expand(node: Node) -> Contents:
    data = block(node.input(0))
    shape = np.broadcast_shapes(data.shape, _target(node.input(1)))
    if prod(shape) > MOST_ELEMENTS:
        raise NotKnown
    return (np.broadcast_to(data, shape),)


def _tile(node: Node) -> Contents:
    data, repeats = block(node.input(0)), _target(node.input(1))
    if len(repeats) != data.ndim or data.size * prod(repeats) > MOST_ELEMENTS:
        raise NotKnown
    return (np.tile(data, repeats),)


def _pad(node: Node) -> Contents:
    """Pad with a constant; a negative pad takes elements away."""
    inputs = [*neutral_inputs(node), None, None, None]
    data, pads = block(inputs[0]), numbers_of(inputs[1])
    if text(node, "mode") != "constant":
        raise NotKnown
    axes = tuple(range(data.ndim)) if inputs[3] is None else numbers_of(inputs[3])
    fill = 0 if inputs[2] is None else block(inputs[2]).reshape(-1).tolist()[0]
    if len(pads) != 2 * len(axes) or max(map(abs, pads), default=0) > MOST_ELEMENTS:
        raise NotKnown
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        axis = axis_of(axis, data.ndim)
        extent = data.shape[axis]
        if extent + min(before, 0) + min(after, 0) < 0:
            raise NotKnown
        kept = np.moveaxis(np.moveaxis(data, axis, 0)[max(-before, 0) : extent + min(after, 0)], 0, axis)
        sides = [(max(before, 0), max(after, 0)) if place == axis else (0, 0) for place in range(data.ndim)]
        data = _surrounded(kept, sides, fill)
    return (data,)


def _surrounded(data: Block, sides: list[tuple[int, int]], fill: Size) -> Block:
    shape = tuple(extent + before + after for extent, (before, after) in zip(data.shape, sides, strict=True))
    if prod(shape) > MOST_ELEMENTS:
        raise NotKnown
    made = np.full(shape, None, dtype=object)
    made[...] = filled((fill,), ())
    made[tuple(slice(before, before + extent) for extent, (before, _) in zip(data.shape, sides, strict=True))] = data
    return made


def _range(node: Node) -> Contents:
    """Range(start, limit, delta): a symbolic start is fine when the distance is a number."""
    start, limit, delta = (block(value).reshape(-1).tolist()[0] for value in node.inputs)
    distance = subtract(limit, start)
    if not isinstance(distance, int) or not isinstance(delta, int) or delta == 0:
        raise NotKnown
    if any(isinstance(end, int) and abs(end) > 2**53 for end in (start, limit)):  # runtimes count the steps in doubles
        raise NotKnown
    count = max(-(-distance // delta), 0)
    if count > MOST_ELEMENTS:
        raise NotKnown
    return (tuple(add(start, multiply(delta, place)) for place in range(count)),)


def _non_zero(node: Node) -> Contents:
    """NonZero(x) where of each element it is known; of a scalar, runtimes and the operator's text differ."""
    found = mapped(truth, block(node.input(0)))
    if not found.ndim or None in found.reshape(-1).tolist():
        raise NotKnown
    return (tuple(int(place) for row in np.nonzero(found.astype(bool)) for place in row),)


def _if(node: Node) -> Contents:
    """If: the contents of the branch that is taken; of both, where they agree, when that is not known."""
    one, other = (node.attributes[name].value for name in ("then_branch", "else_branch"))
    if not isinstance(one, Graph) or not isinstance(other, Graph):
        raise NotKnown
    condition = elements(node.input(0))
    if condition is not None and len(condition) == 1 and isinstance(condition[0], int):
        return tuple(map(elements, (one if condition[0] else other).outputs))
    return tuple(agreed(elements(a), elements(b)) for a, b in zip(one.outputs, other.outputs, strict=True))


RULES: dict[str, ContentsRule] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _same,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Identity": _same,
    "If": _if,
    "NonZero": _non_zero,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _same,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _same,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _same,
}
