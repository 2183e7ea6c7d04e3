"""Types of what is cut out of a tensor: Slice, Split, and the sequences that parts may be put in."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integer, one, shape_of, tensor
from graphopt.infer.elements import constant_ints, elements
from graphopt.infer.shapes import add, bounds, ceil_divide, floor_divide, is_size, join, maximum, minimum, multiply, subtract
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Node
from graphopt.ir.types import SequenceType, TensorType, Type
from graphopt.schema.spelling import neutral_inputs

WHOLE = (1 << 31) - 1  # no size is as great: what models write for "to the end"
_UNEVEN_SINCE = 18  # opset from which Split's last part may be smaller


def slice_(node: Node) -> Types:
    """Slice(x, starts, ends, axes, steps)."""
    x = data(node)
    if x.shape is None:
        return one(x.dtype, None)
    inputs = [*neutral_inputs(node), None, None]
    starts, ends = elements(inputs[1]), elements(inputs[2])
    axes, steps = constant_ints(inputs[3]), constant_ints(inputs[4])
    rank = len(x.shape)
    if inputs[3] is not None and axes is None:
        return one(x.dtype, (None,) * rank)
    if axes is None:
        count = len(starts) if starts is not None else len(ends) if ends is not None else rank
        axes = tuple(range(count))
    sizes = list(x.shape)
    for place, axis in enumerate(axes):
        axis = axis_of(axis, rank)
        step = 1 if inputs[4] is None else steps[place] if steps is not None else None
        sizes[axis] = sliced(sizes[axis], starts[place] if starts else None, ends[place] if ends else None, step)
    return one(x.dtype, tuple(sizes))


def sliced(extent: Size, start: Size, end: Size, step: int | None) -> Size:
    """How many places there are from `start` to `end`, each clamped to the extent. Source: Slice-13's text, "clamped".

    >>> print(sliced(512, 0, Dim.symbol("S"), 1), sliced(Dim.symbol("S"), 1, WHOLE, 1))         # doctest: +SKIP
    min(S, 512) S - min(S, 1)
    """
    if extent == 0:
        return 0
    if extent is None or start is None or end is None or not step:
        return None
    if step < 0:
        return _backwards(extent, start, end, -step)
    first, last = _clamped(start, extent), _clamped(end, extent)
    count = subtract(last, first)
    return ceil_divide(count if is_size(count) else maximum(count, 0), step)


def _clamped(bound: int | Dim, extent: int | Dim) -> Size:
    """The place that a bound means: counted from the back below 0, and not outside."""
    if isinstance(bound, int) and bound >= WHOLE:
        return extent
    least, greatest = bounds(bound)
    if least is not None and least >= 0:
        return minimum(bound, extent)
    if greatest is not None and greatest < 0:
        return 0 if isinstance(bound, int) and bound <= -WHOLE else maximum(add(bound, extent), 0)
    return None


def _backwards(extent: int | Dim, start: int | Dim, end: int | Dim, step: int) -> Size:
    """The same for a step below 0, where evaluators agree.

    onnxruntime takes a start before the first place as the first, numpy as nothing; and it takes an end of 2^31 - 1 or more as -2^31.
    """
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    if end <= -WHOLE and (start == -1 or start >= WHOLE):
        return ceil_divide(extent, step)
    if not isinstance(extent, int) or end >= WHOLE or start < -extent:
        return None
    first = min(start + extent if start < 0 else start, extent - 1)
    last = max(end + extent if end < 0 else end, -1)
    return max(-((last - first) // step), 0)


def split(node: Node) -> Types:
    """Split: parts of one axis, equal ones when no sizes are given."""
    x = data(node)
    count = len(node.outputs)
    if x.shape is None:
        return (TensorType(x.dtype),) * count
    axis = axis_of(integer(node, "axis"), len(x.shape))
    return tuple(TensorType(x.dtype, (*x.shape[:axis], part, *x.shape[axis + 1 :])) for part in _parts(node, x.shape[axis], count))


def _parts(node: Node, extent: Size, count: int) -> tuple[Size, ...]:
    inputs = neutral_inputs(node)
    if len(inputs) > 1 and inputs[1] is not None:
        parts = elements(inputs[1]) or (None,) * count
        if len(parts) != count:
            raise NotKnown
        return parts
    if extent is None:
        return (None,) * count
    whole = ceil_divide(extent, count)
    if isinstance(extent, int) and isinstance(whole, int):
        return tuple(min(whole, max(extent - whole * index, 0)) for index in range(count))
    if multiply(whole, count) == extent:
        return (whole,) * count
    if (node.opset or 0) < _UNEVEN_SINCE:
        return (floor_divide(extent, count),) * count  # what leaves a rest fails
    if count == 2:
        return whole, subtract(extent, whole)
    return (whole, *(None,) * (count - 1))  # evaluators differ where a later part has nothing left


def split_to_sequence(node: Node) -> Types:
    """SplitToSequence(x, split): equal parts (the last one may be smaller) for a number, parts of given sizes for a vector."""
    x = data(node)
    if x.shape is None:
        return (SequenceType(TensorType(x.dtype)),)
    axis = axis_of(integer(node, "axis"), len(x.shape))
    before, extent, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if node.input(1) is None:
        part: tuple[Size, ...] = (1,) if integer(node, "keepdims") else ()
        return (SequenceType(TensorType(x.dtype, (*before, *part, *after))),)
    return (SequenceType(TensorType(x.dtype, (*before, _common_part(node, extent), *after))),)


def _common_part(node: Node, extent: Size) -> Size:
    """The size that all parts have."""
    parts, rank = elements(node.input(1)), shape_of(node.input(1))
    if not parts or rank is None:
        return None
    size = parts[0]
    if rank:
        return size if parts.count(size) == len(parts) else None
    if not isinstance(size, int) or size <= 0:
        return None
    if isinstance(extent, int) and extent <= size:
        return extent
    return size if multiply(floor_divide(extent, size), size) == extent else None


def sequence_construct(node: Node) -> Types:
    """SequenceConstruct(x, ...): a sequence of what all have in common."""
    element = tensor(node.inputs[0]) if node.inputs else None
    found: Type | None = element
    for value in node.inputs:
        found = join(found, tensor(value))
    return (SequenceType(found),)


def sequence_at(node: Node) -> Types:
    """SequenceAt(s, place): the element itself where its maker is seen, else what all elements have in common."""
    sequence, place = node.input(0), constant_ints(node.input(1))
    if sequence is None or not isinstance(sequence.type, SequenceType):
        raise TooHard
    found = None if place is None or len(place) != 1 else _element(sequence.producer, place[0])
    return (found if found is not None else sequence.type.element,)


def _element(maker: Node | None, place: int) -> Type | None:
    if maker is None or maker.domain:
        return None
    if maker.op == "SequenceConstruct" and -len(maker.inputs) <= place < len(maker.inputs):
        value = maker.inputs[place]
        return None if value is None else value.type
    if maker.op == "SplitToSequence":
        x, parts, rank = data(maker), elements(maker.input(1)), shape_of(maker.input(1))
        if x.shape is not None and parts is not None and rank is not None and len(rank) == 1 and -len(parts) <= place < len(parts):
            axis = axis_of(integer(maker, "axis"), len(x.shape))
            return TensorType(x.dtype, (*x.shape[:axis], parts[place], *x.shape[axis + 1 :]))
    return None


RULES: dict[str, InferenceRule] = {
    "SequenceAt": sequence_at,
    "SequenceConstruct": sequence_construct,
    "Slice": slice_,
    "Split": split,
    "SplitToSequence": split_to_sequence,
}
