"""One node as onnx's own inference and kernels want it: a NodeProto whose values are called i0, i1, ... and o0, o1, ..."""

from __future__ import annotations

import onnx

from graphopt.infer.call import NotKnown
from graphopt.io.attributes import write_kind, write_plain
from graphopt.io.types import type_from_proto, type_to_proto
from graphopt.ir.attribute import Attribute, AttributeKind, Opaque
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Strings, Tensor
from graphopt.ir.types import OptionalType, SequenceType, SparseTensorType, TensorType, Type


def to_node_proto(node: Node) -> onnx.NodeProto:
    """The node without its names. Raises NotKnown for attributes that refer to a function's, hold graphs, or are opaque."""
    message = onnx.NodeProto(op_type=node.op_type, domain=node.domain, overload=node.overload)
    message.input.extend("" if value is None else f"i{slot}" for slot, value in enumerate(node.inputs))
    message.output.extend(f"o{index}" for index in range(len(node.outputs)))
    for name, attribute in node.attributes.items():
        message.attribute.append(_attribute(name, attribute))
    return message


def to_tensor_proto(tensor: Tensor, name: str = "") -> onnx.TensorProto:
    """The tensor with its elements."""
    message = onnx.TensorProto(name=name, data_type=int(tensor.dtype), dims=tensor.shape)
    if isinstance(tensor.storage, Strings):
        message.string_data.extend(tensor.storage.elements)
    else:
        message.raw_data = bytes(tensor.storage.view())
    return message


def _attribute(name: str, attribute: Attribute) -> onnx.AttributeProto:
    value = attribute.value
    if value is None or isinstance(value, Opaque) or attribute.graphs():
        raise NotKnown
    message = onnx.AttributeProto(name=name)
    write_kind(message, attribute.kind)
    if isinstance(value, Tensor):
        message.t.CopyFrom(to_tensor_proto(value))
    elif isinstance(value, tuple) and attribute.kind is AttributeKind.tensors:
        message.tensors.extend(to_tensor_proto(item) for item in value if isinstance(item, Tensor))
    write_plain(message, attribute)
    return message


def to_named_type(type: Type, symbols: dict[str, Size]) -> onnx.TypeProto:
    """The type with its symbolic sizes written as names, which `symbols` learns."""
    _learn(type, symbols)
    return type_to_proto(type, is_declared=False)


def from_named_type(message: onnx.TypeProto, symbols: dict[str, Size]) -> Type | None:
    """The type again; a name that nobody gave is one that onnx made up, and says nothing."""
    return _resolved(type_from_proto(message), symbols)


def _learn(type: Type, symbols: dict[str, Size]) -> None:
    if isinstance(type, (TensorType, SparseTensorType)):
        for size in type.shape or ():
            if isinstance(size, Dim):
                known = symbols.setdefault(str(size), size)
                if known != size:
                    symbols[str(size)] = None  # a model may call a symbol "N + 1"
    elif isinstance(type, (SequenceType, OptionalType)) and type.element is not None:
        _learn(type.element, symbols)


def _resolved(type: Type | None, symbols: dict[str, Size]) -> Type | None:
    if isinstance(type, TensorType) and type.shape is not None:
        return TensorType(type.dtype, tuple(_size(size, symbols) for size in type.shape))
    if isinstance(type, SequenceType):
        return SequenceType(_resolved(type.element, symbols))
    return OptionalType(_resolved(type.element, symbols)) if isinstance(type, OptionalType) else type


def _size(size: Size, symbols: dict[str, Size]) -> Size:
    return symbols.get(size.name or "") if isinstance(size, Dim) else size


