"""Calls of operators, spelled as the newest opset spells them: what the kernels and the inference are compared with onnxruntime on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from graphopt.ir import DType, Tensor
from graphopt.schema.traits import COMPARISON, REDUCTIONS

Array: TypeAlias = npt.NDArray[Any]
INTEGERS = (np.int8, np.int32, np.int64)
f32 = np.float32


class Call(NamedTuple):
    """One call; an input of None is absent."""

    op: str
    inputs: tuple[Array | None, ...]
    attributes: dict[str, Any]
    outputs: int = 1


def call(op: str, *inputs: Array | None, outputs: int = 1, **attributes: Any) -> Call:
    """Attributes by name."""
    return Call(op, inputs, {name: value for name, value in attributes.items() if value is not None}, outputs)


class Data:
    """Random arrays, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def real(self, *shape: int) -> Array:
        """float32 around 0."""
        return (self.random.normal(size=shape) * 3).astype(f32)

    def whole(self, *shape: int, low: int = -9, high: int = 9, dtype: npt.DTypeLike = np.int64) -> Array:
        """Integers."""
        return self.random.integers(low, high, size=shape).astype(dtype)

    def flag(self, *shape: int) -> Array:
        """bool."""
        return self.random.integers(0, 2, size=shape).astype(np.bool_)


def i64(*numbers: int) -> Array:
    """A vector of int64."""
    return np.array(numbers, np.int64)


def scalar(number: float, dtype: npt.DTypeLike = f32) -> Array:
    """One element without axes."""
    return np.array(number, dtype)


def calls(seed: int = 0) -> list[Call]:
    """All calls, with data of this seed."""
    data = Data(seed)
    parts = (elementwise, arithmetic, casts, reductions, movement, indexing, linear, windows, recurrent)
    return [one for part in parts for one in part(data)]


def elementwise(data: Data) -> Iterator[Call]:
    for op in (
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu",
        "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu",
        "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
    ):  # fmt: skip
        yield call(op, data.real(2, 3))
        yield call(op, data.real(2, 3).astype(np.float64))
    yield call("Round", np.array([0.5, 1.5, 2.5, -0.5, -1.5], f32))
    yield call("IsInf", np.array([np.inf, -np.inf, 1], f32), detect_negative=0)
    for op, dtype in itertools.product(("Abs", "Neg", "Sign", "Relu"), INTEGERS):
        yield call(op, data.whole(3, 4, dtype=dtype))
    low, high = scalar(-1), scalar(1)
    for bounds in ((low, high), (None, high), (low,), (high, low), ()):
        yield call("Clip", data.real(4, 4), *bounds)
    yield call("Clip", data.whole(4, 4), scalar(-1, np.int64), scalar(3, np.int64))
    yield call("Not", data.flag(4))
    yield call("BitwiseNot", data.whole(3))
    yield call("PRelu", data.real(2, 3, 4), data.real(3, 1))
    for axis in (None, 0, 1, -1, 2):
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            yield call(op, data.real(2, 3, 4), axis=axis)
            yield call(op, data.real(2, 3), axis=axis if axis != 2 else None)
    for exclusive, reverse, axis in itertools.product((0, 1), (0, 1), (0, 1, -1)):
        yield call("CumSum", data.whole(3, 4), scalar(axis, np.int64), exclusive=exclusive, reverse=reverse)


