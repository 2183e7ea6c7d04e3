"""Constants that are computed when asked for: the same bytes as numpy's, each time, whatever they are made of."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from graphopt.ir import DType, FileSlice, InMemory, MappedFile, Tensor
from graphopt.passes import deferred
from graphopt.passes.deferred import Deferred, Transposed, hash_of, pieces


@pytest.mark.parametrize("perm", list(permutations(range(3))))
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.float64])
def test_transposed_gives_the_bytes_of_numpys_transpose(perm: tuple[int, ...], dtype: type[np.generic]) -> None:
    array = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)
    storage = Transposed(Tensor.of(array), perm)
    assert storage.nbytes == array.nbytes
    assert bytes(storage.view()) == array.transpose(perm).tobytes()
    assert bytes(storage.view()) == array.transpose(perm).tobytes()  # the second time as the first


@pytest.mark.parametrize("perm", list(permutations(range(3))))
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.float64, np.complex128])
def test_parts_of_a_transposed_tensor_in_any_order(perm: tuple[int, ...], dtype: type[np.generic], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "PART", 64)
    array = np.arange(7 * 3 * 5).reshape(7, 3, 5).astype(dtype)
    storage = Transposed(Tensor.of(array), perm)
    held = bytearray(storage.nbytes)
    for offset, compute in reversed(list(storage.parts())):
        part = compute()
        assert not any(held[offset : offset + len(part)])
        held[offset : offset + len(part)] = part
    assert bytes(held) == array.transpose(perm).tobytes()


@pytest.mark.parametrize(("most", "times"), [(1 << 26, 1), (1 << 16, 9)], ids=["in the end", "all the time"])
def test_transposed_lets_go_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, times: int) -> None:
    """Of one in which too much would be mapped after each part; there are eight."""
    monkeypatch.setattr(deferred, "PART", 1 << 16)
    monkeypatch.setattr(deferred, "MOST_MAPPED", most)
    array = np.random.default_rng(0).standard_normal((300, 400)).astype(np.float32)
    path = tmp_path / "weights"
    path.write_bytes(b"front" + array.tobytes())
    released = []
    monkeypatch.setattr(MappedFile, "release_pages", lambda self, offset, length: released.append((offset, length)))
    storage = Transposed(Tensor(DType.float32, (300, 400), FileSlice(MappedFile(path), 5, array.nbytes)), (1, 0))
    assert bytes(storage.view()) == array.T.tobytes()
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
