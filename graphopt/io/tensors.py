"""Tensors from protobuf: raw bytes, typed fields, external data; nothing is decoded before somebody asks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np
import onnx

from graphopt.errors import ModelError
from graphopt.io.walking import all_graphs, all_nodes
from graphopt.io.wire import TOKEN
from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import FileSlice, MappedFile, Storage, Strings, Tensor, pack

EXTERNAL = onnx.TensorProto.EXTERNAL
_DTYPES = {int(kind): kind for kind in DType}
_SMALL = 1 << 16  # decoded bytes up to here are kept for the next reader

# TensorProto: which field holds the elements of a type, and as what they lie there.
_FIELDS: dict[DType, tuple[str, str]] = {
    DType.float32: ("float_data", "<f4"),
    DType.complex64: ("float_data", "<f4"),
    DType.float64: ("double_data", "<f8"),
    DType.complex128: ("double_data", "<f8"),
    DType.int64: ("int64_data", "<i8"),
    DType.uint64: ("uint64_data", "<u8"),
    DType.uint32: ("uint64_data", "<u4"),
    DType.int32: ("int32_data", "<i4"),
}
_WIDTHS = {16: "<u2", 8: "u1", 4: "u1", 2: "u1", 6: "u1"}


@final
class InMessage:
    """A tensor's bytes inside its TensorProto: as raw_data or in a typed field, decoded when first asked for."""

    __slots__ = ("_kept", "dtype", "message", "name", "nbytes", "size")

    def __init__(self, message: onnx.TensorProto, dtype: DType, size: int, nbytes: int, name: str) -> None:
        self.message, self.dtype, self.size, self.nbytes, self.name = message, dtype, size, nbytes, name
        self._kept: memoryview | None = None

    def view(self) -> memoryview:
        """The bytes. Raises ModelError when they do not fill the shape."""
        if self._kept is not None:
            return self._kept
        data = self.message.raw_data if self.message.HasField("raw_data") else self._typed()
        if len(data) != self.nbytes:
            raise ModelError(f"{self.name}: {self.nbytes} bytes are needed for its shape and type, it holds {len(data)}")
        view = memoryview(data)
        if self.nbytes <= _SMALL:
            self._kept = view
        return view

    def _typed(self) -> bytes:
        part, stored = _FIELDS.get(self.dtype, ("int32_data", _WIDTHS.get(self.dtype.bits, "u1")))
        elements = np.array(getattr(self.message, part), dtype="<i8" if part == "int32_data" else None)
        if part == "int32_data" and self.dtype is DType.bool:
            elements = elements != 0
        if self.dtype.bits == 6:  # onnx.proto: one element an entry, where the narrower types are packed
            return pack(elements.astype(np.uint8), self.dtype)
        return elements.astype(stored).tobytes()


@final
class Missing:
    """A tensor whose bytes are not to be had; whoever asks for them is told why."""

    __slots__ = ("nbytes", "why")

    def __init__(self, nbytes: int, why: str) -> None:
        self.nbytes, self.why = nbytes, why

    def view(self) -> memoryview:
        """Raises ModelError, always."""
        raise ModelError(self.why)