def arithmetic(data: Data) -> Iterator[Call]:
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum"):
        yield call(op, data.real(2, 3), data.real(3))
        for dtype in INTEGERS:
            yield call(op, data.whole(2, 3, dtype=dtype), data.whole(2, 3, low=1, dtype=dtype))
            yield call(op, data.whole(2, 3, dtype=dtype), (-data.whole(2, 3, low=1)).astype(dtype))
        yield call(op, data.whole(2, 3, low=1, dtype=np.uint8), data.whole(2, 3, low=1, dtype=np.uint8))
    for dtype, fmod in itertools.product(INTEGERS, (0, 1)):
        yield call("Mod", data.whole(3, 4, dtype=dtype), np.where(data.flag(3, 4), 3, -4).astype(dtype), fmod=fmod)
    yield call("Mod", data.real(3, 4), data.real(3, 4), fmod=1)
    yield call("Pow", np.abs(data.real(2, 3)), data.real(3))
    yield call("Pow", data.real(2, 3), scalar(2))
    yield call("Pow", data.real(2, 3), data.whole(3, low=-2, high=4))
    for dtype in (np.int32, np.int64):
        yield call("Pow", data.whole(2, 3, dtype=dtype), data.whole(3, low=0, high=4))
    for op in sorted(COMPARISON):
        yield call(op, data.whole(2, 3, low=0, high=3), data.whole(3, low=0, high=3))
        yield call(op, data.real(2, 3), data.real(2, 1))
    for op in ("And", "Or", "Xor"):
        yield call(op, data.flag(2, 3), data.flag(3))
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        yield call(op, data.whole(2, 3), data.whole(3))
    for direction in ("LEFT", "RIGHT"):
        yield call("BitShift", data.whole(4, low=0, dtype=np.uint8), data.whole(4, low=0, high=8, dtype=np.uint8), direction=direction)
    yield call("Where", data.flag(2, 3), data.real(2, 3), data.real(3))


def casts(data: Data) -> Iterator[Call]:
    kinds: tuple[Any, ...] = (f32, np.float64, np.int32, np.int64, np.uint8, np.int8, np.bool_)
    for source, target in itertools.product(kinds, repeat=2):
        x = data.flag(3, 4) if source is np.bool_ else (np.abs(data.real(3, 4)) * 10).astype(source)
        yield call("Cast", x, to=int(DType.of(np.dtype(target))))
    for target in (DType.int8, DType.uint8):
        yield call("Cast", data.whole(9, low=-1000, high=1000), to=int(target))
    yield call("Cast", data.whole(9, low=-(2**40), high=2**40), to=int(DType.int32))
    yield call("Cast", data.real(9), to=int(DType.int8))


def reductions(data: Data) -> Iterator[Call]:
    for op in sorted(REDUCTIONS):
        for x in (np.abs(data.real(2, 3, 4)), data.whole(2, 3, 4, dtype=np.int32), data.whole(2, 3, 4)):
            for axes, keep in itertools.product((None, i64(1), i64(-1), i64(0, 2), i64()), (0, 1)):
                yield call(op, x, axes, keepdims=keep)
            yield call(op, x, noop_with_empty_axes=1)
    for op, axis, keep, last in itertools.product(("ArgMax", "ArgMin"), (0, 1, -1), (0, 1), (0, 1)):
        yield call(op, data.whole(3, 4, low=0, high=3).astype(f32), axis=axis, keepdims=keep, select_last_index=last)


