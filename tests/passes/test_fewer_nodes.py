"""The rewrites that make one node of several compute what the nodes computed; where they would not, they stay away."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt import io
from graphopt.infer import infer_model
from graphopt.ir import DType, Tensor, Value
from graphopt.match import FLOATING, NUMERIC
from graphopt.passes.convert_slices_to_split import ConvertSlicesToSplit
from graphopt.passes.fold_scale_into_weights import FoldScaleIntoWeights
from graphopt.passes.fuse_consecutive_reshapes import FuseConsecutiveReshapes
from graphopt.passes.fuse_consecutive_transposes import FuseConsecutiveTransposes
from graphopt.passes.fuse_conv_scale import FuseConvScale
from graphopt.patterns import cast, reshape, scale, transpose
from graphopt.pipeline.base import Pass
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, run

TYPES = sorted(NUMERIC | {DType.bool})


def values_of(dtype: DType) -> npt.NDArray[Any]:
    """Every value of a type of up to 16 bits, otherwise the ends of all ranges and what lies beside them."""
    if dtype is DType.bool:
        return np.array([False, True])
    if dtype.bits <= 16:
        return np.arange(1 << dtype.bits, dtype=np.uint32).astype(f"u{dtype.bits // 8}").view(dtype.numpy)
    ends = [sign * (2**power + step) for power in range(64) for step in (-1, 0, 1) for sign in (1, -1)]
    if dtype.is_float:
        return np.array([float(end) for end in ends] + [0.1, -0.0, 1e-40, 1e30, np.inf, -np.inf, np.nan], dtype.numpy)
    return np.array([end % (1 << dtype.bits) for end in ends], np.uint64).astype(f"u{dtype.bits // 8}").view(dtype.numpy)


def shown(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in a type of which numpy knows when two NaNs are equal; whole numbers as they are."""
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


@pytest.mark.parametrize("first", TYPES, ids=str)
@np.errstate(all="ignore")
def test_a_cast_that_holds_every_value_may_be_left_out(first: DType) -> None:
    values = values_of(first)
    for middle in TYPES:
        if not cast.holds(middle, first):
            continue
        there = values.astype(middle.numpy)
        np.testing.assert_array_equal(shown(there.astype(first.numpy)), shown(values))
        for last in TYPES:
            if cast.is_by_value(first, middle, last):
                over, directly = there.astype(last.numpy), values.astype(last.numpy)
                np.testing.assert_array_equal(shown(over), shown(directly), err_msg=f"{first} {middle} {last}")


def test_what_casts_hold() -> None:
    assert cast.holds(DType.float32, DType.bfloat16) and cast.holds(DType.float64, DType.int32) and cast.holds(DType.float16, DType.uint8)
    assert not cast.holds(DType.float32, DType.int32) and not cast.holds(DType.float16, DType.bfloat16)
    assert not cast.holds(DType.int64, DType.uint64) and not cast.holds(DType.uint64, DType.int8)
    assert not cast.holds(DType.float8e5m2, DType.float8e4m3fn) and not cast.holds(DType.string, DType.bool)
    assert not any(cast.is_by_value(first, DType.float64, DType.int32) for first in FLOATING)


@pytest.mark.parametrize("rank", range(1, 5))
def test_two_orders_of_axes_are_one(rank: int) -> None:
    x = np.arange(np.prod(range(2, 2 + rank))).reshape(*range(2, 2 + rank))
    for first, second in itertools.product([None, *itertools.permutations(range(rank))], repeat=2):
        order = transpose.in_turn(first, second, rank)
        np.testing.assert_array_equal(x.transpose(order), x.transpose(first).transpose(second))
    assert transpose.in_turn(None, None, None) is None and transpose.in_turn((0, 0), None, 2) is None


