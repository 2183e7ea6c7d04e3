"""Tensors of a message that is being written: first described, then filled, left out, pasted in while streaming, or kept elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import onnx

from graphopt.io.origin import copy_without
from graphopt.io.tensors import EXTERNAL, InMessage, Missing
from graphopt.io.wire import BIG, TOKEN, new_seal
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Storage, Strings, Tensor, release

DATA = frozenset(
    {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data", "external_data", "data_location"}
)


def is_pending(tensor: Tensor) -> bool:
    """Whether the bytes of a tensor are put into its message only in the end: the big ones, and those that lie in other files."""
    return tensor.nbytes >= BIG or is_external(tensor)


def is_external(tensor: Tensor) -> bool:
    """Whether the tensor was read from an external data file, or should have been."""
    return isinstance(tensor.origin, onnx.TensorProto) and tensor.origin.data_location == EXTERNAL


def write_tensor(message: onnx.TensorProto, tensor: Tensor, name: str | None) -> None:
    """Fill an empty message with a tensor, its bytes included; None keeps the name it was read with."""
    storage, origin = tensor.storage, tensor.origin
    if isinstance(origin, onnx.TensorProto) and _holds_all(origin, storage):
        message.CopyFrom(origin)
    else:
        write_header(message, tensor)
        if isinstance(storage, Strings):
            message.string_data.extend(storage.elements)
        else:
            message.raw_data = bytes(storage.view())
            release(storage)
    if name is not None and message.name != name:
        message.name = name


def _holds_all(origin: onnx.TensorProto, storage: Storage) -> bool:
    """Whether the message that a tensor was read from holds its elements, or all that is known of them, and not a token in their place."""
    if isinstance(storage, Strings):
        return len(origin.string_data) == len(storage.elements)
    return isinstance(storage, Missing) or (isinstance(storage, InMessage) and storage.message is origin)


def write_header(message: onnx.TensorProto, tensor: Tensor) -> None:
    """Fill an empty message with all that is said of a tensor but its elements."""
    if isinstance(tensor.origin, onnx.TensorProto):
        copy_without(tensor.origin, message, DATA)
    else:
        message.dims.extend(tensor.shape)
        message.data_type = int(tensor.dtype)


@final
@dataclass(slots=True, eq=False)
class Pending:
    """One tensor whose message is still empty. Exactly one of its methods is called, once."""

    message: onnx.TensorProto
    tensor: Tensor
    name: str | None
    is_initializer: bool

    def fill(self) -> None:
        """Put the bytes into the message."""
        write_tensor(self.message, self.tensor, self.name)

    def leave_out(self) -> None:
        """Say type, shape and name alone. What is small stays all the same: shapes are computed from it."""
        if self.tensor.nbytes < BIG:
            self.fill()
        else:
            self._describe()

    def hold(self, holes: Holes) -> None:
        """Put a token into the message; the bytes are pasted in while streaming."""
        storage = self.tensor.storage
        is_typed = isinstance(storage, InMessage) and not storage.message.HasField("raw_data")
        if isinstance(storage, Missing):
            storage.view()  # says why
        if isinstance(storage, Strings) or is_typed:
            self.fill()
            return
        self._describe()
        self.message.raw_data = holes.add(storage)

    def refer(self, location: str, offset: int) -> None:
        """Say where in an external data file the bytes lie."""
        self._describe()
        self.message.data_location = EXTERNAL
        for key, value in (("location", location), ("offset", str(offset)), ("length", str(self.tensor.nbytes))):
            self.message.external_data.add(key=key, value=value)

    def keep_reference(self) -> None:
        """Say of external data what the model said before."""
        if isinstance(self.tensor.origin, onnx.TensorProto):  # as `is_external` has seen
            self.message.CopyFrom(self.tensor.origin)
        if self.name is not None and self.message.name != self.name:
            self.message.name = self.name

    @property
    def may_move(self) -> bool:
        """Whether the bytes can lie in an external data file: strings cannot. Source: onnx.proto, TensorProto.data_location."""
        return self.tensor.dtype not in (DType.string, DType.undefined)

    def _describe(self) -> None:
        write_header(self.message, self.tensor)
        if self.name is not None and self.message.name != self.name:
            self.message.name = self.name


@final
@dataclass(slots=True, eq=False)
class Holes:
    """What the tokens in a message stand for."""

    seal: bytes = field(default_factory=new_seal)
    contents: dict[bytes, Storage] = field(default_factory=dict)

    def add(self, storage: Storage) -> bytes:
        """A token for these bytes."""
        token = self.seal + (len(self.contents) | 1 << 62).to_bytes(TOKEN - len(self.seal), "little")  # never one that a reader made
        self.contents[token] = storage
        return token
