"""The operators that choose elements by their order: Q and DQ never decrease where the scale is positive, so the same ones are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from graphopt.ir import DType, Graph, Node, Size, Tensor, Value
from graphopt.ir.bounds import is_never
from graphopt.quantization.arithmetic import limits
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
    operand,
    rank_of,
    same,
    without_axes,
    zero_like,
)
from graphopt.quantization.flow import Flow, Shapes, Unclear, mixed
from graphopt.schema.older import constant
from graphopt.schema.spelling import spell

# ---- elementwise


def _extreme(node: Node) -> Call:
    """Max and Min."""
    moving, carried = branches(node, tuple(range(len(node.inputs))))
    return Call(moving, elementwise(moving), carried=carried, is_ordered=True)


def _relu(node: Node) -> Call:
    return Call((0,), elementwise(), carried=(Carried(1, zero_like(node)),), is_ordered=True, form=_as_max)


def _as_max(node: Node, operands: Mapping[int, Value], constants: Mapping[int, Tensor], graph: Graph) -> list[Node]:
    if _is_limit(constants[1], 0):
        return [spell("Identity", (operands[0],), {}, graph)]
    return [spell("Max", (operands[0], constant(constants[1])), {}, graph)]


def _is_limit(bound: Tensor, end: int) -> bool:
    """Whether a bound is the least (0) or the greatest (1) number of its type everywhere, and bounds nothing."""
    return bool((bound.numpy().astype(np.float64) == limits(bound.dtype)[end]).all())


def _clip(node: Node) -> Call:
    carried = []
    for slot in (1, 2):
        if operand(node, slot) is not None:
            bound = elements(node, slot)
            if bound is None:
                raise Unclear("a bound is not constant")
            carried.append(Carried(slot, bound.reshape(())))
    return Call((0,), elementwise(), carried=tuple(carried), is_ordered=True, form=_as_bounds)


def _as_bounds(node: Node, operands: Mapping[int, Value], constants: Mapping[int, Tensor], graph: Graph) -> list[Node]:
    """Clip where each bound is one number; Max and Min where it differs from channel to channel; Identity where none bounds anything."""
    constants = {slot: bound for slot, bound in constants.items() if not _is_limit(bound, slot - 1)}
    if not constants:
        return [spell("Identity", (operands[0],), {}, graph)]
    if all(len(np.unique(bound.numpy().astype(np.int64))) == 1 for bound in constants.values()):
        bounds = [
            None if slot not in constants else constant(Tensor.of(constants[slot].numpy().reshape(-1)[0], constants[slot].dtype))
            for slot in (1, 2)
        ]
        return [spell("Clip", (operands[0], *bounds), {}, graph)]
    made: list[Node] = []
    for slot, op in ((1, "Max"), (2, "Min")):
        if slot in constants:
            made.append(spell(op, (made[-1].output if made else operands[0], constant(constants[slot])), {}, graph))
    return made


def _comparison(node: Node) -> Call:
    moving, carried = branches(node, (0, 1))
    return Call(moving, elementwise(moving), results=(), strict=(0,), carried=carried, is_ordered=node.op != "Equal")


# ---- windows


def _max_pool(node: Node) -> Call:
    _check_windows(node)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        spatial = range(2, len(sizes))
        pooled = [mixed((axis,), (axis,), sizes, results) for axis in spatial]
        return [Flow(0, 0, (*same(shapes, without=spatial), *pooled))]

    return Call((0,), flows, strict=(1,), is_ordered=True)


def _check_windows(node: Node) -> None:
    """Each window has an element; one that lies in the padding alone gives the lowest number of the type. Raises Unclear."""
    kernel = attribute(node, "kernel_shape")
    count = len(kernel)
    steps, dilations = attribute(node, "strides") or (1,) * count, attribute(node, "dilations") or (1,) * count
    pads = attribute(node, "pads") or (0,) * (2 * count)
    if attribute(node, "auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(width - 1 for width in kernel) * 2  # it may pad wherever a window is wider than 1
    for index in range(count):
        before, after, dilation = pads[index], pads[index + count], dilations[index]
        reach = (kernel[index] - 1) * dilation + 1
        if dilation > 1 and before and not _is_at_least(node, 2 + index, dilation):
            raise Unclear("a window may lie between the elements, in the padding alone")
        if attribute(node, "ceil_mode") and after + steps[index] > reach and not _begins_inside(node, 2 + index, steps[index], before):
            raise Unclear("the last window may lie in the padding alone")


def _begins_inside(node: Node, axis: int, step: int, before: int) -> bool:
    """Whether the last window along an axis begins before its end."""
    sizes, results = (None if value is None else value.shape for value in (node.inputs[0], node.output))
    size, count = (None if shape is None else shape[axis] for shape in (sizes, results))
    return isinstance(size, int) and isinstance(count, int) and (count - 1) * step - before < size


def _is_at_least(node: Node, axis: int, extent: int) -> bool:
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    size = None if shape is None else shape[axis]
    return isinstance(size, int) and size >= extent


def _global_max_pool(node: Node) -> Call:
    axes = tuple(range(2, rank_of(node)))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        return [_reduced(shapes, axes, keeps=True)]

    return Call((0,), flows, is_ordered=True, lowest=_emptiness(node, axes), form=_as_reduce_max)


def _as_reduce_max(node: Node, operands: Mapping[int, Value], constants: Mapping[int, Tensor], graph: Graph) -> list[Node]:
    axes = Tensor.of(list(range(2, rank_of(node))), DType.int64)
    return [spell("ReduceMax", (operands[0], constant(axes)), {"keepdims": 1}, graph)]


def _max_roi_pool(node: Node) -> Call:
    raise Unclear("MaxRoiPool has no form for integers")


# ---- reductions


def _reduction(node: Node) -> Call:
    """ReduceMax and ReduceMin."""
    given = operand(node, 1)
    axes = integers(node, 1)
    if given is not None and axes is None:
        raise Unclear("which axes are reduced is not known")
    keeps = bool(attribute(node, "keepdims"))
    if not axes and attribute(node, "noop_with_empty_axes"):
        return Call((0,), elementwise())

    def along(rank: int) -> tuple[int, ...]:
        return tuple(axis % rank for axis in axes) if axes else tuple(range(rank))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        return [_reduced(shapes, along(len(shapes.input(0))), keeps=keeps)]

    shape = None if node.inputs[0] is None else node.inputs[0].shape
    lowest = "there may be nothing to reduce" if shape is None else _emptiness(node, along(len(shape)))
    return Call((0,), flows, is_ordered=True, lowest=lowest)


def _reduced(shapes: Shapes, axes: Sequence[int], *, keeps: bool) -> Flow:
    sizes, results = shapes.input(0), shapes.output(0)
    return without_axes(shapes, axes, keeps=keeps, mix=lambda takes, gives: mixed(takes, gives, sizes, results))


def _emptiness(node: Node, axes: Sequence[int]) -> str:
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    sizes: Sequence[Size] = [None] if shape is None else [shape[axis] for axis in axes]
    return "" if all(size is not None and is_never(size, 0) for size in sizes) else "there may be nothing to reduce"


def _arg(node: Node) -> Call:
    """ArgMax and ArgMin."""
    axis, keeps = axis_of(node, rank_of(node)), bool(attribute(node, "keepdims"))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        return [_reduced(shapes, (axis,), keeps=keeps)]

    return Call((0,), flows, results=(), strict=(0,), is_ordered=True)


def _top_k(node: Node) -> Call:
    if attribute(node, "sorted") == 0:
        raise Unclear("the order of its results is not defined")
    axis = axis_of(node, rank_of(node))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        chosen = mixed((axis,), (axis,), shapes.input(0), shapes.output(0))
        return [Flow(0, 0, (*same(shapes, without=[axis]), chosen))]

    return Call((0,), flows, strict=(1,), is_ordered=True)


def is_strict(node: Node, call: Call) -> bool:
    """Whether anybody reads a result that depends on which elements are equal."""
    return any(is_read(node, output) for output in call.strict)


RULES: Final[dict[str, Rule]] = {
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Clip": _clip,
    "Equal": _comparison,
    "GlobalMaxPool": _global_max_pool,
    "Greater": _comparison,
    "GreaterOrEqual": _comparison,
    "Less": _comparison,
    "LessOrEqual": _comparison,
    "Max": _extreme,
    "MaxPool": _max_pool,
    "MaxRoiPool": _max_roi_pool,
    "Min": _extreme,
    "ReduceMax": _reduction,
    "ReduceMin": _reduction,
    "Relu": _relu,
    "TopK": _top_k,
}