@pytest.mark.parametrize("rank", range(1, 4))
def test_axes_come_to_lie_where_they_lie(rank: int) -> None:
    x = np.empty(tuple(range(2, 2 + rank)))
    for first in itertools.combinations(range(rank + 2), 2):
        for second in itertools.combinations(range(rank + 4), 2):
            both = sorted((*second, *reshape.moved(first, second)))
            assert np.expand_dims(x, tuple(both)).shape == np.expand_dims(np.expand_dims(x, first), second).shape
    assert reshape.counted((0, -3), 3) is None and reshape.counted((-1,), None) is None and reshape.counted((-1, 0), 2) == (1, 0)


def message_of(
    nodes: str, x: npt.NDArray[Any], held: Mapping[str, npt.NDArray[Any]], *, opset: int = 20, rank: int | None = None
) -> onnx.ModelProto:
    """A model of one input x, of which the first dimension is symbolic, one output y (of the rank of x or this one), and initializers."""
    message = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g (float x) => (float y) {{ {nodes} }}')
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    message.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, ["N", *x.shape[1:]]))
    message.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", kind, [None] * (x.ndim if rank is None else rank)))
    message.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held.items())
    return message


def random(*shape: int, dtype: Any = np.float32) -> npt.NDArray[Any]:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def refusals(message: onnx.ModelProto, step: Pass) -> list[str]:
    """Why a pass leaves a model alone."""
    told, loaded = Told(), io.load(message)
    infer_model(loaded)
    run(loaded, step, observer=told)
    assert not told.made
    return [reason for _, reason in told.refused]


@pytest.mark.parametrize(
    ("nodes", "rank", "expected"),
    [
        ("a = Unsqueeze<axes = [1]>(x) b = Unsqueeze<axes = [0, 3]>(a) y = Relu(b)", 6, ["Unsqueeze", "Relu"]),
        ("a = Transpose<perm = [2, 0, 1]>(x) b = Transpose(a) y = Relu(b)", 3, ["Transpose", "Relu"]),
        ("a = Transpose<perm = [2, 0, 1]>(x) b = Transpose<perm = [1, 2, 0]>(a) y = Relu(b)", 3, ["Relu"]),
    ],
    ids=["unsqueeze", "transpose", "back"],
)
def test_movement(nodes: str, rank: int, expected: list[str]) -> None:
    x = random(2, 3, 4)
    message = message_of(nodes, x, {}, opset=12, rank=rank)
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConsecutiveReshapes(), FuseConsecutiveTransposes())
    np.testing.assert_array_equal(before, after)
    assert ops(optimized.graph) == expected


@needs_onnxruntime
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (1, 4, 1, 1)], ids=str)
@pytest.mark.parametrize("has_bias", [False, True])
def test_convolution_with_factor_and_term(op_type: str, shape: tuple[int, ...], has_bias: bool) -> None:
    x, w = random(2, 4, 5, 5), random(4, 2, 3, 3)
    held = {"w": w, "k": random(*shape), "c": random(*shape), **({"b": random(4)} if has_bias else {})}
    nodes = f"t = {op_type}<group = 2>(x, w{', b' if has_bias else ''}) u = Mul(k, t) y = Add(u, c)"
    (before,), (after,), optimized = before_and_after(message_of(nodes, x, held), {"x": x}, FuseConvScale(), by_onnxruntime=True)
    assert ops(optimized.graph) == [op_type]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op_type", ["Mul", "Div"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("has_bias", [False, True])
