"""Tensors of every element type give back what they were made of, bit for bit, and compare by bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphopt.errors import ModelError
from graphopt.ir import DType, FileSlice, InMemory, MappedFile, Tensor

STORED = [kind for kind in DType if kind not in (DType.undefined, DType.string, DType.float6e2m3, DType.float6e3m2)]


@pytest.mark.parametrize("kind", STORED, ids=str)
def test_every_element_type_comes_back(kind: DType) -> None:
    zero = 2 if kind is DType.float8e8m0 else 0  # which has no zero
    values = np.array([[zero, 1, 1], [1, zero, 1]]).astype(kind.numpy)
    tensor = Tensor.of(values)
    assert tensor.dtype is kind and tensor.shape == (2, 3)
    assert tensor.nbytes == (6 * kind.bits + 7) // 8
    assert np.array_equal(tensor.numpy(), values)
    assert Tensor.of(values.reshape(-1)[1:2]).item() == 1


def test_signed_nibbles_keep_their_sign_and_their_place() -> None:
    tensor = Tensor.of(np.array([-8, 7, -1], np.int8), DType.int4)
    assert tensor.numpy().astype(int).tolist() == [-8, 7, -1]
    assert bytes(tensor.storage.view()) == b"\x78\x0f"  # first element in the low nibble: onnx.proto, TensorProto.int32_data


def test_strings_keep_bytes_that_are_no_text() -> None:
    tensor = Tensor.of(np.array(["é", b"\xff"], dtype=object))
    assert tensor.numpy().tolist() == ["é", b"\xff"]


def test_plus_and_minus_zero_differ_and_a_nan_is_itself() -> None:
    assert not Tensor.of(0.0).same(Tensor.of(-0.0))
    assert Tensor.of(float("nan")).same(Tensor.of(float("nan")))
    assert Tensor.of(0.0).digest() != Tensor.of(-0.0).digest()


def test_equal_bytes_of_another_type_or_shape_are_not_the_same() -> None:
    one, other = Tensor.of(np.zeros(2, np.int32)), Tensor.of(np.zeros(2, np.float32))
    assert not one.same(other) and one.digest() != other.digest()
    assert not one.same(Tensor.of(np.zeros((2, 1), np.int32)))


def test_arrays_are_read_only_and_do_not_follow_the_callers() -> None:
    mine = np.ones(3)
    tensor = Tensor.of(mine)
    mine[0] = 5
    assert tensor.numpy()[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        tensor.numpy()[0] = 2


def test_nothing_is_read_to_know_the_size(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"\0" * 16)
    tensor = Tensor(DType.float32, (4,), FileSlice(MappedFile(path), 0, 16))
    path.unlink()  # still unread, so nothing can have been opened
    assert (tensor.size, tensor.nbytes) == (4, 16)
    with pytest.raises(ModelError, match="cannot be read"):
        tensor.numpy()


def test_bytes_that_do_not_fill_the_shape_are_the_models_fault() -> None:
    with pytest.raises(ModelError, match=r"float32\[3\] tensor needs 12 bytes, the model holds 8"):
        Tensor(DType.float32, (3,), InMemory(bytes(8))).numpy()
    with pytest.raises(ModelError, match="3 elements of int4 need 2 bytes, the model holds 1"):
        Tensor(DType.int4, (3,), InMemory(bytes(1))).numpy()
