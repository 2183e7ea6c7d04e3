"""What a node's attribute holds, as its message has it, but for tensors and graphs: these are written by whoever knows where they go."""

from __future__ import annotations

from typing import Any, Final

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
    if isinstance(value, tuple):
        _write_list(message, attribute.kind, value)
    elif attribute.kind is AttributeKind.float and isinstance(value, (int, float)):
        message.f = value
    elif isinstance(value, int):
        message.i = value
    elif isinstance(value, (str, bytes)):
        message.s = encoded(value)
    elif isinstance(value, Type):
        message.tp.CopyFrom(type_to_proto(value))


def _write_list(message: onnx.AttributeProto, kind: AttributeKind, items: tuple[Any, ...]) -> None:  # Any: what the kind says
    """Classifiers hold trees of 100,000 numbers: what is in a list is not looked at one by one."""
    if kind is AttributeKind.floats:
        message.floats.extend(items)
    elif kind is AttributeKind.ints:
        message.ints.extend(items)
    elif kind is AttributeKind.strings:
        message.strings.extend(map(encoded, items))
    elif kind is AttributeKind.types:
        message.type_protos.extend(map(type_to_proto, items))


def encoded(text: str | bytes) -> bytes:
    """A text as a message holds it."""
    return text.encode() if isinstance(text, str) else text
