"""Types of Resize and Upsample."""

from __future__ import annotations

import numpy as np

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integers, one, shape_of, text
from graphopt.infer.elements import elements
from graphopt.infer.shapes import floor_divide, multiply
from graphopt.ir.dim import Shape, Size
from graphopt.ir.graph import Node, Value
from graphopt.schema.spelling import neutral_attribute, neutral_inputs


def resize(node: Node) -> Types:
    """Resize(x, roi, scales, sizes): sizes as they are given, or size * scale rounded down, on the axes that are named or on all."""
    x = data(node)
    if x.shape is None:
        return one(x.dtype, None)
    inputs = [*neutral_inputs(node), None, None, None]
    axes = tuple(axis_of(axis, len(x.shape)) for axis in integers(node, "axes") or range(len(x.shape)))
    scales, sizes = (None if _is_empty(value) else value for value in inputs[2:4])
    result = list(x.shape)
    for place, axis in enumerate(axes):
        result[axis] = None
        if sizes is not None and scales is None and _stretches(node):
            given = elements(sizes)
            if given is not None:
                result[axis] = given[place]
        elif scales is not None and sizes is None and text(node, "coordinate_transformation_mode") != "tf_crop_and_resize":
            result[axis] = scaled(x.shape[axis], _scale(scales, place, len(axes)))
    return one(x.dtype, tuple(result))


def upsample(node: Node) -> Types:
    """Upsample(x, scales): size * scale rounded down."""
    x = data(node)
    inputs = neutral_inputs(node)
    if x.shape is None or len(inputs) < 2 or inputs[1] is None:
        raise TooHard
    rank = len(x.shape)
    return one(x.dtype, tuple(scaled(size, _scale(inputs[1], axis, rank)) for axis, size in enumerate(x.shape)))


def scaled(size: Size, scale: float | None) -> Size:
    """size * scale rounded down, when every way of computing it gives the same.

    Runtimes multiply float32, so a scale that is not a power of two may come out one lower than over the reals: 1/3 of a size is claimed
    for no symbol. A whole scale is exact: sizes of spatial axes are taken to be below 2^24.
    """
    if size is None or scale is None:
        return None
    if isinstance(size, int):
        single = int(np.floor(np.float32(size) * np.float32(scale)))
        return single if single == int(np.floor(float(size) * scale)) else None
    if scale >= 1 and scale == int(scale):
        return multiply(size, int(scale))
    mantissa, _ = np.frexp(scale)
    return floor_divide(size, int(1 / scale)) if mantissa == 0.5 and scale > 0 else None


def _stretches(node: Node) -> bool:
    """Whether sizes are taken as they are given; the other policies keep an aspect ratio."""
    return neutral_attribute(node, "keep_aspect_ratio_policy") in (None, "stretch")


def _is_empty(value: Value | None) -> bool:
    return value is None or shape_of(value) == (0,)


def _scale(scales: Value, place: int, count: int) -> float | None:
    held = scales.const
    if held is None:
        return None
    if held.shape != (count,):
        raise NotKnown
    return float(held.numpy()[place])


def affine_grid(node: Node) -> Types:
    """AffineGrid(theta, size): size is (N, C, H, W) or (N, C, D, H, W); a grid of points with 2 or 3 coordinates."""
    theta, size = data(node), elements(node.input(1))
    if size is None or len(size) not in (4, 5):
        raise TooHard
    return one(theta.dtype, (size[0], *size[2:], len(size) - 2))


def center_crop_pad(node: Node) -> Types:
    """CenterCropPad(x, shape): the sizes in `shape`, on the axes that are named or on all."""
    x, wanted = data(node), elements(node.input(1))
    if x.shape is None:
        return one(x.dtype, None)
    axes = tuple(axis_of(axis, len(x.shape)) for axis in integers(node, "axes") or range(len(x.shape)))
    shape: list[Size] = list(x.shape)
    for place, axis in enumerate(axes):
        shape[axis] = None if wanted is None else wanted[place]
    found: Shape = tuple(shape)
    return one(x.dtype, found)


RULES: dict[str, InferenceRule] = {
    "AffineGrid": affine_grid,
    "CenterCropPad": center_crop_pad,
    "Resize": resize,
    "Upsample": upsample,
}
