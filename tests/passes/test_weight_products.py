"""Weights times factors: the bytes that numpy gives in float64, rounded once; large ones are multiplied only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from graphopt import io, optimize
from graphopt.ir import DType, Editor, InMemory, Model, Tensor
from graphopt.passes.deferred import Transposed
from graphopt.passes.merge_equal_initializers import kind_of
from graphopt.patterns.weight_products import WeightProduct, multiplied
from tests.passes.test_fuse_conv_bn import model

TYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
FACTORS = np.array([1.5, -0.25, 0.0, 2.0**-20, 3e4, 1e30])


def wanted(weights: npt.NDArray[Any], factor: npt.NDArray[np.float64], groups: int | None) -> npt.NDArray[Any]:
    """The product, by the row of a Conv; by the group and column of a ConvTranspose."""
    rows, columns = weights.shape[:2]
    if groups is None:
        by = factor.reshape(-1, 1, 1, 1)
    else:
        group = np.arange(rows) * groups // rows
        by = factor[group[:, None] * columns + np.arange(columns)][..., None, None]
    with np.errstate(all="ignore"):
        return (weights.astype(np.float64) * by).astype(weights.dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("shape", "groups"), [((6, 2, 3, 1), None), ((4, 3, 2, 2), 2)])
def test_products_are_rounded_once(dtype: Any, shape: tuple[int, ...], groups: int | None) -> None:
    random = np.random.default_rng(1)
    for size in 10.0 ** np.arange(-44, 40, 2):
        with np.errstate(all="ignore"):
            weights = (random.standard_normal(shape) * size).astype(dtype)
        weights.reshape(-1)[::5] = 0
        expected = wanted(weights, FACTORS, groups)
        found = multiplied(Tensor.of(weights), FACTORS, groups)
        if not np.isfinite(expected.astype(np.float64)).all():
            assert found == "the new weights are not finite in {}"
        elif isinstance(found, Tensor):
            assert found.numpy().tobytes() == expected.tobytes()
        else:
            small = np.abs(expected.astype(np.float64)) < float(DType.of(dtype).info.smallest_normal)
            assert found == "the new weights are too small for {}"
            assert (small & (weights != 0)).any()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_weights_that_are_not_finite(odd: float, factor: float) -> None:
    weights = np.array([[[1.0, odd]]], np.float32)
    assert multiplied(Tensor.of(weights), np.array([factor]), None) == "the new weights are not finite in {}"


def test_large_products_are_not_kept() -> None:
    weights = np.random.default_rng(0).standard_normal((64, 64, 9, 9)).astype(np.float32)  # 1.3 MB
    factor = np.linspace(-2, 2, 64)
    found = multiplied(Tensor.of(weights), factor, None)
    assert isinstance(found, Tensor)
    assert isinstance(found.storage, WeightProduct)
    for _ in range(2):
        assert bytes(found.storage.view()) == wanted(weights, factor, None).tobytes()
    again = multiplied(found, 1 / np.where(factor == 0, 1, factor), None)
    assert isinstance(again, Tensor)
    # two roundings, each of half a unit of float32
    np.testing.assert_allclose(again.numpy().astype(np.float64), weights.astype(np.float64), rtol=3e-7)
    assert isinstance(multiplied(Tensor.of(weights[:, :8]), factor, None), Tensor)
    small = multiplied(Tensor.of(weights[:, :8]), factor, None)
    assert isinstance(small, Tensor)
    assert isinstance(small.storage, InMemory)


@pytest.mark.parametrize(("scale", "stored"), [(1.0, 1), (2.0, 2)])
def test_equal_products_are_stored_once(scale: float, stored: int) -> None:
    """Of equal weights and equal factors: nothing need be multiplied to see that."""
    weights = np.random.default_rng(0).standard_normal((128, 32, 9, 9)).astype(np.float32)
    message, _ = model(weights, channels=128, channels_in=32, spatial=(9, 9))
    other, _ = model(weights, channels=128, channels_in=32, spatial=(9, 9), scale=scale)
    for held in other.graph.initializer:
        held.name += "_2"
    other.graph.output[0].name += "_2"
    for node in other.graph.node:
        node.input[:] = [name if name == "x" else f"{name}_2" for name in node.input]
        node.output[:] = [f"{name}_2" for name in node.output]
    other.graph.node[0].attribute.add(name="strides", ints=[2, 2], type=7)  # else the two Convs become one
    message.graph.MergeFrom(other.graph)
    del message.graph.input[1:]
    message.graph.name = "g"
    result = optimize(message)
    assert [node.op_type for node in result.graph.node] == ["Conv", "Conv"]
    assert sum(len(held.raw_data) > 1000 for held in result.graph.initializer) == stored


@pytest.mark.parametrize("perm", [None, (1, 0, 2, 3)])
def test_products_of_products_are_written_by_threads(tmp_path: Path, perm: tuple[int, ...] | None) -> None:
    """And what numpy does about overflows in this thread stays as it is."""
    weights = np.random.default_rng(0).standard_normal((64, 64, 16, 16)).astype(np.float32)  # 4 MB: several parts
    factor = np.linspace(1, 2, 64)
    made = multiplied(Tensor.of(weights), factor, None)
    assert isinstance(made, Tensor)
    if perm is not None:
        made = Tensor(made.dtype, made.shape, Transposed(made, perm))
    again = multiplied(made, factor, None)
    assert isinstance(again, Tensor)
    once = wanted(weights, factor, None)
    expected = wanted(once if perm is None else np.ascontiguousarray(once.transpose(perm)), factor, None)
    model = Model(opsets={"": 20})
    for index in range(4):
        Editor(model).add_constant(model.graph, again, f"w{index}")
    with np.errstate(all="raise"):
        io.save(model, tmp_path / "m.onnx")
        assert set(np.geterr().values()) == {"raise"}
    for held in io.load(tmp_path / "m.onnx").graph.initializers.values():
        assert held.tensor is not None
        assert held.tensor.numpy().tobytes() == expected.tobytes()


def test_products_of_other_shapes_are_not_equal() -> None:
    """Their bytes and their factors are, but not the elements that share a factor."""
    weights = np.arange(48, dtype=np.float32)
    factor = np.array([1.0, 2.0])
    one, other = (WeightProduct(Tensor.of(weights.reshape(shape)), factor, 1) for shape in ((4, 2, 6, 1), (2, 2, 12, 1)))
    flat = [Tensor(DType.float32, (48,), storage) for storage in (one, other)]
    assert bytes(one.view()) != bytes(other.view())
    assert kind_of(flat[0]) != kind_of(flat[1])
