"""How each operator lets an order of axes pass: on permuted operands it computes the same elements in permuted places.

Exact but for reductions over several axes and sums of products, which may round otherwise where runtimes add up in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graphopt.ir import Node, Tensor, Value
from graphopt.passes.axis_order import (
    Passage,
    Perm,
    Way,
    axes_of,
    axis_of,
    integers,
    made,
    permuted,
    rank_of,
    vector,
    with_axes,
    with_constants,
    without,
)
from graphopt.passes.permuted_reshape import flatten, reshape
from graphopt.schema import facts
from graphopt.schema.spelling import has_neutral_form, neutral_attribute, neutral_inputs
from graphopt.schema.traits import ELEMENTWISE_BINARY, ELEMENTWISE_UNARY, REDUCTIONS


def passage(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """How a node runs when it reads an input (or makes its first output: None) in another order; None when that is not known."""
    way = WAYS.get(node.op)
    if way is None or facts.is_function_call(node) or not has_neutral_form(node):
        return None
    found = way(node, perm, slot)
    if found is None or (found.outputs[0] if slot is None else found.inputs[slot]) != perm:
        return None
    return found


# ---- elements of their own elements alone


def _unary(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    return made((perm,), (perm,), node) if slot in (0, None) and len(node.outputs) == 1 else None


def _broadcast(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    rank = node.output.rank
    if rank is None or len(node.outputs) != 1:
        return None
    order = tuple(range(rank - len(perm))) + tuple(axis + rank - len(perm) for axis in perm)
    orders: list[Perm | None] = []
    for value in node.inputs:
        order_of = _aligned(value, order)
        if order_of is None:
            return None
        orders.append(order_of)
    return made(orders, (order,), node)


def _aligned(value: Value | None, order: Perm) -> Perm | None:
    """The order of an operand that broadcasts against others of this order; None when it would have to get axes first."""
    if value is None or value.shape is None:
        return None
    if all(size == 1 for size in value.shape):
        return tuple(range(len(value.shape)))
    extra = len(order) - len(value.shape)
    if value.const is not None or extra == 0:
        return order
    return tuple(axis - extra for axis in order[extra:]) if order[:extra] == tuple(range(extra)) else None


def _normalization(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """Of the last axes from `axis` on, each for itself."""
    axis = axis_of(node, len(perm))
    if axis is None or slot not in (0, None) or len(node.outputs) != 1 or perm[axis:] != tuple(range(axis, len(perm))):
        return None
    if any(value is None or value.rank is None or value.rank > len(perm) - axis for value in node.inputs[1:]):
        return None
    return made((perm,), (perm,), node, axis=axis)


def _per_channel(fixed: int) -> Way:
    """Elementwise, or over all but the first axes, with parameters along axis 1."""

    def way(node: Node, perm: Perm, slot: int | None) -> Passage | None:
        holds = slot in (0, None) and len(node.outputs) == 1 and len(perm) > 1 and perm[1] == 1 and perm[:fixed] == tuple(range(fixed))
        return made((perm,), (perm,), node) if holds else None

    return way


def _global_pool(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    return made((perm,), (None,), node) if slot == 0 and perm[:2] == (0, 1) else None


def _matmul(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """Rows of one matrix are independent of each other, and so are the matrices of a batch."""
    first, second, rank = rank_of(node, 0), rank_of(node, 1), len(perm)
    if first != rank or rank < 3 or node.output.rank != rank:
        return None
    if second == 2 and slot in (0, None) and perm[-1] == rank - 1:
        return made((perm, None), (perm,), node)
    if second == rank and perm[-2:] == (rank - 2, rank - 1):
        return made((perm, perm), (perm,), node)
    return None


# ---- along one axis


def _along(data: Sequence[int], *, stays_last: bool = False) -> Way:
    """Operators with an attribute `axis`; `data`: the slots that hold tensors of the rank of the result, -1 for all.

    `stays_last`: where a last axis becomes another, runtimes transpose inside.
    """

    def way(node: Node, perm: Perm, slot: int | None) -> Passage | None:
        axis = axis_of(node, len(perm))
        slots = range(len(node.inputs)) if -1 in data else data
        if axis is None or (slot is not None and slot not in slots):
            return None
        if any(rank_of(node, each) != len(perm) for each in slots):
            return None
        place = perm.index(axis)
        if stays_last and axis == len(perm) - 1 != place:
            return None
        orders = [perm if each in slots else None for each in range(len(node.inputs))]
        return made(orders, (perm,) * len(node.outputs), node, axis=place)

    return way


def _cumulative(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    axes = axes_of(node.input(1), len(perm))
    if axes is None or len(axes) != 1 or slot not in (0, None):
        return None
    return with_constants(made((perm,), (perm,), node), {1: vector([perm.index(axes[0])], node.input(1))})


def _gather(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """The axes of the indices stand where one axis of the data stood; what runtimes copy at once does not get smaller."""
    rank, count = rank_of(node, 0), rank_of(node, 1)
    axis = None if rank is None else axis_of(node, rank)
    if rank is None or count is None or axis is None:
        return None
    data, indices = tuple(range(rank)), tuple(range(count))
    if slot == 0:
        data = perm
    elif slot == 1:
        indices = perm
    else:
        places = [place for place, held in enumerate(perm) if axis <= held < axis + count]
        if places and places != list(range(places[0], places[0] + count)):
            return None
        indices = tuple(perm[place] - axis for place in places)
        others = [held if held < axis else held - count + 1 for held in perm if not axis <= held < axis + count]
        place = places[0] if places else axis
        data = (*others[:place], axis, *others[place:])
    if not set(range(axis + 1, rank)) <= set(data[data.index(axis) :]):
        return None
    result: list[int] = []
    for held in data:
        result += [axis + place for place in indices] if held == axis else [held if held < axis else held + count - 1]
    return made((data, indices), (tuple(result),), node, axis=data.index(axis))


# ---- along several axes


def _reduction(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    value = node.input(0)
    rank = None if value is None else value.rank
    keeps, inputs = neutral_attribute(node, "keepdims"), neutral_inputs(node)
    if rank is None or slot not in (0, None) or keeps not in (0, 1):
        return None
    if len(inputs) < 2 or inputs[1] is None:
        return None  # all axes or none: nothing that Transposes could be won by
    axes = axes_of(inputs[1], rank)
    if not axes:
        return None
    order = perm if slot == 0 or keeps else with_axes(perm, axes)
    places = tuple(sorted(order.index(axis) for axis in axes))
    if node.op == "ReduceMean" and axes == (rank - 1,) != places:
        return None  # of a normalization, which runtimes know along the last axis alone
    passed = made((order,), (order if keeps else without(order, axes),), node)
    return with_constants(passed, {1: vector(places, inputs[1])})


def _arg(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    rank, keeps = rank_of(node), neutral_attribute(node, "keepdims")
    axis = None if rank is None else axis_of(node, rank)
    if axis is None or slot not in (0, None) or keeps not in (0, 1):
        return None
    order = perm if slot == 0 or keeps else with_axes(perm, (axis,))
    return made((order,), (order if keeps else without(order, (axis,)),), node, axis=order.index(axis))


def _squeeze(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    value, inputs = node.input(0), neutral_inputs(node)
    if value is None or value.rank is None or slot not in (0, None) or len(inputs) < 2:
        return None
    axes = axes_of(inputs[1], value.rank)
    if not axes:
        return None
    order = perm if slot == 0 else with_axes(perm, axes)
    passed = made((order,), (without(order, axes),), node)
    return with_constants(passed, {1: vector(sorted(order.index(axis) for axis in axes))})


def _unsqueeze(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    rank, inputs = node.output.rank, neutral_inputs(node)
    axes = None if rank is None or len(inputs) < 2 else axes_of(inputs[1], rank)
    if not axes or slot not in (0, None):
        return None
    order = perm if slot is None else with_axes(perm, axes)
    passed = made((without(order, axes),), (order,), node)
    return with_constants(passed, {1: vector(sorted(order.index(axis) for axis in axes))})


def _slice(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    inputs = neutral_inputs(node)
    if slot not in (0, None) or len(inputs) < 3 or inputs[1] is None or inputs[1].shape is None:
        return None
    count = inputs[1].shape[0] if len(inputs[1].shape) == 1 else None
    if len(inputs) > 3 and inputs[3] is not None:
        axes = axes_of(inputs[3], len(perm))
    else:
        axes = tuple(range(count)) if isinstance(count, int) and count <= len(perm) else None
    if axes is None or len(axes) != count:
        return None
    like = inputs[1]  # starts, ends, axes and steps have one element type
    return with_constants(made((perm,), (perm,), node), {3: vector([perm.index(axis) for axis in axes], like)})


def _pad(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    inputs, rank = neutral_inputs(node), len(perm)
    if slot not in (0, None) or len(inputs) < 2 or inputs[1] is None:
        return None
    passed = made((perm,), (perm,), node)
    if len(inputs) > 3 and inputs[3] is not None:
        axes = axes_of(inputs[3], rank)
        return None if axes is None else with_constants(passed, {3: vector([perm.index(axis) for axis in axes], inputs[3])})
    pads = integers(inputs[1])
    if pads is None or len(pads) != 2 * rank:
        return None
    return with_constants(passed, {1: vector([*permuted(pads[:rank], perm), *permuted(pads[rank:], perm)], inputs[1])})


def _repeated(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    counts = integers(node.input(1))
    if slot not in (0, None) or counts is None or len(counts) != len(perm):
        return None
    return with_constants(made((perm,), (perm,), node), {1: vector([counts[axis] for axis in perm])})


def _expand(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    value, target, rank = node.input(0), integers(node.input(1)), node.output.rank
    if slot not in (0, None) or value is None or value.rank is None or target is None or rank is None:
        return None
    order = tuple(range(rank - len(perm))) + tuple(axis + rank - len(perm) for axis in perm)
    given = _aligned(value, order)
    if given is None or len(given) != value.rank:
        return None
    sizes = (1,) * (rank - len(target)) + target
    return with_constants(made((given,), (order,), node), {1: vector([sizes[axis] for axis in order])})


def _resize(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """Images stay images: what is interpolated stays in its order, on the last axes, for which runtimes have kernels."""
    value, (_, _, scales, sizes) = node.input(0), (*neutral_inputs(node), None, None, None)[:4]
    axes, rank = neutral_attribute(node, "axes"), len(perm)
    if slot not in (0, None) or value is None or value.shape is None or node.output.shape is None:
        return None
    if neutral_attribute(node, "coordinate_transformation_mode") == "tf_crop_and_resize" or axes is not None:
        return None
    scaled = [axis for axis in range(rank) if value.shape[axis] is None or value.shape[axis] != node.output.shape[axis]]
    places = [perm.index(axis) for axis in scaled]
    if places != sorted(places) or (neutral_attribute(node, "mode") != "nearest" and (rank != 4 or min(places, default=2) < 2)):
        return None
    held = scales if scales is not None and scales.shape != (0,) else sizes
    at = 2 if held is scales else 3
    if held is None or held.const is None or held.const.shape != (rank,):
        return None
    array = held.const.numpy()
    if held is scales and any(array[axis] != 1 for axis in range(rank) if axis not in scaled):
        return None
    modes = {name: neutral_attribute(node, name) for name in ("coordinate_transformation_mode", "nearest_mode")}  # else by each opset
    return with_constants(made((perm,), (perm,), node, **modes), {at: Tensor.of(array[list(perm)], held.const.dtype)})


WAYS: Final[dict[str, Way]] = {
    **dict.fromkeys(sorted(ELEMENTWISE_UNARY - {"BitCast"}), _unary),  # BitCast may split its last axis
    **dict.fromkeys((*sorted(ELEMENTWISE_BINARY), "PRelu", "Where"), _broadcast),
    **dict.fromkeys(sorted(REDUCTIONS), _reduction),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("Concat", "GatherElements", "ScatterElements"), _along((-1,))),
    "Split": _along((0,)),
    **dict.fromkeys(("Hardmax", "LogSoftmax", "LpNormalization", "Softmax", "TopK"), _along((0,), stays_last=True)),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _normalization),
    **dict.fromkeys(("BatchNormalization", "LRN"), _per_channel(0)),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization"), _per_channel(2)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    "CumSum": _cumulative,
    "Expand": _expand,
    "Flatten": flatten,
    "Gather": _gather,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Tile": _repeated,
    "Unsqueeze": _unsqueeze,
}
