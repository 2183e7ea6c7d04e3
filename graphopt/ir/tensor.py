"""Constant tensors whose bytes stay where they are until somebody asks for them."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, final, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphopt.errors import ModelError
from graphopt.ir.dtype import DType

Array = npt.NDArray[np.generic]
LARGE: Final = 1 << 20  # bytes from which on it pays not to keep what can be computed again
PAGES: Final = 1 << 16  # fewer bytes of a file than this may stay in memory: giving them back costs more


class Storage(Protocol):
    """Where the bytes of a tensor lie: little-endian, in C order, packed as ONNX's raw_data."""

    @property
    def nbytes(self) -> int:
        """How many bytes there are; answered without reading them."""
        ...

    def view(self) -> memoryview:
        """The bytes, read-only; mapped or decoded when first asked for."""
        ...


@runtime_checkable
class Parted(Storage, Protocol):
    """Bytes that are computed, and can be a part at a time: in any order, several at once."""

    def parts(self) -> Iterator[tuple[int, Callable[[], memoryview]]]:
        """Where each part begins, and what computes it; all together are the bytes."""
        ...

    def finish(self) -> None:
        """Let go of what the parts were computed from."""
        ...


@final
class MappedFile:
    """A file whose parts are read by mapping; opened and mapped when first looked at, closed with the last reader.

    The mapping follows the file that was opened: renaming another file over its path does not disturb it.
    """

    __slots__ = ("_identity", "_map", "_view", "path", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        status = path.stat()
        self.size = status.st_size
        self._identity = status.st_dev, status.st_ino
        self._map: mmap.mmap | None = None
        self._view: memoryview | None = None

    def is_same(self, other: MappedFile) -> bool:
        """Whether both are one file, as it was when each was opened."""
        return self._identity == other._identity and self.size == other.size

    def view(self) -> memoryview:
        """The whole file, read-only. Raises ModelError when it cannot be opened or has shrunk since."""
        if self._view is None:
            try:
                with self.path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    size = status.st_size
                    if (status.st_dev, status.st_ino) != self._identity:
                        raise ModelError(f"{self.path}: was replaced by another file while in use; load the model again")
                    if size < self.size:
                        raise ModelError(f"{self.path}: shrank from {self.size} to {size} bytes while in use; load the model again")
                    if size:
                        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                        self._view = memoryview(self._map)
                    else:
                        self._view = memoryview(b"")
            except OSError as error:
                raise ModelError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        return self._view

    def reopen(self) -> int | None:
        """A new descriptor of this very file, for the system to copy from; the caller closes it. None when the path leads elsewhere."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            return None  # the mapping may still be there to read from
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == self._identity and status.st_size >= self.size:
            return descriptor
        os.close(descriptor)
        return None

    def release_pages(self, offset: int, length: int) -> None:
        """Tell the system that these bytes need not stay in memory; they are read again if asked for."""
        if self._map is not None and hasattr(self._map, "madvise"):
            start = offset - offset % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, min(length + offset - start, len(self._map) - start))


@final
class FileSlice:
    """Bytes that lie in a file: the model itself, or an external data file."""

    __slots__ = ("file", "nbytes", "offset")

    def __init__(self, file: MappedFile, offset: int, nbytes: int) -> None:
        self.file, self.offset, self.nbytes = file, offset, nbytes

    def view(self) -> memoryview:
        """The slice of the mapped file."""
        return self.file.view()[self.offset : self.offset + self.nbytes]


def raw(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of an array whose elements lie one after the other."""
    return array.reshape(-1).view(np.uint8).data.toreadonly()


def release(storage: Storage, start: int = 0, length: int | None = None) -> None:
    """Say that these bytes of a tensor need not stay in memory; nothing happens unless they lie in a file, and are many."""
    if isinstance(storage, FileSlice) and storage.nbytes >= PAGES:
        storage.file.release_pages(storage.offset + start, storage.nbytes - start if length is None else length)


@final
class InMemory:
    """Bytes that this process holds."""

    __slots__ = ("_view", "nbytes")

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        self.nbytes = self._view.nbytes

    def view(self) -> memoryview:
        """The bytes themselves."""
        return self._view


@final
class Strings:
    """The elements of a string tensor, as ONNX stores them: bytes, by convention UTF-8."""

    __slots__ = ("elements",)

    def __init__(self, elements: Sequence[bytes]) -> None:
        self.elements = tuple(elements)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements together."""
        return sum(map(len, self.elements))

    def view(self) -> memoryview:
        """All elements, each after its length; used to compare and to hash, never to write."""
        return memoryview(b"".join(len(e).to_bytes(8, "little") + e for e in self.elements))


@final
class Tensor:
    """A constant: element type, shape, and where its bytes lie.

    Nothing is read to answer `dtype`, `shape`, `size` or `nbytes`. Immutable. `origin` is the message it was read from, for io/ alone.
    """

    __slots__ = ("_array", "_digest", "dtype", "origin", "shape", "storage")

    def __init__(self, dtype: DType, shape: tuple[int, ...], storage: Storage, origin: object = None) -> None:
        self.dtype, self.shape, self.storage, self.origin = dtype, shape, storage, origin
        self._array: Array | None = None
        self._digest: bytes | None = None

    @classmethod
    def of(cls, data: npt.ArrayLike, dtype: DType | None = None) -> Tensor:
        """A tensor that holds `data` (an array, a number, nested lists), as `dtype` if given. Copies only if it must."""
        array = np.asarray(data) if dtype is None else np.asarray(data, dtype=dtype.numpy)
        kind = DType.of(array.dtype) if dtype is None else dtype
        if kind is DType.string:
            flat = [e if isinstance(e, bytes) else str(e).encode() for e in array.reshape(-1).tolist()]
            return cls(kind, array.shape, Strings(flat))
        array = np.ascontiguousarray(array, dtype=kind.numpy).reshape(array.shape)
        raw = pack(array, kind) if kind.bits < 8 else array.reshape(-1).view(np.uint8).data
        tensor = cls(kind, array.shape, InMemory(raw))
        if array.flags.writeable and array.base is None and array is not data:
            array.flags.writeable = False
        elif array.flags.writeable:
            return cls(kind, array.shape, InMemory(bytes(raw)))  # the caller may still change its own array
        tensor._array = array
        return tensor

    @property
    def size(self) -> int:
        """How many elements it has."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in a file, without reading any."""
        return self.storage.nbytes

    def numpy(self) -> Array:
        """The elements as a read-only array, without a copy where the width is whole bytes.

        Strings become an object array of str (bytes where they are not UTF-8). Elements narrower than a byte are unpacked.
        Raises ModelError when the bytes do not fill the shape.
        """
        if self._array is None:
            self._array = self._decode()
        return self._array

    def item(self) -> object:
        """The one element as a Python number, bool or str. Raises ValueError unless there is exactly one."""
        if self.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} has no single element")
        element: object = self.numpy().reshape(-1)[0]
        if isinstance(element, np.generic) and self.dtype not in _WITHOUT_ITEM:
            return element.item()
        return float(element) if isinstance(element, np.generic) else element

    def digest(self) -> bytes:
        """A hash of type, shape and bytes: equal tensors have equal digests, and different ones do not in practice."""
        if self._digest is None:
            state = hashlib.blake2b(f"{int(self.dtype)}{self.shape}".encode(), digest_size=16)
            state.update(self.storage.view())
            self._digest = state.digest()
        return self._digest

    def same(self, other: Tensor) -> bool:
        """Whether both have the same type, shape and bytes: +0 and -0 differ, a NaN equals itself."""
        if self is other:
            return True
        if self.dtype != other.dtype or self.shape != other.shape or self.nbytes != other.nbytes:
            return False
        return self.storage.view() == other.storage.view()

    def _decode(self) -> Array:
        if isinstance(self.storage, Strings):
            flat = np.empty(len(self.storage.elements), dtype=object)
            flat[:] = [_text(e) for e in self.storage.elements]
            array: Array = flat.reshape(self.shape)
        else:
            data = self.storage.view()
            if self.dtype.bits < 8:
                array = unpack(data, self.dtype, self.size).reshape(self.shape)
            else:
                kind = self.dtype.numpy
                needed = self.size * kind.itemsize
                if len(data) != needed:
                    raise ModelError(f"a {self.dtype}{list(self.shape)} tensor needs {needed} bytes, the model holds {len(data)}")
                array = np.frombuffer(data, dtype=kind).reshape(self.shape)
        array.flags.writeable = False
        return array

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}{list(self.shape)})"


