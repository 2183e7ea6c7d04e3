"""Quantization in numpy against onnxruntime without optimizations: the same bits, for every pair of types that it has kernels for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from graphopt.ir import DType, Tensor
from graphopt.ir.tensor import Array
from graphopt.quantization import Quantization, dequantize, limits, loses, quantize
from graphopt.quantization.arithmetic import entries
from tests.quantization.calls import Random, tensor_of
from tests.runtimes import HAS_OLD_RUNTIME

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint4", "int4", "uint2", "int2")
FLOATS = ("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz")
SHAPE = (3, 7, 5)
RETURNED = frozenset({DType.uint8, DType.int8, DType.uint16, DType.int16, DType.float32, DType.float16})  # what Python gets as it is


def run(op: str, x: Array, by: Quantization, made: DType) -> Array | None:
    """What onnxruntime makes of it; None where it (or the installed onnx) has no such kernel."""
    attributes: dict[str, Any] = {} if by.axis is None else {"axis": by.axis}
    attributes |= {"block_size": by.block} if by.block else {}
    attributes |= {"saturate": int(by.saturate)} if not by.dtype.is_integer and op == "QuantizeLinear" else {}
    stored = {"x": x, "s": by.scale, "z": by.zero_point} if by.dtype is not DType.int32 else {"x": x, "s": by.scale}
    to = made if made in RETURNED else DType.float32
    nodes = [helper.make_node(op, [*stored], ["y"], **attributes), helper.make_node("Cast", ["y"], ["o"], to=int(to))]
    held = [tensor_of(name, Tensor.of(array)) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("o", int(to), None)], held)
    opset = 25 if by.dtype.bits == 2 else 21
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=12 if opset > 21 else 10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # whatever it raises for what it does not know
        if by.dtype.bits != 2 and by.scale_dtype is not DType.bfloat16:
            raise
        return None
    found: Array = session.run(None, {})[0]
    return found


def parameters(random: Random, dtype: DType, kind: DType, granularity: str) -> Quantization:
    axis, block = int(random.integers(3)), 3
    sizes: dict[str, tuple[int, ...]] = {"tensor": (), "axis": (SHAPE[axis],)}
    sizes["block"] = tuple(-(-size // block) if index == axis else size for index, size in enumerate(SHAPE))
    tiny = {DType.float32: 1e-39, DType.float16: 1e-6, DType.bfloat16: 1e-39}[kind] if random.random() < 0.3 else 1.0
    scale = np.maximum(np.exp(random.uniform(-5, 3, sizes[granularity])) * tiny, 1e-43 if kind is DType.float32 else 6e-8)
    least, most = limits(dtype)
    is_zero = not dtype.is_integer or dtype is DType.int32
    zero = np.zeros(scale.shape) if is_zero else random.integers(int(least), int(most) + 1, scale.shape)
    held = np.asarray(scale, np.float32).astype(kind.numpy)
    where = None if granularity == "tensor" else axis
    return Quantization(held, np.asarray(zero).astype(np.float32).astype(dtype.numpy), dtype, where, block if granularity == "block" else 0)


def numbers(random: Random, by: Quantization, kind: DType) -> Array:
    """On the grid, half-way between, out of range up to 1e9 steps, and both zeros."""
    scale, zero = (np.broadcast_to(entries(part, by, SHAPE).astype(np.float64), SHAPE) for part in (by.scale, by.zero_point))
    least, most = limits(by.dtype)
    steps = random.integers(int(2 * least - most) - 1, int(2 * most - least) + 2, SHAPE) - zero
    x = (steps + random.choice([0, 0, 0.5, 0.5, 0.3, -0.01], SHAPE)) * scale
    for share, value in ((0.03, 0.0), (0.03, -0.0), (0.03, 1e9 * scale), (0.03, -1e9 * scale)):
        x = np.where(random.random(SHAPE) < share, value, x)
    with np.errstate(over="ignore"):
        found = x.astype(np.float32).astype(kind.numpy)
    quotients = found.astype(np.float64) / scale
    fits = np.isfinite(quotients) & (np.abs(quotients) <= 1.01e9)
    if not by.dtype.is_integer and not by.saturate:
        fits &= np.abs(quotients) <= most
    kept: Array = np.where(fits, found.astype(np.float32), 0).astype(kind.numpy)
    return kept


@pytest.mark.parametrize("granularity", ["tensor", "axis", "block"])
@pytest.mark.parametrize("scale", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS, "int32"])
def test_the_same_bits_as_onnxruntime(name: str, scale: str, granularity: str) -> None:
    if HAS_OLD_RUNTIME and scale == "float16":
        pytest.skip("an older onnxruntime rounds quotients of float16 otherwise")
    dtype, kind = DType[name], DType[scale]
    random = np.random.default_rng([int(dtype), int(kind), len(granularity)])
    for _ in range(4):
        by = parameters(random, dtype, kind, granularity)
        if dtype is not DType.int32:
            x = numbers(random, by, kind)
            check(run("QuantizeLinear", x, by, dtype), quantize(x, by))
        q = codes(random, dtype)
        check(run("DequantizeLinear", q, by, kind), dequantize(q, by))


def codes(random: Random, dtype: DType) -> Array:
    if dtype is DType.int32:
        return random.integers(-(2**31), 2**31, SHAPE).astype(np.int32)
    least, most = (int(limit) for limit in limits(dtype))
    return random.integers(least, most + 1, SHAPE).astype(np.float32).astype(dtype.numpy)


def check(made: Array | None, expected: Array) -> None:
    if made is not None:
        wanted = expected.astype(made.dtype)
        assert made.shape == wanted.shape
        assert made.tobytes() == wanted.tobytes()


def test_rounding_is_of_the_quotient_alone() -> None:
    by = Quantization(np.asarray(0.5, np.float32), np.asarray(3, np.uint8), DType.uint8)
    x = np.array([0.25, 0.75, -0.25, 1.25, 1e9, -1e9, -0.0], np.float32)
    assert quantize(x, by).tolist() == [3, 5, 3, 5, 255, 0, 3]


def test_scalars_stay_arrays() -> None:
    by = Quantization(np.asarray(0.5, np.float32), np.asarray(3, np.uint8), DType.uint8)
    made = quantize(np.asarray(1.0, np.float32), by)
    assert made.shape == dequantize(made, by).shape == ()
    assert type(made) is np.ndarray


# ---- back and forth


def back_and_forth(dtype: DType, scales: Array, zero: int) -> Array:
    """For each scale, whether every number comes back."""
    least, most = (int(limit) for limit in limits(dtype))
    q = np.arange(least, most + 1).astype(dtype.numpy)
    by = Quantization(scales, np.full(scales.shape, zero).astype(dtype.numpy), dtype, 0)
    table = np.broadcast_to(q, (len(scales), len(q)))
    same: Array = (quantize(dequantize(table, by), by) == table).all(axis=1)
    return same


NARROW = (("uint8", "float16"), ("int8", "float16"), ("int4", "bfloat16"), ("uint4", "bfloat16"), ("int4", "float16"))


@pytest.mark.parametrize(("name", "kind"), NARROW)
def test_all_scales_of_sixteen_bits(name: str, kind: str) -> None:
    dtype = DType[name]
    every = np.arange(1, 1 << 15, dtype=np.uint16).view(DType[kind].numpy)
    scales = every[np.isfinite(every.astype(np.float32))]
    for zero in (int(limits(dtype)[0]), 0, int(limits(dtype)[1])):
        comes_back = back_and_forth(dtype, scales, zero)
        for index in (0, 1, 7, 500, len(scales) // 2, len(scales) - 1):
            by = Quantization(scales[index].reshape(()), np.asarray(zero).astype(dtype.numpy), dtype)
            assert loses(by) or comes_back[index]
        said = np.array([not loses(Quantization(one.reshape(()), np.asarray(zero).astype(dtype.numpy), dtype)) for one in scales[::17]])
        assert not (said & (comes_back[::17] == 0)).any()
        assert said.sum() > 0.7 * len(said)


@pytest.mark.parametrize("name", ["uint8", "int8", "uint16", "int16"])
def test_float32_scales(name: str) -> None:
    dtype = DType[name]
    random = np.random.default_rng(0)
    scales = np.concatenate([np.exp(random.uniform(-85, 70, 40)), [1e-45, 1e-44, 1.1e-38, 5e32]]).astype(np.float32)
    for zero in (int(limits(dtype)[0]), 0, 5):
        assert back_and_forth(dtype, scales, zero).all()
        assert not loses(Quantization(scales, np.full(len(scales), zero).astype(dtype.numpy), dtype, 0))


def test_what_gets_lost() -> None:
    def said(dtype: DType, scale: float, kind: DType, zero: int = 0) -> str:
        return loses(Quantization(np.asarray(scale, kind.numpy), np.asarray(zero).astype(dtype.numpy), dtype))

    assert said(DType.uint16, 0.1, DType.float16)
    assert said(DType.uint8, 0.1, DType.bfloat16)
    assert said(DType.int32, 0.1, DType.float32)
    assert said(DType.uint8, 300, DType.float16)
    assert not said(DType.uint8, 250, DType.float16)
    assert said(DType.uint8, 2e36, DType.float32)
    assert said(DType.float8e5m2, 0.1, DType.float32)
    assert not said(DType.float8e4m3fn, 0.1, DType.float32)
