"""The operators that numpy has itself: what exporters leave to fold, most of the time, so that onnx's kernels need not be loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Array, Tensor
from graphopt.schema.spelling import UNKNOWN, neutral_attribute, neutral_inputs

Arrays = Sequence["Array | None"]
Kernel = Callable[[Node, "list[Any]"], "list[Any]"]  # Any: an array of any element type, None for an absent operand


LARGE: Final = 1 << 16  # bytes from which on a copy costs more than to keep the whole


class NotPlain(Exception):
    """This call is left to onnx's kernel."""


def run_plain(node: Node, arrays: Arrays) -> list[Any] | None:
    """What a node gives for these arrays, the same bits as onnx's kernel; None for an operator, a call or elements that it is left to.

    Of the element types that numpy computes in as ONNX does: bool, integers, float32, float64; float16 is only moved and converted.
    """
    kernel = _KERNELS.get(node.op)
    if kernel is None:
        return None
    kinds = {array.dtype for array in arrays if array is not None}
    if not all(kind in PLAIN or (kind == np.float16 and node.op in MOVING) for kind in kinds):
        return None
    try:
        with np.errstate(all="ignore"):
            return kernel(node, _operands(node, arrays))
    except (NotPlain, ValueError, IndexError, TypeError):  # what numpy raises on operands that do not fit: onnx's kernel says why
        return None


PLAIN: Final = frozenset(
    map(np.dtype, ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"))
)


def _operands(node: Node, arrays: Arrays) -> list[Any]:
    """The operands as the newest opset has them: what was an attribute is one of them."""
    moved = neutral_inputs(node)[len(arrays) :]
    return [*arrays, *(None if value is None or value.tensor is None else value.tensor.numpy() for value in moved), *(None,) * 5]


def _attribute(node: Node, name: str) -> Any:  # Any: of whatever kind
    value = neutral_attribute(node, name)
    if value is UNKNOWN:
        raise NotPlain
    return value


def _axes(array: Any) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.asarray(array).reshape(-1))


def _concat(node: Node, operands: list[Any]) -> list[Any]:
    given = operands[: len(node.inputs)]
    if len({array.dtype for array in given}) > 1:
        raise NotPlain
    return [np.concatenate(given, axis=_attribute(node, "axis"))]


def _transpose(node: Node, operands: list[Any]) -> list[Any]:
    return [np.transpose(operands[0], _attribute(node, "perm"))]


def _reshape(node: Node, operands: list[Any]) -> list[Any]:
    x, wanted = operands[0], _axes(operands[1])
    if not _attribute(node, "allowzero"):
        wanted = tuple(x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted))
    elif 0 in wanted:
        raise NotPlain
    return [x.reshape(wanted)]


def _unsqueeze(node: Node, operands: list[Any]) -> list[Any]:
    axes = _axes(operands[1])
    if len(axes) > 1 and (min(axes) < 0 or sorted(axes) != list(axes)):  # onnx's kernel of the first version adds one after the other
        raise NotPlain
    return [np.expand_dims(operands[0], axes)]


def _squeeze(node: Node, operands: list[Any]) -> list[Any]:
    if operands[1] is None or not operands[1].size:
        raise NotPlain
    return [np.squeeze(operands[0], _axes(operands[1]))]


def _expand(node: Node, operands: list[Any]) -> list[Any]:
    x, wanted = operands[0], _axes(operands[1])
    return [np.array(np.broadcast_to(x, np.broadcast_shapes(x.shape, wanted)))]


def _part(part: Any) -> Any:
    """A part as an array of its own; a large one that lies in one piece, of what nobody changes, is no copy."""
    is_kept = part.nbytes >= LARGE and part.flags.c_contiguous and not part.flags.writeable
    return part if is_kept else np.array(part)


def _slice(node: Node, operands: list[Any]) -> list[Any]:
    x, starts, ends, axes, steps = operands[:5]
    along = range(len(starts)) if axes is None else _axes(axes)
    by = (1,) * len(starts) if steps is None else _axes(steps)
    if len({axis % x.ndim for axis in along}) < len(starts) or any(step < 1 for step in by):
        raise NotPlain
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(_axes(starts), _axes(ends), along, by, strict=True):
        cut[axis] = slice(start, end, step)
    return [_part(x[tuple(cut)])]


def _split(node: Node, operands: list[Any]) -> list[Any]:
    x, axis = operands[0], _attribute(node, "axis")
    if operands[1] is None:
        if x.shape[axis] % len(node.outputs):
            raise NotPlain
        return [_part(part) for part in np.split(x, len(node.outputs), axis)]
    sizes = _axes(operands[1])
    if sum(sizes) != x.shape[axis] or len(sizes) != len(node.outputs):
        raise NotPlain
    return [_part(part) for part in np.split(x, np.cumsum(sizes)[:-1], axis)]


