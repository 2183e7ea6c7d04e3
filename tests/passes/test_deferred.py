"""Constants that are computed when asked for: the same bytes as numpy's, each time, whatever they are made of."""

from __future__ import annotations

from itertools import permutations
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from graphopt.ir import DType, FileSlice, InMemory, MappedFile, Tensor
from graphopt.passes import deferred
from graphopt.passes.deferred import Deferred, Transposed, as_matrices, hash_of, pieces


@pytest.mark.parametrize("perm", list(permutations(range(3))))
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.float64])
def test_transposed_gives_the_bytes_of_numpys_transpose(perm: tuple[int, ...], dtype: type[np.generic]) -> None:
    array = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)
    storage = Transposed(Tensor.of(array), perm)
    assert storage.nbytes == array.nbytes
    assert bytes(storage.view()) == array.transpose(perm).tobytes()
    assert bytes(storage.view()) == array.transpose(perm).tobytes()  # the second time as the first


SHAPES = [(7, 3, 5), (7, 1, 5), (4, 3, 2, 5), (1, 6, 2, 3)]


@pytest.mark.parametrize(("shape", "perm"), [(shape, perm) for shape in SHAPES for perm in permutations(range(len(shape)))])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.float64, np.complex128])
def test_parts_of_a_transposed_tensor_in_any_order(
    shape: tuple[int, ...], perm: tuple[int, ...], dtype: type[np.generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "PART", 64)
    monkeypatch.setattr(deferred, "TILE", 2)
    array = np.arange(prod(shape)).reshape(shape).astype(dtype)
    storage = Transposed(Tensor.of(array), perm)
    held = bytearray(storage.nbytes)
    for offset, compute in reversed(list(storage.parts())):
        part = compute()
        assert not any(held[offset : offset + len(part)])
        held[offset : offset + len(part)] = part
    assert bytes(held) == array.transpose(perm).tobytes()


@pytest.mark.parametrize(
    ("shape", "perm", "form"),
    [
        ((3, 4), (1, 0), (1, 3, 4, 1)),
        ((2, 3, 4), (0, 2, 1), (2, 3, 4, 1)),
        ((3, 4, 5), (1, 0, 2), (1, 3, 4, 5)),
        ((2, 3, 4, 5), (0, 2, 1, 3), (2, 3, 4, 5)),
        ((2, 3, 4, 5), (2, 3, 0, 1), (1, 6, 20, 1)),
        ((2, 3, 1, 5), (2, 3, 0, 1), (1, 6, 5, 1)),
        ((3, 1, 4), (2, 1, 0), (1, 3, 4, 1)),
        ((3, 3, 4, 5), (3, 2, 0, 1), None),
        ((3, 4, 5), (2, 1, 0), None),
        ((3, 1, 5), (1, 0, 2), None),
    ],
)
def test_which_transpositions_are_of_matrices(shape: tuple[int, ...], perm: tuple[int, ...], form: tuple[int, ...] | None) -> None:
    assert as_matrices(shape, perm) == form


def in_a_file(folder: Path, array: npt.NDArray[Any]) -> Tensor:
    """A tensor five bytes behind the beginning of a file."""
    (folder / "weights").write_bytes(b"front" + array.tobytes())
    return Tensor(DType.of(array.dtype), array.shape, FileSlice(MappedFile(folder / "weights"), 5, array.nbytes))


def test_a_view_reads_a_file_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).standard_normal((300, 400)).astype(np.float32)
    released = []
    monkeypatch.setattr(MappedFile, "release_pages", lambda self, offset, length: released.append((offset, length)))
    assert bytes(Transposed(in_a_file(tmp_path, array), (1, 0)).view()) == array.T.tobytes()
    assert len(released) > 1
    assert sum(length for _, length in released) == array.nbytes
    assert released[0][0] == 5


@pytest.mark.parametrize(("most", "times"), [(1 << 26, 1), (1 << 16, 9)], ids=["in the end", "all the time"])
def test_parts_let_go_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, times: int) -> None:
    """Of one of which too much would be in memory after each of the eight parts as well."""
    monkeypatch.setattr(deferred, "PART", 1 << 16)
    monkeypatch.setattr(deferred, "MOST_MAPPED", most)
    array = np.random.default_rng(0).standard_normal((300, 400)).astype(np.float32)
    released = []
    monkeypatch.setattr(MappedFile, "release_pages", lambda self, offset, length: released.append((offset, length)))
    storage = Transposed(in_a_file(tmp_path, array), (1, 0))
    assert b"".join(compute() for _, compute in storage.parts()) == array.T.tobytes()
    storage.finish()
    assert released == [(5, array.nbytes)] * times


def test_deferred_keeps_nothing() -> None:
    calls = []

    def compute() -> Tensor:
        calls.append(1)
        return Tensor.of(np.array([1, 2], np.float32))

    storage = Deferred(8, compute)
    assert storage.nbytes == 8
    assert not calls  # its size is known without it
    assert bytes(storage.view()) == bytes(storage.view()) == np.array([1, 2], np.float32).tobytes()
    assert len(calls) == 2


def test_pieces_are_all_bytes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "PIECE", 3)
    assert b"".join(pieces(InMemory(b"abcdefgh"))) == b"abcdefgh"
    assert hash_of(InMemory(b"abcdefgh")) == hash_of(InMemory(b"abcdefgh")) != hash_of(InMemory(b"abcdefgx"))
