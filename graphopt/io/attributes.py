"""What a node's attribute holds, as its message has it, but for tensors and graphs: these are written by whoever knows where they go."""

from __future__ import annotations

from typing import Final

import onnx

from graphopt.io.types import type_to_proto
from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.types import Type

_KINDS: Final[dict[AttributeKind, onnx.AttributeProto.AttributeType]] = {
    kind: getattr(onnx.AttributeProto, onnx.AttributeProto.AttributeType.Name(int(kind))) for kind in AttributeKind
}


def write_kind(message: onnx.AttributeProto, kind: AttributeKind) -> None:
    """Say what an attribute holds; ONNX numbers the kinds as `AttributeKind` does."""
    message.type = _KINDS[kind]


def write_plain(message: onnx.AttributeProto, attribute: Attribute) -> None:
    """Fill in numbers, texts and types, one or a list of them. Tensors, graphs and what is opaque are left out."""
    value = attribute.value
    for item in value if isinstance(value, tuple) else ():
        if isinstance(item, (str, bytes)):
            message.strings.append(encoded(item))
        elif isinstance(item, Type):
            message.type_protos.append(type_to_proto(item))
        elif attribute.kind is AttributeKind.floats and isinstance(item, (int, float)):
            message.floats.append(item)
        elif isinstance(item, int):
            message.ints.append(item)
    if attribute.kind is AttributeKind.float and isinstance(value, (int, float)):
        message.f = value
    elif isinstance(value, int):
        message.i = value
    elif isinstance(value, (str, bytes)):
        message.s = encoded(value)
    elif isinstance(value, Type):
        message.tp.CopyFrom(type_to_proto(value))


def encoded(text: str | bytes) -> bytes:
    """A text as a message holds it."""
    return text.encode() if isinstance(text, str) else text
