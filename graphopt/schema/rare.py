"""Element types for which runtimes have kernels of hardly any operator, whatever the schemas admit."""

from __future__ import annotations

from typing import Final

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.types import TensorType, Type
from graphopt.schema import facts

NARROW: Final = frozenset({
    DType.int4, DType.uint4, DType.int2, DType.uint2, DType.float4e2m1, DType.float6e2m3, DType.float6e3m2, DType.float8e8m0,
})  # fmt: skip
FLOAT8: Final = frozenset({DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz})
FLOAT8_MOVES_SINCE: Final = 21  # Identity, Reshape, Shape and their kin, in ONNX and in onnxruntime
CONVERTING: Final = frozenset({"BitCast", "Cast", "CastLike", "Constant", "DequantizeLinear", "QuantizeLinear", "Transpose"})


def is_rare(dtype: DType | None, opset: int) -> bool:
    """Whether little else than casts and Transposes of such elements runs."""
    return dtype in NARROW or (dtype in FLOAT8 and opset < FLOAT8_MOVES_SINCE)


def lacks_kernels(node: Node, graph: Graph) -> str | None:
    """Why runtimes may refuse a new node that is legal; None when there is no reason to fear it.

    Source: run with onnxruntime 1.31 on CPUs, which has Shape and Identity of no type of less than a byte.
    """
    if node.domain or node.op_type in CONVERTING:
        return None
    opset = graph.opsets.get("", 0)
    for value in (*node.inputs, *node.outputs):
        if value is not None and is_rare(value.dtype, opset):
            return f"runtimes have no kernel of {node.op_type} for {value.dtype}"
    return None


def refuses_identity(graph: Graph, type: Type | None) -> str | None:
    """Why a graph cannot get an Identity that keeps an output's name, of a value of this type; None when it can."""
    if "" not in graph.opsets:
        return "the model does not import the default domain"
    if type is None or (isinstance(type, TensorType) and not type.dtype):
        return "its type is not known"
    node = Node("Identity", (Value("", type),), (Value("", type),))
    return facts.accepts(node, graph) or lacks_kernels(node, graph)
