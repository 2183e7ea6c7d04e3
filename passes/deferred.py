"""Constants whose bytes are read in pieces, or computed only when somebody asks for them: big ones never stay in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, final

import numpy as np

from graphopt.ir import FileSlice, Storage, Tensor

LARGE: Final = 1 << 20  # from here on a tensor is worth the trouble
PIECE: Final = 4 << 20
PAGES: Final = 1 << 16  # fewer bytes of a file than this may stay in memory: giving them back costs more


@final
class Deferred:
    """The bytes of a computed constant: computed anew each time they are asked for, and not kept.

    `compute` must always give the same tensor, and must have worked once.
    """

    __slots__ = ("_compute", "nbytes")

    def __init__(self, nbytes: int, compute: Callable[[], Tensor]) -> None:
        self.nbytes, self._compute = nbytes, compute

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        return self._compute().storage.view()


@final
class Transposed:
    """The bytes of a transposed tensor, computed when asked for; of a source in a file only a few pages are in memory at once."""

    __slots__ = ("_perm", "_source", "nbytes")

    def __init__(self, source: Tensor, perm: tuple[int, ...]) -> None:
        self.nbytes, self._source, self._perm = source.nbytes, source, perm

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        source, perm = self._source, self._perm
        words = np.dtype(f"V{source.dtype.bits // 8}")  # elements only move: their type does not matter
        array = np.frombuffer(source.storage.view(), words).reshape(source.shape)
        result = np.empty([source.shape[axis] for axis in perm], words)
        target = result.transpose(np.argsort(perm))  # looks like the source
        rows = source.shape[0]
        stride = source.nbytes // rows
        step = max(1, PIECE // max(1, stride))
        for start in range(0, rows, step):
            target[start : start + step] = array[start : start + step]
            release(source.storage, start * stride, min(step, rows - start) * stride)
        return result.reshape(-1).view(np.uint8).data.toreadonly()


def pieces(storage: Storage) -> Iterator[memoryview]:
    """The bytes of a tensor piece by piece; the pages of a file are given back after each."""
    view = storage.view()
    for start in range(0, len(view), PIECE):
        piece = view[start : start + PIECE]
        yield piece
        release(storage, start, len(piece))


def release(storage: Storage, start: int = 0, length: int | None = None) -> None:
    """Say that these bytes of a tensor need not stay in memory; nothing happens unless they lie in a file."""
    if isinstance(storage, FileSlice) and storage.nbytes >= PAGES:
        storage.file.release_pages(storage.offset + start, storage.nbytes - start if length is None else length)


def hash_of(storage: Storage) -> bytes:
    """A hash of the bytes that leaves none of a file's pages in memory."""
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces(storage):
        state.update(piece)
    return state.digest()


def without_cache(tensor: Tensor) -> Tensor:
    """The same tensor as a new object: what its reader decodes goes with the reader."""
    return Tensor(tensor.dtype, tensor.shape, tensor.storage)
