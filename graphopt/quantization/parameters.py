"""The parameters of a QuantizeLinear or DequantizeLinear, read from a node as one thing that compares and moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.ir.tensor import Array
from graphopt.schema import facts
from graphopt.schema.spelling import UNKNOWN, has_neutral_form, neutral_attribute

Granularity: TypeAlias = Literal["tensor", "axis", "block"]

# onnxruntime's own pair does the same for element types that the standard one gained later.
QUANTIZE: Final = ("QuantizeLinear", "com.microsoft.QuantizeLinear")
DEQUANTIZE: Final = ("DequantizeLinear", "com.microsoft.DequantizeLinear")

# What numbers are quantized to.
INT8_TYPES: Final = frozenset({DType.int8, DType.uint8})
INT16_TYPES: Final = frozenset({DType.int16, DType.uint16})
INT4_TYPES: Final = frozenset({DType.int4, DType.uint4})
INT2_TYPES: Final = frozenset({DType.int2, DType.uint2})
FLOAT8_TYPES: Final = frozenset({DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz})


@final
@dataclass(frozen=True, eq=False, slots=True)
class Quantization:
    """q = saturate(round_half_even(x / scale) + zero_point), and x' = (q - zero_point) * scale.

    `dtype` is that of q. `scale` and `zero_point` have equal shapes: rank 0 for the whole tensor; rank 1, an entry for each index of
    `axis`; or the rank of x with `block` elements of `axis` to an entry. `axis` is None for the whole tensor and never negative;
    `block` is 0 but for blocks. Equal means equal bytes of everything. `saturate` matters for float8 alone.
    """

    scale: Array
    zero_point: Array
    dtype: DType
    axis: int | None = None
    block: int = 0
    saturate: bool = True

    @property
    def granularity(self) -> Granularity:
        """Whether one entry serves the whole tensor, an index of an axis, or a block."""
        return "tensor" if self.axis is None else "block" if self.block else "axis"

    @property
    def scale_dtype(self) -> DType:
        """The element type of the scale."""
        return DType.of(self.scale.dtype)

    @property
    def is_increasing(self) -> bool:
        """Whether every scale is positive, so that order is kept."""
        return bool((self.scale.astype(np.float64) > 0).all())

    @property
    def is_symmetric(self) -> bool:
        """Whether every zero point is 0."""
        return not self.zero_point.astype(np.float64).any()

    @property
    def key(self) -> tuple[object, ...]:
        """What equal parameters have in common."""
        scale, zero = self.scale, self.zero_point
        return self.dtype, self.axis, self.block, self.saturate, scale.shape, str(scale.dtype), scale.tobytes(), zero.tobytes()

    def with_entries(self, scale: Array, zero_point: Array, axis: int | None, block: int = 0) -> Quantization:
        """The same kind of quantization with other entries."""
        return replace(self, scale=scale, zero_point=zero_point, axis=axis, block=block)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantization) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        if self.axis is None:
            return f"{self.dtype}, scale {self.scale.item():.6g}, zero point {self.zero_point.item()}"
        blocks = f" in blocks of {self.block}" if self.block else ""
        return f"{self.dtype}, {self.scale.size} scales along axis {self.axis}{blocks}"


def is_quantize(node: Node | None) -> bool:
    """Whether a node is a QuantizeLinear, the standard one or onnxruntime's, and no local function of that name."""
    return node is not None and node.op in QUANTIZE and not facts.is_function_call(node)


def is_dequantize(node: Node | None) -> bool:
    """Whether a node is a DequantizeLinear, the standard one or onnxruntime's, and no local function of that name."""
    return node is not None and node.op in DEQUANTIZE and not facts.is_function_call(node)


def quantization_of(node: Node) -> Quantization | str:
    """The parameters of a QuantizeLinear or DequantizeLinear; in words, why they cannot be relied on.

    Relied on are constant scales, finite and not 0, with constant zero points.
    """
    if not (is_quantize(node) or is_dequantize(node)):
        return f"{node.op} neither quantizes nor dequantizes"
    if not has_neutral_form(node):
        return f"{node.op} of this opset has no newer form"
    scale = _constant(node.input(1))
    if scale is None:
        return "its scale is not constant"
    if not np.isfinite(wide := scale.astype(np.float64)).all() or not wide.all():
        return "a scale is 0, infinite or NaN"
    dtype = _dtype_of(node)
    if dtype is None:
        return "the type of the quantized numbers is not known"
    zero = _constant(node.input(2)) if node.input(2) is not None else np.zeros(scale.shape, dtype.numpy)
    if zero is None:
        return "its zero point is not constant"
    return _placed(node, scale, zero, dtype)


def _placed(node: Node, scale: Array, zero: Array, dtype: DType) -> Quantization | str:
    """The parameters, once it is known what their axes are."""
    axis, block, saturate = (neutral_attribute(node, name) for name in ("axis", "block_size", "saturate"))
    if UNKNOWN in (axis, block, saturate):
        return "an attribute is the caller's"
    if zero.size != scale.size:
        return f"it has {scale.size} scales and {zero.size} zero points"
    flags = {"saturate": saturate is None or bool(saturate)}
    if scale.size == 1 and not block:  # onnxruntime takes one entry of any rank for the whole tensor
        return Quantization(scale.reshape(()), zero.reshape(()), dtype, **flags)
    x = node.inputs[0]
    rank = x.rank if x is not None else None
    if rank is None:
        return "the rank of what it reads is not known"
    axis = _as_number(axis, 1)
    if not -rank <= axis < rank or scale.ndim not in (1, rank) or (block and scale.ndim != rank) or (not block and scale.ndim != 1):
        return f"{scale.ndim} axes of scales do not fit axis {axis} of {rank}"
    return Quantization(scale, zero.reshape(scale.shape), dtype, axis % rank, _as_number(block, 0), **flags)


def _dtype_of(node: Node) -> DType | None:
    """The element type of the quantized numbers: of the zero point, of what is dequantized, or as `output_dtype` says, or uint8."""
    if node.input(2) is not None:
        return node.inputs[2].dtype if node.inputs[2] is not None else None
    if node.op in DEQUANTIZE:
        return node.inputs[0].dtype if node.inputs[0] is not None else None
    wanted = neutral_attribute(node, "output_dtype")
    return None if wanted is UNKNOWN else DType(wanted) if wanted else DType.uint8


def _constant(value: Value | None) -> Array | None:
    return None if value is None or value.const is None else value.const.numpy()


def _as_number(attribute: Any, default: int) -> int:  # Any: an attribute may hold any kind
    return default if attribute is None else int(attribute)