def _gather(node: Node, operands: list[Any]) -> list[Any]:
    return [np.asarray(np.take(operands[0], operands[1], axis=_attribute(node, "axis")))]  # which refuses what is out of bounds


def _range(node: Node, operands: list[Any]) -> list[Any]:
    start, limit, delta = operands[:3]
    if start.dtype.kind not in "iu" or not delta:
        raise NotPlain
    return [np.arange(start.item(), limit.item(), delta.item()).astype(start.dtype)]


def _constant_of_shape(node: Node, operands: list[Any]) -> list[Any]:
    value = node.attribute("value")
    if not isinstance(value, Tensor) or value.dtype.numpy not in PLAIN:
        raise NotPlain
    return [np.full(_axes(operands[0]), value.numpy().reshape(()))]


def _tile(node: Node, operands: list[Any]) -> list[Any]:
    return [np.tile(operands[0], _axes(operands[1]))]


def _cast(node: Node, operands: list[Any]) -> list[Any]:
    to = DType(_attribute(node, "to")).numpy
    if to not in PLAIN and to != np.float16:
        raise NotPlain
    return [operands[0].astype(to)]


def _pow(node: Node, operands: list[Any]) -> list[Any]:
    x, exponent = operands[:2]
    return [np.asarray(np.power(x, exponent).astype(x.dtype))]


def _where(node: Node, operands: list[Any]) -> list[Any]:
    condition, x, y = operands[:3]
    if x.dtype != y.dtype:
        raise NotPlain
    return [np.where(condition, x, y)]


def _reduced(function: Callable[..., Any]) -> Kernel:
    def kernel(node: Node, operands: list[Any]) -> list[Any]:
        x, axes, keeps = operands[0], operands[1], _attribute(node, "keepdims")
        none = axes is None or not axes.size
        if not x.size or keeps not in (0, 1) or (none and (axes is not None or _attribute(node, "noop_with_empty_axes"))):
            raise NotPlain
        return [np.asarray(function(x, None if axes is None else _axes(axes), bool(keeps)))]

    return kernel


def _of_one_type(function: Callable[..., Any]) -> Kernel:
    def kernel(node: Node, operands: list[Any]) -> list[Any]:
        given = operands[: len(node.inputs)]
        if any(array.dtype != given[0].dtype for array in given):
            raise NotPlain
        return [np.asarray(function(*given))]

    return kernel


def _folded(function: Callable[..., Any]) -> Kernel:
    return _of_one_type(lambda *given: reduce(function, given))


def _float_only(function: Callable[..., Any]) -> Kernel:
    def kernel(node: Node, operands: list[Any]) -> list[Any]:
        if operands[0].dtype.kind != "f":
            raise NotPlain
        return _of_one_type(function)(node, operands)

    return kernel


def _length(x: Any, axes: tuple[int, ...] | None, keeps: bool) -> Any:
    return np.sqrt(np.sum(np.square(x), axis=axes, keepdims=keeps)).astype(x.dtype)


def _largest(x: Any, axes: tuple[int, ...] | None, keeps: bool) -> Any:
    return np.max(x, axis=axes, keepdims=keeps)


def _mean(x: Any, axes: tuple[int, ...] | None, keeps: bool) -> Any:
    return np.mean(x, axis=axes, keepdims=keeps, dtype=x.dtype)


MOVING: Final = frozenset({"Cast", "Concat", "Expand", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
_KERNELS: Final[dict[str, Kernel]] = {
    "Add": _of_one_type(np.add),
    "Cast": _cast,
    "Ceil": _float_only(np.ceil),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _float_only(np.divide),
    "Equal": _of_one_type(np.equal),
    "Exp": _float_only(np.exp),
    "Expand": _expand,
    "Floor": _float_only(np.floor),
    "Gather": _gather,
    "Greater": _of_one_type(np.greater),
    "GreaterOrEqual": _of_one_type(np.greater_equal),
    "Less": _of_one_type(np.less),
    "LessOrEqual": _of_one_type(np.less_equal),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Mul": _of_one_type(np.multiply),
    "Neg": _float_only(np.negative),
    "Pow": _pow,
    "Range": _range,
    "Reciprocal": _float_only(np.reciprocal),
    "ReduceL2": _reduced(_length),
    "ReduceMax": _reduced(_largest),
    "ReduceMean": _reduced(_mean),
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _float_only(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _of_one_type(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
