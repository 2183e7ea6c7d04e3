"""Where two versions of an operator, spelled alike, mean different things: what `spelling` cannot see.

Found by reading the texts of all versions in onnx.defs, from those that opset 7 selects up to `READ_UP_TO`. What is not listed means the
same in all versions that can spell it: types were added, attributes whose default says what was so before, or wording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final, TypeAlias, final

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.types import TensorType

READ_UP_TO: Final = 28

Check: TypeAlias = "Callable[[Node], str | None]"


@final
@dataclass(frozen=True, slots=True)
class Change:
    """What opset `since` changed in one operator: `upwards` and `downwards` say why a node means something else there, or None."""

    since: int
    upwards: Check | None = None
    downwards: Check | None = None


def change_of_meaning(node: Node, before: int, after: int) -> str | None:
    """Why a node of the default domain, written for opset `before`, means something else at opset `after`; None when it does not."""
    for change in CHANGES.get(node.op, ()):
        if min(before, after) < change.since <= max(before, after):
            check = change.upwards if before < after else change.downwards
            why = None if check is None else check(node)
            if why is not None:
                return why
    return None


# ---- pooling


def _ints(node: Node, name: str, count: int, absent: int) -> tuple[int, ...] | None:
    """An attribute with a number for each axis; None when it is not known."""
    held = node.attributes.get(name)
    if held is None:
        return (absent,) * count
    numbers = _all_ints(held.value)
    return numbers if numbers is not None and len(numbers) == count else None


def _all_ints(held: object) -> tuple[int, ...] | None:
    """What is held, when it is several numbers, all known."""
    numbers = tuple(item for item in held if isinstance(item, int)) if isinstance(held, tuple) else ()
    return numbers if isinstance(held, tuple) and len(numbers) == len(held) else None


def _windows(node: Node) -> list[tuple[object, int, int, int, int]] | None:
    """Of each axis: extent, window with its gaps, stride, padding before and behind; None when that is not known."""
    kernel = _all_ints(node.attribute("kernel_shape"))
    count = 0 if kernel is None else len(kernel)
    dilations, strides, pads = _ints(node, "dilations", count, 1), _ints(node, "strides", count, 1), _ints(node, "pads", 2 * count, 0)
    if kernel is None or dilations is None or strides is None or pads is None:
        return None
    data = node.input(0)
    shape = data.shape if data is not None and data.shape is not None and len(data.shape) == count + 2 else (None,) * (count + 2)
    spans = [(size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True)]
    return list(zip(shape[2:], spans, strides, pads[:count], pads[count:], strict=True))


def _rounds_up(node: Node) -> bool:
    """Whether the last window may reach beyond the padding; by `auto_pad` it never does."""
    ceil_mode, auto_pad = node.attributes.get("ceil_mode"), node.attributes.get("auto_pad")
    if ceil_mode is None or (ceil_mode.value == 0 and not ceil_mode.reference):
        return False
    return auto_pad is None or bool(auto_pad.reference) or auto_pad.value == "NOTSET"


def _starts_in_padding(node: Node) -> str | None:
    """Since 22 a window that would begin in the padding behind is left out.

    The last window begins at ceil(L / s) * s < L + s, L = extent + before + behind - span: before the padding when span >= s + behind.
    """
    if not _rounds_up(node):
        return None
    windows = _windows(node)
    for extent, span, stride, before, behind in windows or ():
        if span >= stride + behind:
            continue
        if not isinstance(extent, int) or ceil((extent + before + behind - span) / stride) * stride >= extent + before:
            return "with ceil_mode a window may begin in the padding behind, which counts below opset 22 only"
    return None if windows is not None else "its windows are not known"


def _averages_beyond(node: Node) -> str | None:
    """Runtimes disagree on whether what lies beyond the padding counts as padding; since 19 it does not."""
    counts = node.attributes.get("count_include_pad")
    if not _rounds_up(node) or counts is None or (counts.value == 0 and not counts.reference):
        return None
    for extent, span, stride, before, behind in _windows(node) or ((None, 1, 1, 0, 0),):
        if stride > 1 and (not isinstance(extent, int) or (extent + before + behind - span) % stride):
            return "with ceil_mode and count_include_pad a window may reach beyond the padding, which opset 19 counts otherwise"
    return None


# ---- others


def _pads_unevenly(node: Node) -> str | None:
    """Below 11 the odd element of a ConvTranspose's own padding goes to the other side.

    total = stride * (extent - 1) + output_padding + span - output; the output is stride * extent under SAME_UPPER and SAME_LOWER.
    """
    auto_pad, output = node.attributes.get("auto_pad"), node.attributes.get("output_shape")
    if output is None and (auto_pad is None or auto_pad.value in ("NOTSET", "VALID")):
        return None
    why = "it pads by itself, and where the odd element goes changed with opset 11"
    weights, data = node.input(1), node.input(0)
    held = node.attributes.get("kernel_shape")
    kernel = _all_ints(held.value if held is not None else None if weights is None or weights.shape is None else weights.shape[2:])
    count = 0 if kernel is None else len(kernel)
    dilations, strides = _ints(node, "dilations", count, 1), _ints(node, "strides", count, 1)
    extra = _ints(node, "output_padding", count, 0)
    wanted = None if output is None else _all_ints(output.value)
    if kernel is None or dilations is None or strides is None or extra is None or (wanted is None and output is not None):
        return why
    shape = data.shape if data is not None and data.shape is not None else (None,) * (count + 2)
    for axis, (size, gap, stride, more) in enumerate(zip(kernel, dilations, strides, extra, strict=True)):
        total, extent = (size - 1) * gap + 1 - stride + more, shape[axis + 2]
        if wanted is not None and not isinstance(extent, int):
            return why
        if wanted is not None and isinstance(extent, int):
            total += stride * extent - wanted[axis - count]
        if total > 0 and total % 2:
            return why
    return None


def _masks(node: Node) -> str | None:
    if len(node.outputs) > 1 and (node.outputs[1].users or node.outputs[1].is_output):
        return "its mask is read, of which nothing is said below opset 12"
    return None


def _shifts_far(node: Node) -> str | None:
    bits = node.output.dtype.bits if node.output.dtype is not None else 0
    by = node.input(1)
    far = None if by is None or by.const is None else by.const.numpy().astype(np.int64)  # of uint64 the greatest become negative
    if far is None or not bool(np.all((far >= 0) & (far < bits))):
        return "shifting by as many bits as there are, or more, is undefined below opset 28, and the shift is not known to be less"
    return None


def _trains_in_halves(node: Node) -> str | None:
    training = node.attributes.get("training_mode")
    if training is None or training.value == 0 or node.output.dtype in (DType.float32, DType.float64):
        return None
    return "in training the statistics are computed in float32 since opset 15"


def _floors_floats(node: Node) -> str | None:
    if node.attribute("fmod", 0) == 0 and (node.output.dtype is None or node.output.dtype.is_float):
        return "fmod=0 takes no floats below opset 28"
    return None


def _masks_less(node: Node) -> str | None:
    return None if node.input(3) is None else "its mask may be shorter than the keys, which opset 23 does not allow"


def _scales_axes(node: Node) -> str | None:
    scale = node.input(1)
    if scale is None or scale.shape is None or (scale.shape and scale.shape != (1,)):
        return "below opset 13 there is one scale for all, and here there may be several"
    return None


def _has_volume(node: Node) -> str | None:
    data = node.input(0)
    return None if data is not None and data.rank == 4 else "below opset 20 it takes four dimensions, and here it may have others"


def _samples_half_pixels(node: Node) -> str | None:
    mode = node.attributes.get("coordinate_transformation_mode")
    if mode is not None and (mode.reference or mode.value == "tf_half_pixel_for_nn"):
        return "the coordinates 'tf_half_pixel_for_nn' do not exist since opset 13"
    return None


def _branches_differ(node: Node) -> str | None:
    """Below 11 both branches had to return the same shapes."""
    branches = [graph.outputs for graph in node.subgraphs]
    for one, other in zip(*branches, strict=False) if len(branches) == 2 else ():
        shape = one.type.shape if isinstance(one.type, TensorType) else None
        if shape is None or None in shape or one.type != other.type:
            return "below opset 11 both branches must return the same shapes, and these may not"
    return None


def _may_cross(node: Node) -> str | None:
    """Since 13 everything becomes `max` when `min` is above it; before, that meant nothing."""
    least, most = node.input(1), node.input(2)
    if least is None or most is None:
        return None
    low, high = (None if bound.const is None else bound.const.numpy().astype(np.float64) for bound in (least, most))
    if low is None or high is None or not (low <= high).all():
        return "below opset 13 its min must not be above its max, and that is not known"
    return None


_POOLING_22 = Change(22, _starts_in_padding, _starts_in_padding)
_SCALES = Change(13, None, _scales_axes)
CHANGES: Final[dict[str, tuple[Change, ...]]] = {
    "Attention": (Change(24, None, _masks_less),),
    "AveragePool": (Change(19, _averages_beyond, _averages_beyond), _POOLING_22),
    "BatchNormalization": (Change(15, _trains_in_halves, _trains_in_halves),),
    "BitShift": (Change(28, _shifts_far, _shifts_far),),
    "Clip": (Change(13, None, _may_cross),),
    "ConvTranspose": (Change(11, _pads_unevenly, _pads_unevenly),),
    "DequantizeLinear": (_SCALES,),
    "Dropout": (Change(12, _masks, _masks),),
    "GridSample": (Change(20, None, _has_volume),),
    "If": (Change(11, None, _branches_differ),),
    "MaxPool": (_POOLING_22,),
    "Mod": (Change(28, None, _floors_floats),),
    "QuantizeLinear": (_SCALES,),
    "Resize": (Change(13, _samples_half_pixels, None),),
}