def movement(data: Data) -> Iterator[Call]:
    x = data.real(2, 3, 4)
    yield call("Transpose", x)
    yield call("Transpose", x, perm=[1, 2, 0])
    for shape in (i64(0, -1), i64(-1, 2, 0), i64(4, -1)):
        yield call("Reshape", x, shape)
    yield call("Reshape", data.real(0, 3), i64(3, 0), allowzero=1)
    for axis in (None, 0, 1, 2, -1, 3):
        yield call("Flatten", x, axis=axis)
    for axes in (None, i64(0), i64(-1)):
        yield call("Squeeze", data.real(1, 3, 1), axes)
    for axes in (i64(0, 3), i64(-1), i64(2, 0)):
        yield call("Unsqueeze", data.real(2, 3), axes)
    for axis in (0, 1, -1):
        yield call("Concat", data.real(2, 2), data.real(2, 2), axis=axis)
    yield call("Split", data.real(4, 6), outputs=2, axis=1, num_outputs=2)
    yield call("Split", data.real(4, 6), i64(1, 3), outputs=2)
    yield call("Split", data.real(4, 6), i64(2, 4), outputs=2, axis=-1)
    yield call("Split", data.real(5, 6), outputs=2, num_outputs=2)
    yield call("Split", data.real(7), outputs=3, num_outputs=3)
    most = 2**63 - 1
    for bounds in (
        (i64(1, -3), i64(4, 100)), (i64(-2), i64(-100), i64(1), i64(-2)), (i64(0), i64(most), i64(-1)), (i64(3), i64(1)),
        (i64(-1), i64(-most - 1), i64(0), i64(-1)), (i64(-100), i64(3), i64(0)), (i64(2, 1), i64(5, 4), i64(1, 0)),
    ):  # fmt: skip
        yield call("Slice", data.real(5, 6), *bounds)
    yield call("Expand", data.real(3, 1), i64(2, 1, 4))
    yield call("Tile", data.real(2, 3), i64(2, 3))
    for mode in ("constant", "edge", "reflect", "wrap"):
        yield call("Pad", data.real(4, 5), i64(1, 2, 0, 1), mode=mode)
    yield call("Pad", data.real(4, 5), i64(1, -1, 0, -2), scalar(2.5))
    yield call("Pad", data.real(4, 5), i64(1, 2), scalar(1), i64(1))
    yield call("Pad", data.whole(4, 5), i64(0, 0, 1, 1))
    yield call("Pad", data.real(4, 5), i64(1, 0), None, i64(-2))
    for mode in ("DCR", "CRD"):
        yield call("DepthToSpace", data.real(1, 8, 2, 3), blocksize=2, mode=mode)
    yield call("SpaceToDepth", data.real(1, 2, 4, 6), blocksize=2)
    yield call("Shape", x)
    yield call("Shape", x, start=-2)
    yield call("Shape", x, start=1, end=2)
    yield call("Shape", x, start=2, end=1)
    yield call("Size", x)
    yield call("ConstantOfShape", i64(2, 3))
    yield call("ConstantOfShape", i64(2), value=Tensor.of([7]))
    yield call("ConstantOfShape", i64(), value=Tensor.of([7]))
    for numbers in ((1, 10, 3), (10, 1, -3), (3, 1, 1)):
        yield call("Range", *(scalar(number, np.int64) for number in numbers))
    yield call("Range", *(scalar(bound) for bound in (0, 5, 1)))
    yield call("EyeLike", data.real(3, 4), k=1)
    yield call("Trilu", data.real(4, 4), upper=0)
    yield call("Trilu", data.real(4, 4), scalar(1, np.int64))


def indexing(data: Data) -> Iterator[Call]:
    x = data.real(4, 5)
    yield call("Gather", x, data.whole(2, 3, low=-4, high=4))
    yield call("Gather", x, data.whole(2, low=0, high=4), axis=1)
    yield call("Gather", x, scalar(1, np.int64), axis=-1)
    yield call("GatherElements", x, data.whole(4, 5, low=-4, high=4))
    yield call("GatherElements", x, data.whole(4, 2, low=0, high=5), axis=1)
    yield call("GatherND", x, data.whole(3, 1, low=0, high=4))
    yield call("GatherND", x, data.whole(3, 2, low=-4, high=4))
    yield call("GatherND", x, data.whole(4, 1, low=0, high=4), batch_dims=1)
    for reduction in ("none", "add", "mul", "max", "min"):
        places = np.array([[0, 1, 2, 3, 0], [1, 0, 3, 2, 1]])
        yield call("ScatterElements", x, places, data.real(2, 5), reduction=reduction)
        yield call("ScatterND", x, i64(1, 3).reshape(2, 1), data.real(2, 5), reduction=reduction)
    yield call("ScatterElements", x, np.array([[0, 1, -1]]), data.real(1, 3), axis=1)
    yield call("NonZero", data.whole(3, 4, low=0, high=2))
    yield call("OneHot", data.whole(5, low=-4, high=6), scalar(4, np.int64), data.real(2))
    yield call("OneHot", data.whole(5, low=0, high=4), scalar(4, np.int64), data.real(2), axis=0)
    yield call("Compress", data.real(3, 4), np.array([True, False, True]), axis=0)
    yield call("Compress", data.real(3, 4), np.array([True, False, True]))
    yield call("Unique", data.whole(9, low=0, high=4), outputs=4)
    yield call("ReverseSequence", data.real(4, 3), i64(1, 4, 2), batch_axis=1, time_axis=0)
    for largest in (0, 1):
        yield call("TopK", data.real(3, 6), i64(2), outputs=2, largest=largest)
        yield call("TopK", data.whole(6, 3, low=0, high=3), i64(4), outputs=2, largest=largest, axis=0)
    yield call("CenterCropPad", x, i64(3, 7))
    yield call("Col2Im", data.real(1, 4, 9), i64(4, 4), i64(2, 2))


