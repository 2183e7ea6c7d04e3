"""What io keeps of the messages that a model was read from, and copying of messages without their big parts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import onnx
from google.protobuf.unknown_fields import UnknownFieldSet

from graphopt.io.wire import to_varint
from graphopt.ir.tensor import MappedFile, Storage
from graphopt.ir.types import Type

Body: TypeAlias = "onnx.GraphProto | onnx.FunctionProto"
Message = TypeVar(
    "Message",
    onnx.ModelProto,
    onnx.GraphProto,
    onnx.FunctionProto,
    onnx.NodeProto,
    onnx.AttributeProto,
    onnx.TensorProto,
    onnx.ValueInfoProto,
)


@dataclass(slots=True, eq=False)
class GraphOrigin:
    """`types` holds, for each entry of the message's value_info, the type that its value had when all was read, None where there was none.

    `bound` are the names, in value_info and in quantization annotations, that meant a value of this graph.
    """

    message: Body
    types: list[Type | None] = field(default_factory=list)
    bound: Collection[str] = frozenset()


@dataclass(slots=True, eq=False)
class ModelOrigin:
    """`name` is what messages call the model; `folder` where its external data lie, None for a model that came from memory.

    `opsets` are the versions that the message imports. `slices` says what the tokens stand for that are left in messages which nothing but
    io understands (training_info, sparse tensors); they start with `seal`. `files` are those that external data were found in.
    """

    message: onnx.ModelProto
    name: str
    folder: Path | None = None
    opsets: dict[str, int] = field(default_factory=dict)
    seal: bytes = b""
    slices: dict[bytes, Storage] = field(default_factory=dict)
    has_external_data: bool = False
    files: list[MappedFile] = field(default_factory=list)


def copy_without(source: Message, target: Message, left_out: Collection[str]) -> None:
    """Copy all fields of a message but some, unknown fields included, without ever touching what is left out."""
    for name, is_repeated, is_message in _parts(source.DESCRIPTOR.name):
        if name in left_out:
            continue
        if is_repeated:
            content = getattr(source, name)
            if content:
                getattr(target, name).extend(content)
        elif source.HasField(name):
            if is_message:
                getattr(target, name).CopyFrom(getattr(source, name))
            else:
                _set(target, name, getattr(source, name))
    unknown = UnknownFieldSet(source)
    if len(unknown):
        target.MergeFromString(unknown_bytes(unknown))


def _set(target: Any, name: str, content: Any) -> None:  # Any: a message and one of its numbers, texts or bytes
    """Set a field. Text that is not UTF-8 comes out of protobuf as bytes, and goes back only as part of a message."""
    try:
        setattr(target, name, content)
    except UnicodeDecodeError:
        number = target.DESCRIPTOR.fields_by_name[name].number
        target.MergeFromString(to_varint(number << 3 | 2) + to_varint(len(content)) + content)


@cache
def _parts(kind: str) -> tuple[tuple[str, bool, bool], ...]:
    """Name, whether repeated, whether a message; for each field of a kind of message."""
    empty = getattr(onnx, kind)()
    fields = empty.DESCRIPTOR.fields
    return tuple((part.name, hasattr(getattr(empty, part.name), "extend"), part.message_type is not None) for part in fields)


def unknown_bytes(unknown: Any) -> bytes:  # Any: protobuf ships no types
    """Fields that the installed onnx does not know, as they stood in the file."""
    out = bytearray()
    for part in unknown:
        number, kind, data = part.field_number, part.wire_type, part.data
        out += to_varint(number << 3 | kind)
        if kind == 0:
            out += to_varint(data)
        elif kind == 1:
            out += data.to_bytes(8, "little")
        elif kind == 5:
            out += data.to_bytes(4, "little")
        elif kind == 2:
            out += to_varint(len(data)) + data
        else:
            out += unknown_bytes(data) + to_varint(number << 3 | 4)
    return bytes(out)
