"""Types as operator schemas spell them."""

from __future__ import annotations

from graphopt.ir.dtype import DType
from graphopt.ir.types import MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorType, Type


def type_name(type: Type | None) -> str:
    """A type as schemas spell it, "tensor(float16)" or "seq(tensor(int64))"; empty when it is not known well enough."""
    match type:
        case TensorType(dtype=dtype):
            return _TENSOR_NAMES[dtype]
        case SparseTensorType(dtype=dtype):
            return f"sparse_{_TENSOR_NAMES[dtype]}" if _TENSOR_NAMES[dtype] else ""
        case SequenceType(element=element):
            return f"seq({inner})" if (inner := type_name(element)) else ""
        case OptionalType(element=element):
            return f"optional({inner})" if (inner := type_name(element)) else ""
        case MapType(key=key, value=value):
            return f"map({_element_name(key)}, {inner})" if (inner := type_name(value)) else ""
        case OpaqueType() | None:
            return ""


def _element_name(kind: DType) -> str:
    return {DType.float32: "float", DType.float64: "double"}.get(kind, kind.name)


_TENSOR_NAMES = {kind: "" if kind is DType.undefined else f"tensor({_element_name(kind)})" for kind in DType}
