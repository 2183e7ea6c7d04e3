"""How nodes of the newest spelling are written at an older opset, and which old nodes the newest spelling cannot say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.dim import Shape
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType
from graphopt.schema.traits import REDUCTIONS
from graphopt.schema.versions import (
    DEPRECATED,
    FLATTENING,
    FLATTENING_UNTIL,
    MOVED,
    NEGATIVE_AXIS,
    NEGATIVE_AXIS_SINCE,
    OLDEST,
    VARIADIC,
    Form,
    Move,
)


class CannotSpell(Exception):
    """An operator, as the newest opset spells it, has no form at the model's opset; raised by the builder, heard by the driver.

    `since` is the first newer opset that has the form, if there is one.
    """

    def __init__(self, why: str, since: int | None = None) -> None:
        super().__init__(why)
        self.since = since


Inputs = list["Value | None"]
Attributes = dict[str, Any]  # Any: what a caller gives as an attribute


def lower(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    """Rewrite inputs and attributes from the newest spelling into that of `opset`, in place. Raises CannotSpell."""
    for step in _STEPS.get(op, ()):
        step(op, opset, inputs, attributes, outputs)


def needs_lowering(op: str) -> bool:
    """Whether any older opset (or the newest: Split) writes the operator otherwise than a caller does."""
    return op in _STEPS


def has_form(node: Node, opset: int) -> bool:
    """Whether the newest spelling can say what a node of the default domain, known at `opset`, says."""
    if opset < OLDEST:
        return False
    move = MOVED.get(node.op)
    if move is not None and opset < move.since and not _moves(node, move):
        return False
    check = _NO_FORM.get(node.op)
    return check is None or not check(node, opset)


def may_lack_form(op: str) -> bool:
    """Whether some node of this operator, at some opset since 7, says what the newest spelling cannot say."""
    return op in MOVED or op in _NO_FORM or op in DEPRECATED


def _moves(node: Node, move: Move) -> bool:
    for name, moved in move.attributes.items():
        found = node.attributes.get(name)
        if found is not None and found.reference:
            return False
        if moved.form is Form.like_data and (found is not None or moved.absent is not None):
            data = node.input(0)
            if data is None or data.dtype is None:  # the constant would have no type
                return False
    return True


# ---- what has no newest form


def _flattens(node: Node, opset: int) -> bool:
    """Softmax below 13 equals the newest one when only extents of 1 follow the axis."""
    if opset > FLATTENING_UNTIL:
        return False
    axis = node.attributes.get("axis")
    if axis is not None and axis.reference:
        return True
    data = node.input(0)
    return data is None or not _is_last(1 if axis is None else axis.value, data.shape)


def _is_last(axis: object, shape: Shape | None) -> bool:
    if axis == -1:
        return True
    if not isinstance(axis, int) or shape is None or not -len(shape) <= axis < len(shape):
        return False
    return all(size == 1 for size in shape[axis % len(shape) + 1 :])


def _normalizes_otherwise(node: Node, opset: int) -> bool:
    if opset >= 14:
        return False
    spatial = node.attributes.get("spatial") if opset < 9 else None
    return len(node.outputs) > 1 or (spatial is not None and spatial.value != 1)


def _masks_otherwise(node: Node, opset: int) -> bool:
    return opset < 10 and len(node.outputs) > 1 and bool(node.outputs[1].users)  # the mask was no bool


def _resizes_otherwise(node: Node, opset: int) -> bool:
    """Opset 10 said nothing of rounding: runtimes round up when they shrink to the nearest element."""
    if opset != 10 or node.attribute("mode", "nearest") == "linear":
        return False
    scales = node.input(1)
    return scales is None or scales.const is None or min(numbers(scales.const), default=1) < 1


def _places_otherwise(node: Node, opset: int) -> bool:
    """ConvTranspose-1 states the halves of odd padding the other way round than 11."""
    if opset >= 11:
        return False
    return "output_shape" in node.attributes or node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or _refers(node, "auto_pad")


def _refers(node: Node, name: str) -> bool:
    found = node.attributes.get(name)
    return found is not None and bool(found.reference)


_NO_FORM: dict[str, Callable[[Node, int], bool]] = {
    **dict.fromkeys(sorted(FLATTENING), _flattens),
    "BatchNormalization": _normalizes_otherwise,
    "ConvTranspose": _places_otherwise,
    "Dropout": _masks_otherwise,
    "OneHot": lambda node, opset: opset < 11,  # an index below zero meant "off"
    "Resize": _resizes_otherwise,
    "Scan": lambda node, opset: opset < 9,  # Scan-8 has a batch axis
}


# ---- from the newest spelling to an older one


def _lower_moved(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    move = MOVED[op]
    if opset >= move.since:
        return
    for name, moved in move.attributes.items():
        value = inputs[moved.slot] if moved.slot < len(inputs) else None
        if value is None:
            if op == "Clip" and (inputs[0] is None or inputs[0].dtype is not DType.float32):
                why = f"Clip without {name} has the bounds of float32 before opset {move.since}, whatever its operand is"
                raise CannotSpell(why, move.since)
            continue
        if value.const is None:
            raise CannotSpell(f"{op} takes {name} as an attribute before opset {move.since}, and {value!r} is not constant", move.since)
        attributes[name] = attribute_of(value.const, moved.form, f"{op}'s {name}")
    if op == "DFT" and attributes.get("axis") is None:
        attributes["axis"] = -2
    first = min(moved.slot for moved in move.attributes.values())
    if any(value is not None for value in inputs[len(move.attributes) + first :]):
        raise CannotSpell(f"{op} has {first} inputs before opset {move.since}", move.since)
    del inputs[first:]


def numbers(tensor: Tensor) -> list[Any]:  # Any: ints or floats
    """All elements of a small constant."""
    held: list[Any] = tensor.numpy().reshape(-1).tolist()
    return held


def attribute_of(tensor: Tensor, form: Form, what: str) -> Attribute:
    """The attribute that says what an input of this content says. Raises CannotSpell when none can: it holds int64 and float32 alone."""
    if form in (Form.ints, Form.int_vector, Form.int_scalar):
        if not tensor.dtype.is_integer:
            raise CannotSpell(f"{what} is no integer")
        held = tuple(map(int, numbers(tensor)))
        return Attribute(AttributeKind.ints, held) if form is Form.ints else Attribute(AttributeKind.int, _one(held, what))
    wide = tensor.numpy().astype(np.float64).reshape(-1)
    with np.errstate(over="ignore"):
        single = wide.astype(np.float32)
    if not np.array_equal(single.astype(np.float64), wide, equal_nan=True):
        raise CannotSpell(f"{what} is not exact as a float32, which is what an attribute holds")
    if form is Form.floats:
        return Attribute(AttributeKind.floats, tuple(single.tolist()))
    return Attribute(AttributeKind.float, _one(tuple(single.tolist()), what))


def _one(held: tuple[Any, ...], what: str) -> Any:  # Any: int or float
    if len(held) != 1:
        raise CannotSpell(f"{what} has {len(held)} elements, an attribute says one")
    return held[0]


def _lower_axis(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    """Negative axes become positive ones before opset 11."""
    axis = attributes.get("axis")
    if opset >= NEGATIVE_AXIS_SINCE or not isinstance(axis, int) or axis >= 0:
        return
    attributes["axis"] = axis + _rank(op, inputs)


def _lower_axes(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    axes = attributes.get("axes")
    if opset >= NEGATIVE_AXIS_SINCE or not isinstance(axes, Attribute) or not isinstance(axes.value, tuple):
        return
    if any(isinstance(axis, int) and axis < 0 for axis in axes.value):
        rank = _rank(op, inputs) + (len(axes.value) if op == "Unsqueeze" else 0)
        attributes["axes"] = tuple(axis % rank for axis in axes.value if isinstance(axis, int))


def _rank(op: str, inputs: Inputs) -> int:
    rank = inputs[0].rank if inputs and inputs[0] is not None else None
    if rank is None:
        why = f"{op} counts axes from the back since opset {NEGATIVE_AXIS_SINCE} only, and the rank of its input is unknown"
        raise CannotSpell(why, NEGATIVE_AXIS_SINCE)
    return rank


def _lower_noop(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    """Whether no axes mean all axes does not matter when there are axes."""
    axes = inputs[1] if len(inputs) > 1 else None
    if opset < MOVED[op].since and axes is not None and axes.const is not None and axes.const.size:
        attributes.pop("noop_with_empty_axes", None)


def _lower_flattening(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset > FLATTENING_UNTIL:
        return
    axis = -1 if attributes.get("axis") is None else attributes["axis"]
    shape = inputs[0].shape if inputs and inputs[0] is not None else None
    if not _is_last(axis, shape):
        raise CannotSpell(f"{op} before opset {FLATTENING_UNTIL + 1} normalizes all axes from {axis} on together", FLATTENING_UNTIL + 1)
    attributes["axis"] = axis


def _lower_pad(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    """Pads of some axes become pads of all before opset 18."""
    axes = inputs[3] if len(inputs) > 3 else None
    if opset >= 18 or axes is None:
        return
    pads = inputs[1]
    if axes.const is None or pads is None or pads.const is None:
        raise CannotSpell("Pad takes no axes before opset 18, and these are not constant", 18)
    rank, given, chosen = _rank(op, inputs), numbers(pads.const), numbers(axes.const)
    full = [0] * (2 * rank)
    for place, axis in enumerate(chosen):
        full[axis % rank], full[axis % rank + rank] = given[place], given[place + len(chosen)]
    inputs[1] = constant(Tensor.of(full, pads.const.dtype))
    del inputs[3:]


def _lower_slice(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    steps = inputs[4] if len(inputs) > 4 else None
    axes = inputs[3] if len(inputs) > 3 else None
    if opset < 10 and steps is not None:
        if steps.const is None or any(step != 1 for step in numbers(steps.const)):
            raise CannotSpell("Slice takes no steps before opset 10", 10)
        del inputs[4:]
    if opset == 10 and axes is not None:
        if axes.const is None:
            return
        if min(numbers(axes.const), default=0) < 0:
            inputs[3] = constant(Tensor.of([axis % _rank(op, inputs) for axis in numbers(axes.const)], axes.const.dtype))


def _lower_dropout(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset >= 12:
        return
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and (training.const is None or training.const.item()):
        raise CannotSpell("Dropout trains by an input since opset 12 only", 12)
    del inputs[2:]
    if outputs > 1 and opset < 10:
        raise CannotSpell("the mask of Dropout is bool since opset 10 only", 10)


def _lower_split(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    """Equal parts are counted by num_outputs since opset 18, by the outputs before, and had to divide the axis then."""
    is_given = len(inputs) > 1 and inputs[1] is not None
    parts = attributes.get("num_outputs")
    if opset >= 18:
        if not is_given and parts is None:
            attributes["num_outputs"] = outputs
        return
    if parts is None:
        return
    shape = inputs[0].shape if inputs and inputs[0] is not None else None
    axis = attributes.get("axis") or 0
    extent = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
    if parts != outputs or not isinstance(extent, int) or extent % outputs:
        raise CannotSpell("Split makes parts of differing size by num_outputs since opset 18 only", 18)
    del attributes["num_outputs"]


def _lower_normalization(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset < 14 and outputs > 1:
        raise CannotSpell("BatchNormalization with more outputs than one means training before opset 14", 14)


def _lower_resize(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    inputs.extend([None] * (4 - len(inputs)))
    data, roi, scales, sizes = inputs
    mode = attributes.get("mode") or "nearest"
    if opset == 10:
        placed, rounded = attributes.pop("coordinate_transformation_mode", None), attributes.pop("nearest_mode", None)
        if placed != "asymmetric" or (mode == "nearest" and rounded != "floor"):
            raise CannotSpell("Resize at opset 10 knows coordinates 'asymmetric' and rounding 'floor' only", 11)
        if roi is not None or sizes is not None or scales is None:
            raise CannotSpell("Resize at opset 10 takes scales only", 11)
        if mode == "nearest" and (scales.const is None or min(numbers(scales.const), default=1) < 1):
            raise CannotSpell("Resize at opset 10 does not say how it rounds when it shrinks", 11)
        inputs[:] = [data, scales]
    elif opset < 13:
        empty = np.empty(0, np.float32)
        inputs[1] = constant(Tensor.of(empty)) if roi is None else roi
        inputs[2] = constant(Tensor.of(empty)) if scales is None else scales


def _lower_variadic(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset >= 8:
        return
    shapes = {None if value is None else value.shape for value in inputs}
    if len(shapes) != 1 or any(shape is None or None in shape for shape in shapes):
        raise CannotSpell(f"{op} broadcasts since opset 8 only", 8)


def _lower_reshape(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    shape = inputs[1] if len(inputs) > 1 else None
    if opset < 14 and shape is not None and shape.const is not None and 0 not in numbers(shape.const):
        attributes.pop("allowzero", None)  # it says what a 0 means, and there is none


def _lower_gather(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    indices = inputs[1] if len(inputs) > 1 else None
    if opset < 11 and (indices is None or indices.const is None or min(numbers(indices.const), default=0) < 0):
        raise CannotSpell("Gather counts from the back since opset 11 only, and its indices may be negative", 11)


def _lower_one_hot(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset < 11:
        raise CannotSpell("OneHot takes negative indices otherwise before opset 11", 11)


def _lower_transposed(op: str, opset: int, inputs: Inputs, attributes: Attributes, outputs: int) -> None:
    if opset < 11 and (attributes.get("output_shape") is not None or attributes.get("auto_pad") not in (None, "NOTSET", "VALID")):
        raise CannotSpell("ConvTranspose pads otherwise by itself before opset 11", 11)


def constant(tensor: Tensor, name: str = "") -> Value:
    """A value of this content that nothing owns: no producer, no graph. `name` is a wish."""
    return Value(name, TensorType(tensor.dtype, tensor.shape), tensor=tensor)


Step = Callable[[str, int, Inputs, Attributes, int], None]
_STEPS: dict[str, tuple[Step, ...]] = {
    **dict.fromkeys(sorted(NEGATIVE_AXIS), (_lower_axis,)),
    **dict.fromkeys(sorted(FLATTENING), (_lower_flattening, _lower_axis)),
    **dict.fromkeys(sorted(VARIADIC), (_lower_variadic,)),
    **dict.fromkeys(sorted(MOVED), (_lower_moved,)),
    **dict.fromkeys(sorted(REDUCTIONS), (_lower_noop, _lower_moved, _lower_axes)),
    "BatchNormalization": (_lower_normalization,),
    "ConvTranspose": (_lower_transposed,),
    "Dropout": (_lower_dropout, _lower_moved),
    "Gather": (_lower_gather, _lower_axis),
    "OneHot": (_lower_one_hot,),
    "Pad": (_lower_pad, _lower_moved),
    "Reshape": (_lower_reshape,),
    "Resize": (_lower_resize,),
    "Slice": (_lower_slice, _lower_moved, _lower_axes),
    "Split": (_lower_axis, _lower_split, _lower_moved),
    "Squeeze": (_lower_moved, _lower_axes),
    "Unsqueeze": (_lower_moved, _lower_axes),
}