def linear(data: Data) -> Iterator[Call]:
    yield call("MatMul", data.real(2, 3, 4), data.real(4, 5))
    yield call("MatMul", data.real(4), data.real(4, 5))
    yield call("MatMul", data.real(3), data.real(3))
    yield call("MatMul", data.whole(3, 4, dtype=np.int32), data.whole(4, 2, dtype=np.int32))
    for one, other in itertools.product((0, 1), repeat=2):
        a, b = data.real(*(3, 2) if one else (2, 3)), data.real(*(4, 3) if other else (3, 4))
        yield call("Gemm", a, b, data.real(4), transA=one, transB=other, alpha=0.5, beta=2.0)
    yield call("Gemm", data.real(2, 3), data.real(3, 4))
    small: Any = {"low": 0, "dtype": np.uint8}
    one_byte, two_bytes = scalar(3, np.uint8), scalar(2, np.uint8)
    yield call("MatMulInteger", data.whole(2, 3, **small), data.whole(3, 4, **small))
    yield call("MatMulInteger", data.whole(2, 3, **small), data.whole(3, 4, **small), one_byte, two_bytes)
    yield call("ConvInteger", data.whole(1, 1, 4, 4, **small), data.whole(1, 1, 2, 2, **small), one_byte)
    yield call("Einsum", data.real(2, 3), data.real(3, 4), equation="ij,jk->ik")
    yield call("Einsum", data.real(2, 3, 3), equation="bii->bi")
    yield call("Det", data.real(2, 3, 3))
    yield call("BatchNormalization", data.real(2, 3, 4), data.real(3), data.real(3), data.real(3), np.abs(data.real(3)))
    yield call("InstanceNormalization", data.real(2, 3, 4), data.real(3), data.real(3))
    yield call("LRN", data.real(1, 5, 4, 4), size=3)
    yield call("LayerNormalization", data.real(2, 3, 4), data.real(4), data.real(4))
    yield call("LayerNormalization", data.real(2, 3, 4), data.real(3, 4), outputs=3, axis=1)
    yield call("GroupNormalization", data.real(2, 4, 3), data.real(4), data.real(4), num_groups=2)
    yield call("LpNormalization", data.real(3, 4), p=1)
    yield call("MeanVarianceNormalization", data.real(2, 3, 4, 5))
    yield call("Dropout", data.real(3, 4))
    yield call("Dropout", data.real(3, 4), scalar(0.3), outputs=2)
    yield call("QuantizeLinear", data.real(3, 4), scalar(0.1), one_byte)
    yield call("QuantizeLinear", data.real(3, 4), np.array([0.1, 0.2, 0.3], f32), np.array([3, 1, 2], np.int8), axis=0)
    yield call("DequantizeLinear", data.whole(3, 4, **small), scalar(0.1), one_byte)
    yield call("DynamicQuantizeLinear", data.real(3, 4), outputs=3)