@dataclass(slots=True, eq=False)
class TensorReader:
    """Makes tensors of the messages of one model. `strict` also looks whether raw_data fills the shape; `name` is the model's."""

    name: str
    folder: Path | None = None
    allow_outside: bool = False
    check_external: bool = True
    strict: bool = True
    slices: dict[bytes, Storage] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)
    saw_external: bool = False
    _files: dict[str, MappedFile] = field(default_factory=dict)
    _by_path: dict[str, MappedFile] = field(default_factory=dict)

    def read(self, message: onnx.TensorProto, owner: str) -> Tensor:
        """The tensor that a message describes. Raises ModelError when it cannot be one; `owner` says whose it is when it has no name."""
        dtype, shape = _DTYPES.get(message.data_type), tuple(message.dims)
        size = 1
        for extent in shape:
            size *= extent
            if extent < 0:
                raise ModelError(f"{self._of(message, owner)}: the dimension {extent} is negative")
        if dtype is None:
            raise ModelError(f"{self._of(message, owner)}: element type {message.data_type} is none that graphopt knows")
        nbytes = (size * dtype.bits + 7) // 8
        if message.data_location == EXTERNAL:
            return Tensor(dtype, shape, self._external(message, nbytes, owner), message)
        if dtype is DType.string:
            elements = Strings(message.string_data)
            if len(elements.elements) != size:
                raise ModelError(f"{self._of(message, owner)}: {size} strings are needed for its shape, it holds {len(elements.elements)}")
            return Tensor(dtype, shape, elements, message)
        return Tensor(dtype, shape, self._inside(message, dtype, size, nbytes, owner), message)

    def _inside(self, message: onnx.TensorProto, dtype: DType, size: int, nbytes: int, owner: str) -> Storage:
        if not message.HasField("raw_data"):
            return InMessage(message, dtype, size, nbytes, self._of(message, owner))
        storage: Storage | None = None
        if self.strict:
            raw = message.raw_data  # a copy, of at most `wire.BIG` bytes where a file was cut
            storage = self.slices.get(raw) if len(raw) == TOKEN else None
            if storage is not None:
                self.taken.add(raw)
            length = storage.nbytes if storage is not None else len(raw)
            if length != nbytes and dtype is not DType.undefined:
                what = f"{self._of(message, owner)}: {nbytes} bytes are needed for {dtype}{list(message.dims)}"
                raise ModelError(f"{what}, the model holds {length}")
        return storage if storage is not None else InMessage(message, dtype, size, nbytes, self._of(message, owner))

    def _external(self, message: onnx.TensorProto, nbytes: int, owner: str) -> Storage:
        self.saw_external = True
        what = self._of(message, owner)
        if self.folder is None:
            return Missing(nbytes, f"{what}: its data lie in another file, and a model in memory does not say where; load it from its path")
        try:
            return self._slice({entry.key: entry.value for entry in message.external_data}, nbytes, what)
        except ModelError as error:
            if self.check_external:
                raise
            return Missing(nbytes, str(error))

    def _slice(self, entries: dict[str, str], nbytes: int, what: str) -> FileSlice:
        location = entries.get("location", "")
        file = self._files.get(location)
        if file is None:
            file = self._files[location] = self._open(location, what)
        try:
            offset, length = int(entries.get("offset", "0")), int(entries.get("length", nbytes))
        except ValueError as error:
            raise ModelError(f"{what}: offset and length of its external data must be whole numbers: {error}") from error
        if length != nbytes:
            raise ModelError(f"{what}: {nbytes} bytes are needed for its shape and type, the entry for {location!r} says {length}")
        if offset < 0 or offset + nbytes > file.size:
            raise ModelError(
                f"{what}: its data should be the bytes {offset} to {offset + nbytes} of {file.path}, which has {file.size}; "
                "the file is incomplete or belongs to another model"
            )
        return FileSlice(file, offset, nbytes)

    def _open(self, location: str, what: str) -> MappedFile:
        assert self.folder is not None  # asked by the caller
        if not location or "\0" in location:
            raise ModelError(f"{what}: its external data have {'no location' if not location else 'a location that is no path'}")
        path = self.folder / location
        real, root = os.path.realpath(path), os.path.realpath(self.folder)
        if not self.allow_outside and (Path(location).is_absolute() or os.path.commonpath([real, root]) != root):
            raise ModelError(
                f"{what}: its data lie at {location!r}, outside of the model's folder {root}; "
                "allow that (allow_outside) only for a model that you trust"
            )
        if real not in self._by_path:
            try:
                if not stat.S_ISREG(Path(real).stat().st_mode):
                    raise ModelError(f"{what}: its data should lie in {path}, which is no regular file")
                self._by_path[real] = MappedFile(Path(real))
            except FileNotFoundError as error:
                raise ModelError(f"{what}: its data should lie in {path}, which does not exist; put the file beside the model") from error
            except OSError as error:
                raise ModelError(f"{what}: its data in {path} cannot be read: {error.strerror or error}") from error
        return self._by_path[real]

    def files(self) -> list[MappedFile]:
        """The external data files in which something was found."""
        return list(self._by_path.values())

    def _of(self, message: onnx.TensorProto, owner: str) -> str:
        return f"{self.name}: tensor {message.name or owner!r}"


_SCALARS = {
    AttributeKind.float: DType.float32,
    AttributeKind.floats: DType.float32,
    AttributeKind.int: DType.int64,
    AttributeKind.ints: DType.int64,
    AttributeKind.string: DType.string,
    AttributeKind.strings: DType.string,
}


def constant_tensor(attribute: Attribute) -> Tensor | None:
    """What a Constant with this one attribute makes; None for sparse values and for references.

    Source: ONNX Constant-13: value_float(s) are float32, value_int(s) int64, value_string(s) strings.
    """
    if isinstance(attribute.value, Tensor):
        return attribute.value
    dtype = _SCALARS.get(attribute.kind)
    value = attribute.value
    if dtype is None or not isinstance(value, (int, float, str, bytes, tuple)):
        return None
    return Tensor.of([item for item in value if isinstance(item, (int, float, str, bytes))] if isinstance(value, tuple) else value, dtype)


def tensors_in(message: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The messages of all tensors of a model, those in subgraphs and functions included."""
    for graph in all_graphs(message):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in all_nodes(message):
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


_DATA: Final = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data", "external_data")


def holds_data(tensor: onnx.TensorProto) -> bool:
    """Whether the message of a tensor has elements, or says where they are."""
    return any(getattr(tensor, name) for name in _DATA)