def test_factor_into_weights(op_type: str, dtype: Any, has_bias: bool) -> None:
    """Tolerance: a dot product of 8 terms, each rounded once more."""
    x, c = random(2, 3, 8, dtype=dtype), np.array(0.3 if op_type == "Mul" else 5.6, dtype)
    held = {"w": random(8, 6, dtype=dtype), "c": c, **({"b": random(6, dtype=dtype)} if has_bias else {})}
    nodes = f"t = MatMul(x, w) {'u = Add(b, t)' if has_bias else ''} y = {op_type}({'u' if has_bias else 't'}, c)"
    (before,), (after,), optimized = before_and_after(message_of(nodes, x, held), {"x": x}, FoldScaleIntoWeights())
    assert ops(optimized.graph) == (["MatMul", "Add"] if has_bias else ["MatMul"])
    np.testing.assert_allclose(after, before, rtol=16 * np.finfo(dtype).eps, atol=16 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("dtype", "c", "why"),
    [
        (np.float32, 2.0, "bigger"),
        (np.float32, 1e-9, "smaller"),
        (np.float32, 0.0, "smaller"),
        (np.float32, np.inf, "bigger"),
        (np.float32, np.nan, "bigger"),
    ],
)
def test_factors_that_weights_do_not_take(dtype: Any, c: float, why: str) -> None:
    held = {"w": random(8, 6, dtype=dtype), "c": np.array(c, dtype)}
    message = message_of("t = MatMul(x, w) y = Mul(t, c)", random(2, 8, dtype=dtype), held)
    assert why in refusals(message, FoldScaleIntoWeights())[0]


def test_weights_in_16_bits_keep_their_factor() -> None:
    x = random(2, 8, dtype=np.float16)
    message = message_of("t = MatMul(x, w) y = Mul(t, c)", x, {"w": random(8, 6, dtype=np.float16), "c": np.array(0.5, np.float16)})
    assert refusals(message, FoldScaleIntoWeights()) == []


def test_nothing_is_computed_before_somebody_asks() -> None:
    class Unreadable:
        nbytes = 16

        def view(self) -> memoryview:
            raise AssertionError("the weights are read")

    weights = Value("w", None, tensor=Tensor(DType.float32, (2, 2), Unreadable()))
    made = scale.lazily(weights, Tensor.of(np.array(0.5, np.float32)), np.multiply)
    assert made is not None and made.nbytes == 16


@pytest.mark.parametrize("opset", [9, 10, 12, 13, 18])
@pytest.mark.parametrize("seed", range(8))
def test_slices_that_cut_are_one_split(opset: int, seed: int) -> None:
    """Cuts in any order, counted from either end, beyond the ends."""
    random_cuts = np.random.default_rng(seed)
    extent = int(random_cuts.integers(2, 9))
    inner = sorted(random_cuts.choice(range(1, extent), size=int(random_cuts.integers(1, extent)), replace=False).tolist())
    parts = list(itertools.pairwise([0, *inner, extent]))
    random_cuts.shuffle(parts)
    nodes: list[str] = []
    held: dict[str, npt.NDArray[Any]] = {}
    for index, (start, end) in enumerate(parts):
        bounds = start - extent if seed % 2 and start else start, end + 1000 if end == extent else end - extent if seed % 3 else end
        if opset < 10:
            nodes.append(f"p{index} = Slice<axes = [1], starts = [{bounds[0]}], ends = [{bounds[1]}]>(x)")
        else:
            nodes.append(f"p{index} = Slice(x, s{index}, e{index}, axis)")
            held |= {f"s{index}": np.array([bounds[0]]), f"e{index}": np.array([bounds[1]]), "axis": np.array([1])}
    nodes.append(f"y = Concat<axis = 1>({', '.join(f'p{index}' for index in range(len(parts)))})")
    x = random(2, extent)
    (before,), (after,), optimized = before_and_after(message_of(" ".join(nodes), x, held, opset=opset), {"x": x}, ConvertSlicesToSplit())
    np.testing.assert_array_equal(before, after)
    assert ops(optimized.graph) == ["Split", "Concat"]


def test_slices_in_a_branch_become_a_split_there() -> None:
    model = parse("""<ir_version: 8, opset_import: ["" : 13]>
        g (bool c, float[4] x) => (float[A] y) <int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4}> {
            a = Slice(x, zero, two)
            y = If(c) <
                then_branch = g1 () => (float[B] u) { p = Slice(x, zero, two) q = Slice(x, two, four) u = Add(p, q) },
                else_branch = g2 () => (float[C] v) { v = Relu(a) }
            >
        }""")
    assert run(model, ConvertSlicesToSplit()) == 1
    assert ops(model.graph) == ["Slice", "If", "Split", "Add", "Relu"]
