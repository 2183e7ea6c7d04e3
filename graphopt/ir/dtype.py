"""Element types: every one that ONNX numbers, with its width and its numpy type."""

from __future__ import annotations

import builtins
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

NumpyType = np.dtype[np.generic]


class DType(IntEnum):
    """The element type of a tensor, numbered as ONNX's TensorProto.DataType and named as numpy names it."""

    undefined = 0
    float32 = 1
    uint8 = 2
    int8 = 3
    uint16 = 4
    int16 = 5
    int32 = 6
    int64 = 7
    string = 8
    bool = 9
    float16 = 10
    float64 = 11
    uint32 = 12
    uint64 = 13
    complex64 = 14
    complex128 = 15
    bfloat16 = 16
    float8e4m3fn = 17
    float8e4m3fnuz = 18
    float8e5m2 = 19
    float8e5m2fnuz = 20
    uint4 = 21
    int4 = 22
    float4e2m1 = 23
    float8e8m0 = 24
    uint2 = 25
    int2 = 26
    float6e2m3 = 27
    float6e3m2 = 28

    @property
    def bits(self) -> int:
        """Width of one stored element in bits; 0 for strings, whose elements have no fixed width."""
        return _BITS[self]

    @property
    def is_float(self) -> builtins.bool:
        """Whether elements are real floating-point numbers of any width."""
        return self in FLOATS

    @property
    def is_integer(self) -> builtins.bool:
        """Whether elements are signed or unsigned integers of any width (bool is not)."""
        return self in INTEGERS

    @property
    def numpy(self) -> NumpyType:
        """The numpy type that holds one element (little-endian); ml_dtypes supplies what numpy lacks.

        Raises TypeError for `undefined` and for the six-bit floats, which no numpy type holds bit for bit as ONNX packs them.
        """
        return _numpy(self)

    @property
    def info(self) -> Any:  # Any: ml_dtypes leaves it untyped
        """The limits of the numbers: `min` and `max`, and of floats `eps`, `smallest_normal` and the rest of numpy's finfo, for any width.

        Raises TypeError for what is no number.
        """
        import ml_dtypes  # as in _numpy

        about: Any = ml_dtypes.finfo if self.is_float else ml_dtypes.iinfo  # Any: as above
        return about(self.numpy)

    @classmethod
    def of(cls, dtype: DType | npt.DTypeLike) -> DType:
        """The element type of a numpy dtype, a name ("float32"), or an ONNX number. Raises TypeError if ONNX has none."""
        if isinstance(dtype, cls):
            return dtype
        if isinstance(dtype, int):
            return cls(dtype)
        if isinstance(dtype, str) and dtype in cls.__members__:
            return cls[dtype]
        return _of_numpy(np.dtype(dtype))

    def __str__(self) -> str:
        return self.name


_BITS = {
    kind: 0 if kind in (DType.undefined, DType.string)
    else 1 * 8 if kind is DType.bool
    else 64 if kind is DType.complex64
    else 128 if kind is DType.complex128
    else 8 if kind.name.startswith("float8")
    else 16 if kind is DType.bfloat16
    else 6 if kind.name.startswith("float6e")
    else 4 if kind is DType.float4e2m1
    else int(kind.name.lstrip("uintfloa"))
    for kind in DType
}  # fmt: skip
FLOATS = frozenset(kind for kind in DType if "float" in kind.name)
INTEGERS = frozenset(kind for kind in DType if kind.name.lstrip("u").startswith("int"))

_EXTENSION = {
    DType.bfloat16: "bfloat16",
    DType.float8e4m3fn: "float8_e4m3fn",
    DType.float8e4m3fnuz: "float8_e4m3fnuz",
    DType.float8e5m2: "float8_e5m2",
    DType.float8e5m2fnuz: "float8_e5m2fnuz",
    DType.float8e8m0: "float8_e8m0fnu",
    DType.float4e2m1: "float4_e2m1fn",
    DType.uint4: "uint4",
    DType.int4: "int4",
    DType.uint2: "uint2",
    DType.int2: "int2",
    DType.float6e2m3: "float6_e2m3fn",
    DType.float6e3m2: "float6_e3m2fn",
}


@cache
def _numpy(kind: DType) -> NumpyType:
    if kind is DType.undefined:
        raise TypeError("a tensor of undefined element type has no numpy type")
    if kind is DType.string:
        return np.dtype(object)
    if kind in _EXTENSION:
        import ml_dtypes  # numpy has no such types; imported when a model holds one

        extension: NumpyType = np.dtype(getattr(ml_dtypes, _EXTENSION[kind]))
        return extension
    plain: NumpyType = np.dtype(np.bool_ if kind is DType.bool else kind.name)
    little: NumpyType = plain.newbyteorder("<")
    return little


@cache
def _of_numpy(dtype: NumpyType) -> DType:
    if dtype.kind in "OUST":
        return DType.string
    name = dtype.name
    for kind, extension in _EXTENSION.items():
        if name == extension:
            return kind
    if name in DType.__members__:
        return DType[name]
    raise TypeError(f"ONNX has no element type for numpy's {name}")