_WITHOUT_ITEM = frozenset(kind for kind in DType if kind.bits < 8 or kind.name.startswith(("bfloat", "float8"))) - {DType.string}


def _text(element: bytes) -> str | bytes:
    try:
        return element.decode()
    except UnicodeDecodeError:
        return element


def pack(array: Array, kind: DType) -> bytes:
    """The elements of a type narrower than a byte, packed as ONNX packs them: first element in the lowest bits.

    Source: onnx.proto, TensorProto.int32_data and raw_data of the 2-, 4- and 6-bit types.
    """
    bits = kind.bits
    codes = (array.reshape(-1).view(np.uint8) & ((1 << bits) - 1)).astype(np.uint8)
    return np.packbits(np.unpackbits(codes[:, None], axis=1, bitorder="little")[:, :bits].reshape(-1), bitorder="little").tobytes()


def unpack(data: memoryview, kind: DType, count: int) -> Array:
    """The inverse of `pack`: `count` elements, one a byte in numpy. Raises ModelError when the bytes are too few."""
    bits = kind.bits
    if len(data) < (count * bits + 7) // 8:
        raise ModelError(f"{count} elements of {kind} need {(count * bits + 7) // 8} bytes, the model holds {len(data)}")
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: count * bits].reshape(count, bits)
    if kind in (DType.int4, DType.int2):  # two's complement: the sign fills the rest of the byte
        stream = np.concatenate([stream, np.repeat(stream[:, -1:], 8 - bits, axis=1)], axis=1)
    return np.packbits(stream, axis=1, bitorder="little").reshape(-1).view(kind.numpy)
