"""Types of values, to and from protobuf."""

from __future__ import annotations

import onnx

from graphopt.ir.dim import Dim, Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.types import MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorType, Type

_DTYPES = {int(kind): kind for kind in DType}


def type_from_proto(message: onnx.TypeProto) -> Type | None:
    """What a TypeProto declares; None when it declares nothing, or an element type that graphopt does not know."""
    kind = message.WhichOneof("value")
    if kind == "tensor_type" or kind == "sparse_tensor_type":
        tensor = message.tensor_type if kind == "tensor_type" else message.sparse_tensor_type
        dtype = _DTYPES.get(tensor.elem_type)
        if not dtype:  # undefined or unknown
            return None
        shape = _shape(tensor.shape) if tensor.HasField("shape") else None
        return TensorType(dtype, shape) if kind == "tensor_type" else SparseTensorType(dtype, shape)
    if kind == "sequence_type":
        return SequenceType(type_from_proto(message.sequence_type.elem_type))
    if kind == "optional_type":
        return OptionalType(type_from_proto(message.optional_type.elem_type))
    if kind == "map_type":
        key = _DTYPES.get(message.map_type.key_type)
        return MapType(key, type_from_proto(message.map_type.value_type)) if key else None
    if kind == "opaque_type":
        return OpaqueType(message.opaque_type.domain, message.opaque_type.name)
    return None


def _shape(message: onnx.TensorShapeProto) -> Shape:
    return tuple(map(_size, message.dim))


def _size(message: onnx.TensorShapeProto.Dimension) -> Size:
    if is_open(message):
        return None
    return Dim.symbol(message.dim_param) if message.dim_param else message.dim_value


def is_open(message: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether a dimension is declared neither as a number nor by a name; some exporters write "?" or -1 for that."""
    kind = message.WhichOneof("value")
    if kind == "dim_value":
        return message.dim_value < 0
    return kind is None or message.dim_param in ("", "?")


def declarable(size: Size) -> int | str | None:
    """How a model may declare a size: its number, or the one name that it is; None for a formula and for what inference named (`?x.0`)."""
    if size is None or isinstance(size, int):
        return size
    return None if size.name is None or size.name.startswith("?") else size.name


def type_to_proto(type: Type | None, *, is_declared: bool = True) -> onnx.TypeProto:
    """The TypeProto that declares a type; an empty one for None. A symbolic dimension is written as its expression.

    What inference calls the sizes that nobody knows (`?x.0`) is not for a model to declare; it is written only without `is_declared`.
    """
    message = onnx.TypeProto()
    if type is not None:
        _fill(message, type, is_declared)
    return message


def _fill(message: onnx.TypeProto, type: Type, is_declared: bool) -> None:
    if isinstance(type, (TensorType, SparseTensorType)):
        tensor = message.tensor_type if isinstance(type, TensorType) else message.sparse_tensor_type
        tensor.elem_type = int(type.dtype)
        if type.shape is not None:
            tensor.shape.SetInParent()
            for size in type.shape:
                dim = tensor.shape.dim.add()
                if isinstance(size, int):
                    dim.dim_value = size
                elif size is not None and not (is_declared and any(name.startswith("?") for name in size.symbols)):
                    dim.dim_param = str(size)
    elif isinstance(type, (SequenceType, OptionalType)):
        holder = message.sequence_type if isinstance(type, SequenceType) else message.optional_type
        holder.SetInParent()
        if type.element is not None:
            _fill(holder.elem_type, type.element, is_declared)
    elif isinstance(type, MapType):
        message.map_type.key_type = int(type.key)
        if type.value is not None:
            _fill(message.map_type.value_type, type.value, is_declared)
    else:
        message.opaque_type.SetInParent()
        message.opaque_type.domain = type.domain
        message.opaque_type.name = type.name
