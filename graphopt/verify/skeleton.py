"""Models for reduction: messages in which tokens stand for the bytes of big tensors, so that a hundred copies of one cost little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np
import onnx
import onnx.parser
import onnx.printer
from onnx import ModelProto, TensorProto, helper, numpy_helper

from graphopt import io, suffixes
from graphopt.errors import ModelError
from graphopt.io import wire
from graphopt.io.files import replace as replace_file
from graphopt.io.files import unwritable, write_text, written_beside
from graphopt.io.held import from_held, to_held
from graphopt.ir.dtype import DType
from graphopt.ir.model import Model
from graphopt.ir.tensor import Array, Storage, Tensor
from graphopt.verify.source import subject

LIMIT: Final = (1 << 31) - 1  # protobuf reads no message of 2 GiB


@final
@dataclass(frozen=True, slots=True)
class Skeleton:
    """A model. `contents` says what the tokens in its message, and in messages made of it, stand for; nothing of it is read or copied."""

    message: ModelProto
    contents: Mapping[bytes, Storage] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, allow_outside: bool = False) -> Skeleton:
        """The model of a file, as text or binary; what graphopt cannot read is read by onnx. Raises ModelError when that cannot either."""
        if path.suffix in suffixes.TEXT and path.is_file():
            return cls(parsed(path))
        try:
            return cls(*to_held(io.load(path, allow_outside=allow_outside)))
        except ModelError as error:
            try:
                return cls(_whole(path))
            except (ModelError, OSError, ValueError):
                raise error from None

    def array(self, tensor: TensorProto) -> Array:
        """The elements of a tensor of a message. Raises ModelError for bytes that do not fill the shape."""
        storage = self._storage(tensor)
        if storage is None:
            return np.asarray(numpy_helper.to_array(tensor))
        return Tensor(DType(tensor.data_type), tuple(tensor.dims), storage).numpy()

    def nbytes(self, tensor: TensorProto) -> int:
        """How many bytes a tensor takes; nothing is read."""
        storage = self._storage(tensor)
        return storage.nbytes if storage is not None else tensor.ByteSize()

    def _storage(self, tensor: TensorProto) -> Storage | None:
        return self.contents.get(tensor.raw_data) if len(tensor.raw_data) == wire.TOKEN else None

    def without_weights(self, message: ModelProto) -> ModelProto:
        """The same for those who look at types alone: what big tensors hold comes from inputs."""
        if not self.contents:
            return message
        made = ModelProto()
        made.CopyFrom(message)
        graph = made.graph
        held = [stored for stored in graph.initializer if self._storage(stored) is not None]
        constants = [node for node in graph.node if node.op_type == "Constant" and any(self._storage(each.t) for each in node.attribute)]
        listed = {port.name for port in graph.input}
        tensors = [(stored.name, stored) for stored in held if stored.name not in listed]
        tensors += [(node.output[0], each.t) for node in constants for each in node.attribute if self._storage(each.t) is not None]
        graph.input.extend(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims) for name, tensor in tensors)
        for stored in held:
            graph.initializer.remove(stored)
        for node in constants:
            graph.node.remove(node)
        return made

    def model(self, message: ModelProto) -> Model:
        """A message as a Model, of a copy. Raises ModelError when it is none."""
        copied = ModelProto()
        copied.CopyFrom(message)
        return from_held(copied, self.contents)

    def nbytes_of(self, message: ModelProto) -> int:
        """How many bytes a message takes with all that its tokens stand for."""
        return _total(self._pieces(message))

    def write(self, message: ModelProto, path: Path) -> None:
        """Write a message with all its bytes: complete or not at all, as text if the path asks for it. Raises ModelError."""
        pieces = self._pieces(message)
        if path.suffix in suffixes.TEXT:
            write_text(path, onnx.printer.to_text(ModelProto.FromString(self._bytes(pieces))).rstrip("\n") + "\n")
            return
        if _total(pieces) > LIMIT:
            io.save(self.model(message), path, external_data=True)
            return
        try:
            with written_beside(path, is_synced=False) as (beside, sink):
                for piece in pieces:
                    if isinstance(piece, (bytes, memoryview)):
                        sink.write(piece)
                    else:
                        sink.copy(piece)
            replace_file(beside, path)
        except OSError as error:
            raise unwritable(path, error) from error

    def _pieces(self, message: ModelProto) -> list[wire.Piece | Storage]:
        data: bytes = message.SerializeToString()
        seal = next(iter(self.contents))[: wire.TOKEN - 8] if self.contents else b""
        return wire.paste(data, seal, dict(self.contents)) if seal else [data]

    def _bytes(self, pieces: list[wire.Piece | Storage]) -> bytes:
        return b"".join(bytes(piece) if isinstance(piece, (bytes, memoryview)) else bytes(piece.view()) for piece in pieces)


def _total(pieces: list[wire.Piece | Storage]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.nbytes for piece in pieces)


def parsed(path: Path) -> ModelProto:
    """The model of a text file. Raises ModelError when it is none."""
    try:
        return onnx.parser.parse_model(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: is no text, to go by its bytes") from error
    except onnx.parser.ParseError as error:
        raise ModelError(f"{path}: the text is no ONNX model: {str(error).strip()}") from error


def _whole(path: Path) -> ModelProto:
    """All of a model, in memory, as onnx reads it."""
    subject(path, "the model")
    return onnx.load(path)
