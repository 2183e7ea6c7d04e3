"""How the operators that look up places, pad or resize move elements: the parts of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from graphopt.ir import Node, Size
from graphopt.ir.tensor import Array
from graphopt.quantization.call import (
    Call,
    Carried,
    Rule,
    attribute,
    axis_of,
    elements,
    integers,
    operand,
    rank_of,
    same,
    zero_like,
)
from graphopt.quantization.flow import FILLED, Flow, Part, Shapes, Unclear, chosen, joint, mixed, number, unchanged, unclear
from graphopt.schema.spelling import neutral_inputs

# ---- indices


def _gather(node: Node) -> Call:
    axis = axis_of(node, rank_of(node))
    indices = elements(node, 1)

    def places(extent: int) -> Array:
        assert indices is not None  # asked for constant ones alone
        held = indices.astype(np.int64)
        return np.where(held < 0, held + extent, held)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        width = len(results) - len(sizes) + 1
        gives = tuple(range(axis, axis + width))
        if indices is None:
            looked_up = mixed((axis,), gives, sizes, results)
        else:
            looked_up = chosen(axis, gives, sizes, places)
        before = [unchanged(index, index, sizes, results) for index in range(axis)]
        after = [unchanged(index, index + width - 1, sizes, results) for index in range(axis + 1, len(sizes))]
        return [Flow(0, 0, (*before, looked_up, *after))]

    return Call((0,), flows)


def _gather_elements(node: Node) -> Call:
    axis = axis_of(node, rank_of(node))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        parts = [_rows(index, sizes, results) for index in range(len(sizes)) if index != axis]
        return [Flow(0, 0, (*parts, mixed((axis,), (axis,), sizes, results)))]

    return Call((0,), flows)


def _rows(axis: int, sizes: Sequence[Size], results: Sequence[Size]) -> Part:
    """The first places of an axis, as many as there are indices."""
    if sizes[axis] is not None and sizes[axis] == results[axis]:
        return unchanged(axis, axis, sizes, results)
    return chosen(axis, (axis,), sizes, lambda extent: np.arange(number(results[axis], f"axis {axis} of the result")))


def _scatter_elements(node: Node) -> Call:
    if attribute(node, "reduction") not in (None, "none"):
        raise Unclear("it computes with what it scatters")
    axis = axis_of(node, rank_of(node))

    def flows(shapes: Shapes) -> Sequence[Flow]:
        results, updates = shapes.output(0), shapes.input(2)
        parts = [_into(index, updates, results) for index in range(len(updates)) if index != axis]
        return [Flow(0, 0, tuple(same(shapes))), Flow(2, 0, (*parts, mixed((axis,), (axis,), updates, results)))]

    return Call((0, 2), flows)


def _into(axis: int, updates: Sequence[Size], results: Sequence[Size]) -> Part:
    """Updates go to the first places of an axis; what lies behind them has none, and any parameters."""
    if updates[axis] is not None and updates[axis] == results[axis]:
        return unchanged(axis, axis, updates, results)

    def places(extent: int) -> Array:
        found = np.arange(number(results[axis], f"axis {axis} of the result"))
        return np.where(found < extent, found, -1)

    return chosen(axis, (axis,), updates, places)


def _gather_nd(node: Node) -> Call:
    batch = attribute(node, "batch_dims") or 0
    indices = elements(node, 1)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        width = number(shapes.input(1)[-1], "an index")
        outer = len(shapes.input(1)) - 1
        takes, gives = tuple(range(batch, batch + width)), tuple(range(batch, outer))
        if indices is not None and not batch:
            looked_up = joint(takes, gives, sizes, lambda places: places[tuple(np.moveaxis(indices, -1, 0))])
        else:
            looked_up = mixed(takes, gives, sizes, results)
        before = [unchanged(axis, axis, sizes, results) for axis in range(batch)]
        after = [unchanged(axis, axis - width - batch + outer, sizes, results) for axis in range(batch + width, len(sizes))]
        return [Flow(0, 0, (*before, looked_up, *after))]

    return Call((0,), flows)


def _scatter_nd(node: Node) -> Call:
    if attribute(node, "reduction") not in (None, "none"):
        raise Unclear("it computes with what it scatters")

    def flows(shapes: Shapes) -> Sequence[Flow]:
        updates, results = shapes.input(2), shapes.output(0)
        width, outer = number(shapes.input(1)[-1], "an index"), len(shapes.input(1)) - 1
        scattered = mixed(tuple(range(outer)), tuple(range(width)), updates, results)
        tail = [unchanged(axis + outer, axis + width, updates, results) for axis in range(len(results) - width)]
        return [Flow(0, 0, tuple(same(shapes))), Flow(2, 0, (scattered, *tail))]

    return Call((0, 2), flows)


# ---- borders


def _pad(node: Node) -> Call:
    mode, pads, axes = attribute(node, "mode") or "constant", integers(node, 1), integers(node, 3)
    value = elements(node, 2) if operand(node, 2) is not None else zero_like(node)
    fills = mode == "constant"
    if fills and value is None:
        raise Unclear("what it pads with is not constant")
    if operand(node, 3) is not None and axes is None:
        pads = None

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        if pads is None:
            why = "the pads are not constant"
            return [Flow(0, 0, tuple(unclear((axis,), (axis,), why, fills=fills) for axis in range(len(sizes))))]
        along = [axis % len(sizes) for axis in (axes if axes is not None else range(len(sizes)))]
        parts = same(shapes, without=along)
        for index, axis in enumerate(along):
            before, after = pads[index], pads[index + len(along)]
            parts.append(unchanged(axis, axis, sizes, results) if before == after == 0 else _padded(axis, sizes, before, after, mode))
        return [Flow(0, 0, tuple(parts))]

    return Call((0,), flows, carried=(Carried(2, value.reshape(()), is_fill=True),) if fills and value is not None else ())


def _padded(axis: int, sizes: Sequence[Size], before: int, after: int, mode: str) -> Part:
    def places(extent: int) -> Array:
        inner = np.arange(extent)[max(-before, 0) : extent - max(-after, 0)]
        widths = (max(before, 0), max(after, 0))
        if mode == "constant":
            return np.pad(inner, widths, constant_values=FILLED)
        if mode == "edge":
            return np.pad(inner, widths, mode="edge")
        return np.pad(inner, widths, mode="reflect" if mode == "reflect" else "wrap")

    return chosen(axis, (axis,), sizes, places, fills=mode == "constant" and max(before, after) > 0)


def _center_crop_pad(node: Node) -> Call:
    given = attribute(node, "axes")

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes = shapes.input(0)
        along = [axis % len(sizes) for axis in given] if given is not None else list(range(len(sizes)))
        why = "where it is cut or padded is not known"
        parts = [unclear((axis,), (axis,), why, fills=True) for axis in along]
        return [Flow(0, 0, (*same(shapes, without=along), *parts))]

    fill = Carried(-1, zero_like(node), is_fill=True, is_raw=True)
    return Call((0,), flows, carried=(fill,))


# ---- sizes


def _resize(node: Node) -> Call:
    if attribute(node, "mode") not in (None, "nearest"):
        raise Unclear(f"Resize by {attribute(node, 'mode')} makes new numbers")
    transformation = attribute(node, "coordinate_transformation_mode") or "half_pixel"
    if transformation == "tf_crop_and_resize":
        raise Unclear("it extrapolates")
    is_plain = transformation in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    axes = attribute(node, "axes")
    scales = _floats(node, 2)

    def flows(shapes: Shapes) -> Sequence[Flow]:
        sizes, results = shapes.input(0), shapes.output(0)
        along = [axis % len(sizes) for axis in axes] if axes is not None else list(range(len(sizes)))
        stay = [axis for index, axis in enumerate(along) if is_plain and scales is not None and scales[index] == 1]
        parts = [
            unchanged(axis, axis, sizes, results) if axis in stay or axis not in along
            else unclear((axis,), (axis,), f"axis {axis} is resized")
            for axis in range(len(sizes))
        ]  # fmt: skip
        return [Flow(0, 0, tuple(parts))]

    return Call((0,), flows)


def _floats(node: Node, slot: int) -> tuple[float, ...] | None:
    inputs = neutral_inputs(node)
    found = inputs[slot] if slot < len(inputs) else None
    array = None if found is None or found.const is None else found.const.numpy()
    return None if array is None or not array.size else tuple(float(element) for element in array.reshape(-1))


RULES: Final[dict[str, Rule]] = {
    "CenterCropPad": _center_crop_pad,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Resize": _resize,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
}
