"""Which operators onnxruntime has kernels of for integers, on CPUs: the schemas admit more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from graphopt.ir import DType, Node
from graphopt.quantization.parameters import FLOAT8_TYPES, INT2_TYPES, INT4_TYPES, INT8_TYPES, INT16_TYPES

Runtime: TypeAlias = Literal["onnxruntime", "any"]

_WHOLE_BYTES: Final = INT8_TYPES | INT16_TYPES | {DType.int32}
_SUB_BYTE: Final = INT4_TYPES | INT2_TYPES

# Run with onnxruntime 1.31, of which 1.22 to 1.30 have these too; comparisons of integers of 8 and 16 bits came later than 1.22.
_KERNELS: Final = {
    **dict.fromkeys((
        "Compress", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "ReverseSequence", "ScatterElements",
        "ScatterND", "Size", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze",
    ), _WHOLE_BYTES),
    **dict.fromkeys(("Identity", "Reshape", "Shape"), _WHOLE_BYTES | FLOAT8_TYPES),
    "Transpose": _WHOLE_BYTES | FLOAT8_TYPES | _SUB_BYTE,
    **dict.fromkeys((
        "ArgMax", "ArgMin", "Clip", "Max", "Min", "Pad", "ReduceMax", "ReduceMin", "Resize", "Where",
    ), INT8_TYPES | {DType.int32}),
    **dict.fromkeys(("DepthToSpace", "MaxPool", "SpaceToDepth"), INT8_TYPES),
    "Relu": frozenset({DType.int8, DType.int32}),
    "TopK": INT8_TYPES | {DType.int16, DType.int32},
}  # fmt: skip

_QUANTIZED: Final = INT8_TYPES | INT16_TYPES | _SUB_BYTE | FLOAT8_TYPES

# The same from the other side: of each operator the types of quantized numbers that it has no kernel for, whether ONNX admits them or not.
LACKS_OF_ONNXRUNTIME: Final = {op: _QUANTIZED - held for op, held in _KERNELS.items()}


def lacks(made: Iterable[Node], dtype: DType, runtime: Runtime) -> str:
    """Why a runtime cannot run the integer form of an operator; empty when it can, or when it is left open which runtime."""
    if runtime == "any":
        return ""
    return next((f"{runtime} has no kernel of {node.op} for {dtype}" for node in made if dtype not in _KERNELS.get(node.op, ())), "")
