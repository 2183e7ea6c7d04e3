"""Which operators onnxruntime has kernels of for integers, on CPUs: the schemas admit more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from graphopt.ir import DType, Node

Runtime: TypeAlias = Literal["onnxruntime", "any"]

_BYTES: Final = frozenset({DType.int8, DType.uint8})
_WORDS: Final = _BYTES | {DType.int16, DType.uint16, DType.int32}
_FLOATS: Final = frozenset({DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz})
_NARROW: Final = frozenset({DType.int4, DType.uint4, DType.int2, DType.uint2})

# Run with onnxruntime 1.31, of which 1.22 to 1.30 have these too; comparisons of integers of 8 and 16 bits came later than 1.22.
_KERNELS: Final = {
    **dict.fromkeys((
        "Compress", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "ReverseSequence", "ScatterElements",
        "ScatterND", "Size", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze",
    ), _WORDS),
    **dict.fromkeys(("Identity", "Reshape", "Shape"), _WORDS | _FLOATS),
    "Transpose": _WORDS | _FLOATS | _NARROW,
    **dict.fromkeys(("ArgMax", "ArgMin", "Clip", "Max", "Min", "Pad", "ReduceMax", "ReduceMin", "Resize", "Where"), _BYTES | {DType.int32}),
    **dict.fromkeys(("DepthToSpace", "MaxPool", "SpaceToDepth"), _BYTES),
    "TopK": _BYTES | {DType.int16, DType.int32},
}  # fmt: skip


def lacks(made: Iterable[Node], dtype: DType, runtime: Runtime) -> str:
    """Why a runtime cannot run the integer form of an operator; empty when it can, or when it is left open which runtime."""
    if runtime == "any":
        return ""
    return next((f"{runtime} has no kernel of {node.op} for {dtype}" for node in made if dtype not in _KERNELS.get(node.op, ())), "")