Attributes: TypeAlias = dict[str, Any]
CONVOLUTIONS: list[Attributes] = [
    {}, {"strides": [2, 2]}, {"pads": [1, 0, 2, 1]}, {"dilations": [2, 1]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "VALID"},
    {"auto_pad": "SAME_LOWER", "strides": [2, 1]}, {"auto_pad": "SAME_UPPER", "dilations": [2, 2]},
]  # fmt: skip
POOLINGS: list[Attributes] = [
    {}, {"strides": [2, 2]}, {"pads": [1, 0, 1, 1]}, {"ceil_mode": 1, "strides": [2, 2]}, {"auto_pad": "SAME_LOWER"},
    {"ceil_mode": 1, "strides": [2, 2], "pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"dilations": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
]  # fmt: skip
RESIZINGS: list[Attributes] = [
    {"mode": "nearest"}, {"mode": "linear"}, {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
]  # fmt: skip


def windows(data: Data) -> Iterator[Call]:
    for attributes in CONVOLUTIONS:
        yield call("Conv", data.real(1, 4, 7, 6), data.real(6, 4, 3, 2), **attributes)
        yield call("Conv", data.real(1, 4, 7, 6), data.real(6, 2, 3, 2), data.real(6), group=2, **attributes)
        yield call("ConvTranspose", data.real(1, 4, 5, 6), data.real(4, 2, 3, 2), **attributes)
        yield call("ConvTranspose", data.real(1, 4, 5, 6), data.real(4, 2, 3, 2), data.real(4), group=2, **attributes)
    yield call("Conv", data.real(1, 2, 9), data.real(3, 2, 3), pads=[1, 1])
    yield call("ConvTranspose", data.real(1, 4, 5, 6), data.real(4, 2, 3, 2), strides=[2, 2], output_padding=[1, 1])
    yield call("ConvTranspose", data.real(1, 4, 5, 6), data.real(4, 2, 3, 3), strides=[2, 2], output_shape=[10, 12])
    for op, attributes in itertools.product(("MaxPool", "AveragePool", "LpPool"), POOLINGS):
        yield call(op, data.real(1, 2, 7, 6), kernel_shape=[3, 2], **attributes)
        if op == "AveragePool":
            yield call(op, data.real(1, 2, 7, 6), kernel_shape=[3, 2], count_include_pad=1, **attributes)
        if op == "MaxPool":
            yield call(op, data.real(1, 2, 7, 6), outputs=2, kernel_shape=[3, 2], **attributes)
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        yield call(op, data.real(2, 3, 4, 5))
    for attributes in RESIZINGS:
        for scales in ([1, 1, 2, 2], [1, 1, 0.6, 0.6], [1, 1, 1.5, 3]):
            yield call("Resize", data.real(1, 1, 4, 5), None, np.array(scales, f32), **attributes)
        yield call("Resize", data.real(1, 1, 4, 5), None, None, i64(1, 1, 3, 7), **attributes)
    yield call("Upsample", data.real(1, 1, 2, 3), np.array([1, 1, 2, 2], f32), mode="nearest")
    yield call("GridSample", data.real(1, 1, 4, 5), data.random.uniform(-1, 1, size=(1, 3, 3, 2)).astype(f32))
    yield call("RoiAlign", data.real(1, 2, 6, 6), np.array([[0, 0, 4, 4]], f32), i64(0), output_height=2, output_width=2)
    for op in ("HannWindow", "BlackmanWindow", "HammingWindow"):
        yield call(op, scalar(8, np.int64))


def recurrent(data: Data) -> Iterator[Call]:
    for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        for op, gates, outputs in (("LSTM", 4, 3), ("GRU", 3, 2), ("RNN", 1, 2)):
            given = data.real(5, 2, 3), data.real(count, gates * 4, 3), data.real(count, gates * 4, 4), data.real(count, gates * 8)
            yield call(op, *given, outputs=outputs, hidden_size=4, direction=direction)
