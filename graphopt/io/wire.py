"""The protobuf wire format: big tensors cut out of a message before protobuf sees it, and pasted in after protobuf wrote it.

A message is a run of fields: a varint key (number << 3 | kind) and a payload; for kind 2 the payload is a varint length and that many
bytes. A cut `raw_data` leaves a token in its place, so that merging, order and presence stay protobuf's own business.
Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, final

import onnx

from graphopt.errors import ModelError
from graphopt.ir.tensor import Storage

if TYPE_CHECKING:
    from google._upb._message import Descriptor as UpbDescriptor
    from google.protobuf.descriptor import Descriptor

BIG = 1024  # bytes from which a tensor stays outside of protobuf
DEEPEST = 100  # protobuf's own limit on messages inside messages
RAW_DATA = onnx.TensorProto.DESCRIPTOR.fields_by_name["raw_data"].number
TOKEN = 28
_PASSED = 1 << 23

Kinds: TypeAlias = "dict[int, Kinds]"
Piece: TypeAlias = "bytes | memoryview"


def new_seal() -> bytes:
    """What the tokens of one message start with: random, so that no content is ever mistaken for one."""
    return os.urandom(TOKEN - 8)


class MalformedError(Exception):
    """The bytes are no message; `offset` is where that shows."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what


@cache
def kinds_with_tensors(name: str = "ModelProto") -> Kinds:
    """Which fields of a message hold messages that may hold a tensor, by number, and so on inwards. It refers to itself where ONNX does."""
    known: dict[str, Kinds] = {"TensorProto": {}}
    return _kinds(getattr(onnx, name).DESCRIPTOR, known)


def _kinds(descriptor: Descriptor, known: dict[str, Kinds]) -> Kinds:
    name = descriptor.name
    if name not in known:
        known[name] = {}
        for part in descriptor.fields:
            if part.message_type is not None and part.message_type.name in _HOLD_TENSORS:
                known[name][part.number] = _kinds(part.message_type, known)
    return known[name]


_HOLD_TENSORS = frozenset(
    {"GraphProto", "NodeProto", "AttributeProto", "TensorProto", "SparseTensorProto", "FunctionProto", "TrainingInfoProto"}
)


@final
class Cutter:
    """Replaces each raw_data of at least `big` bytes in a ModelProto by a token; only messages of that size are looked into.

    `slices` says where the bytes lie for which a token stands, as start and end. `passed`, if given, hears now and then which bytes
    are done with: looking at a mapped file brings in whole megabytes around each byte.
    """

    __slots__ = ("_big", "_data", "_passed", "_told", "seal", "slices")

    def __init__(self, data: memoryview, big: int = BIG, passed: Callable[[int, int], None] | None = None) -> None:
        self._data, self._big, self._passed, self._told = data, big, passed, 0
        self.seal = new_seal()
        self.slices: dict[bytes, tuple[int, int]] = {}

    def message(self) -> bytes:
        """The message that is left, for protobuf to parse. Raises MalformedError where lengths do not fit."""
        pieces, _ = self._cut(0, len(self._data), kinds_with_tensors(), 0)
        return b"".join(pieces)

    def _cut(self, start: int, end: int, kinds: Kinds, depth: int) -> tuple[list[Piece], int]:
        """The pieces that are left of the message between two offsets, and their length together."""
        if depth > DEEPEST:
            raise MalformedError(start, f"messages lie more than {DEEPEST} deep in each other")
        data, big = self._data, self._big
        pieces: list[Piece] = []
        size = 0
        kept = here = start  # the bytes since `kept` stay as they are
        raw_data = RAW_DATA if not kinds else -1  # of the messages that may hold tensors, only a tensor has no such part
        while here < end:
            first = here
            key = data[here]
            if key < 0x80:
                here += 1
            else:
                key, here = varint(data, here, end)
            if key & 7 != 2:
                here = _skip(data, first, key, here, end)
                continue
            if here < end and data[here] < 0x80:
                length = data[here]
                here += 1
            else:
                length, here = varint(data, here, end)
            payload = here
            here += length
            if here > end:
                raise _too_long(first, length, end - payload)
            if length < big:
                continue
            number = key >> 3
            if number == raw_data:
                inner: list[Piece] = [self._token(payload, here)]
                inner_size = TOKEN
            elif number in kinds:
                inner, inner_size = self._cut(payload, here, kinds[number], depth + 1)
                if inner_size == length:
                    continue
            else:
                continue
            head = to_varint(key) + to_varint(inner_size)
            pieces += (data[kept:first].tobytes(), head, *inner)
            size += first - kept + len(head) + inner_size
            kept = here
        pieces.append(data[kept:end].tobytes() if size else data[kept:end])
        return pieces, size + end - kept

    def _token(self, start: int, end: int) -> bytes:
        token = self.seal + len(self.slices).to_bytes(TOKEN - len(self.seal), "little")
        self.slices[token] = (start, end)
        if self._passed is not None and end - self._told > _PASSED:
            self._passed(0, end)  # from the start: what comes in around a byte lies before it too
            self._told = end
        return token


def varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    """The number at an offset, and the offset after it. Raises MalformedError where there is none."""
    value = shift = 0
    here = start
    while here < end:
        byte = data[here]
        here += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, here
        shift += 7
        if shift > 63:
            raise MalformedError(start, "a number is longer than ten bytes")
    raise MalformedError(start, "the message ends inside a number")


def to_varint(value: int) -> bytes:
    """A number as protobuf spells it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _too_long(start: int, length: int, left: int) -> MalformedError:
    return MalformedError(start, f"a field claims {length} bytes and {left} are left")


def _skip(data: memoryview, start: int, key: int, here: int, end: int, depth: int = 0) -> int:
    """The offset after a field whose key was just read."""
    kind = key & 7
    if key >> 3 == 0:
        raise MalformedError(start, "a field has the number 0")
    if kind == 0:
        return varint(data, here, end)[1]
    if kind == 2:
        length, here = varint(data, here, end)
    elif kind == 3:  # a group: ONNX has none, a later ONNX or a stranger's field may
        return _skip_group(data, start, key, here, end, depth)
    elif kind in (1, 5):
        length = 8 if kind == 1 else 4
    else:
        raise MalformedError(start, "a group ends that was never opened" if kind == 4 else f"a field has the impossible kind {kind}")
    if here + length > end:
        raise _too_long(start, length, end - here)
    return here + length


def _skip_group(data: memoryview, start: int, key: int, here: int, end: int, depth: int) -> int:
    if depth > DEEPEST:
        raise MalformedError(start, f"groups lie more than {DEEPEST} deep in each other")
    while here < end:
        first = here
        inner, here = varint(data, here, end)
        if inner & 7 == 4:
            if inner >> 3 != key >> 3:
                raise MalformedError(first, "a group ends that was never opened")
            return here
        here = _skip(data, first, inner, here, end, depth + 1)
    raise MalformedError(start, "a group has no end")


def find_fault(data: memoryview) -> MalformedError | None:
    """Where a message that protobuf refused goes wrong; None when its fields nest as they should."""
    try:
        _check(data, 0, len(data), onnx.ModelProto.DESCRIPTOR, 0)
    except MalformedError as fault:
        return fault
    return None


def _check(data: memoryview, start: int, end: int, descriptor: Descriptor | UpbDescriptor, depth: int) -> None:
    if depth > DEEPEST:
        raise MalformedError(start, f"messages lie more than {DEEPEST} deep in each other")
    here = start
    while here < end:
        first = here
        key, here = varint(data, here, end)
        after = _skip(data, first, key, here, end)
        part = next((field for field in descriptor.fields if field.number == key >> 3), None)
        if key & 7 == 2 and part is not None and part.message_type is not None:
            length, payload = varint(data, here, end)
            _check(data, payload, payload + length, part.message_type, depth + 1)
        here = after


def paste(message: bytes, seal: bytes, contents: dict[bytes, Storage]) -> list[Piece | Storage]:
    """The pieces of a message in which each token gave way to what it stands for, with every length around it put right.

    """
    places: list[int] = []
    here = message.find(seal)
    while here >= 0:
        if message[here : here + TOKEN] in contents:
            places.append(here)
        here = message.find(seal, here + TOKEN)
    if not places:
        return [message]
    places.append(len(message))  # a guard
    pieces, _, _ = _paste(memoryview(message), 0, len(message), places, 0, contents)
    return pieces


def _paste(
    data: memoryview, start: int, end: int, places: list[int], place: int, contents: dict[bytes, Storage]
) -> tuple[list[Piece | Storage], int, int]:
    """The pieces of the message between two offsets, their length together, and the first place after it."""
    pieces: list[Piece | Storage] = []
    size = 0
    kept = here = start
    wanted = places[place]
    while wanted < end:
        first = here
        key = data[here]
        if key < 0x80:
            here += 1
        else:
            key, here = varint(data, here, end)
        if key & 7 != 2:
            here = _skip(data, first, key, here, end)
            continue
        length = data[here]
        if length < 0x80:
            here += 1
        else:
            length, here = varint(data, here, end)
        payload = here
        here += length
        if here <= wanted:
            continue
        if payload == wanted and length == TOKEN:
            content = contents[bytes(data[payload:here])]
            inner: list[Piece | Storage] = [content]
            inner_size = content.nbytes
            place += 1
        else:
            inner, inner_size, place = _paste(data, payload, here, places, place, contents)
        wanted = places[place]
        head = to_varint(key) + to_varint(inner_size)
        pieces += (data[kept:first], head, *inner)
        size += first - kept + len(head) + inner_size
        kept = here
    pieces.append(data[kept:end])
    return pieces, size + end - kept, place


def malformed(name: str, fault: MalformedError) -> ModelError:
    """What the user is told of bytes that are no model."""
    return ModelError(f"{name}: is no readable ONNX model: at byte {fault.offset} {fault.what}; it is truncated, damaged or something else")
