"""Models for reduction: messages in which tokens stand for the bytes of big tensors, so that a hundred copies of one cost little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import onnx
import onnx.parser
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from graphopt import io, suffixes
from graphopt.errors import ModelError
from graphopt.io import wire
from graphopt.io.files import replace as replace_file
from graphopt.io.files import unwritable, write_text, written_beside
from graphopt.io.held import from_held, to_held
from graphopt.io.tensors import tensors_in
from graphopt.io.text import parser_words, text_of
from graphopt.io.walking import subgraphs
from graphopt.ir.dtype import DType
from graphopt.ir.model import Model
from graphopt.ir.tensor import Array, Storage, Tensor
from graphopt.verify.messages import copied, keep
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
        """The same for those who look at types alone: what big tensors hold comes from inputs of the main graph.

        Those that cannot be one, in functions, in attributes and where a name is used twice, have no elements.
        """
        if not self.contents:
            return message
        made = copied(message)
        graphs = (made.graph, *subgraphs(made.graph))
        uses = Counter(name for graph in graphs for name in _named_by(graph))
        given = {port.name for port in made.graph.input}
        for graph in graphs:
            defaults = given if graph is made.graph else set()
            kept = partial(self._stays, uses=uses, defaults=defaults, inputs=made.graph.input)
            keep(graph.initializer, kept)
            keep(graph.node, kept)
        for tensor in tensors_in(made):
            if self._storage(tensor) is not None:
                tensor.ClearField("raw_data")
                tensor.dims[:] = [0]
        return made

    def _stays(self, item: TensorProto | NodeProto, *, uses: Counter[str], defaults: set[str], inputs: Any) -> bool:  # Any: see `keep`
        """Whether an initializer or a node stays; a big tensor that does not is among the inputs afterwards."""
        if isinstance(item, TensorProto):
            name, tensor = item.name, item
        elif item.op_type == "Constant" and not item.domain and len(item.attribute) == len(item.output) == 1:
            name, tensor = item.output[0], item.attribute[0].t
        else:
            return True
        if self._storage(tensor) is None or (uses[name] > 1 and name not in defaults):
            return True
        if name not in defaults:
            inputs.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        return False

    def model(self, message: ModelProto) -> Model:
        """A message as a Model, of a copy. Raises ModelError when it is none."""
        return from_held(copied(message), self.contents)

    def nbytes_of(self, message: ModelProto) -> int:
        """How many bytes a message takes with all that its tokens stand for."""
        return _total(self._pieces(message))

    def write(self, message: ModelProto, path: Path) -> None:
        """Write a message with all its bytes: complete or not at all, as text if the path asks for it. Raises ModelError."""
        pieces = self._pieces(message)
        if path.suffix in suffixes.TEXT:
            write_text(path, text_of(ModelProto.FromString(self._bytes(pieces))).rstrip("\n") + "\n")
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


def _named_by(graph: GraphProto) -> Iterator[str]:
    """The names that a graph gives to values of its own."""
    yield from (port.name for port in graph.input)
    yield from (stored.name for stored in graph.initializer)
    for node in graph.node:
        yield from node.output


def parsed(path: Path) -> ModelProto:
    """The model of a text file. Raises ModelError when it is none."""
    try:
        return onnx.parser.parse_model(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: is no text, to go by its bytes") from error
    except onnx.parser.ParseError as error:
        raise ModelError(f"{path}: the text is no ONNX model: {parser_words(error)}") from error


def _whole(path: Path) -> ModelProto:
    """All of a model, in memory, as onnx reads it."""
    subject(path, "the model")
    return onnx.load(path)
