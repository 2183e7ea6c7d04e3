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


def test_transposed_reads_a_file_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "PIECE", 1 << 16)
    array = np.random.default_rng(0).standard_normal((300, 400)).astype(np.float32)
    path = tmp_path / "weights"
    path.write_bytes(b"front" + array.tobytes())
    released = []
    monkeypatch.setattr(MappedFile, "release_pages", lambda self, offset, length: released.append((offset, length)))
    storage = Transposed(Tensor(DType.float32, (300, 400), FileSlice(MappedFile(path), 5, array.nbytes)), (1, 0))
    assert bytes(storage.view()) == array.T.tobytes()
    assert len(released) > 1
    assert sum(length for _, length in released) == array.nbytes
    assert released[0][0] == 5


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
