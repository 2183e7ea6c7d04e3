"""What runtimes refuse beyond element types, zero points and missing kernels; each small and named, for a target to list."""

from __future__ import annotations

from graphopt.ir import DType, Node
from graphopt.quantization import Quantization
from graphopt.runtimes.seen import Step
from graphopt.runtimes.wants import Refusal, Why

_STANDARD = frozenset({"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
_BIASED = frozenset({"Conv", "ConvTranspose", "Gemm"})
_CONTRIBUTED = ("QLinear", "QGemm", "QAttention", "MatMulInteger", "DynamicQuantize")


def _scales(step: Step) -> Why | None:
    by = step.quantization
    if isinstance(by, Quantization) and not by.is_increasing:
        return Why("a scale is not positive")
    return None


def _biases(step: Step) -> Why | None:
    if not step.is_dequantize or step.dtype is not DType.int32:
        return None
    adds = all(reader.op in _BIASED for reader in step.origin.output.users)
    return Why("it dequantizes int32: a bias must be stored in floats", "dequantize-bias" if adds else "")


def computes_on_integers(node: Node) -> bool:
    """Whether a node is one of the operators that are quantized inside: QLinearConv, MatMulInteger and their like."""
    return node.op in _STANDARD or (node.domain == "com.microsoft" and node.op_type.startswith(_CONTRIBUTED))


def _integer_operators(step: Step) -> Why | None:
    if computes_on_integers(step.origin):
        return Why("the runtime has no operators on integers but Q and DQ", "convert-qoperator-to-qdq")
    return None


SCALES = Refusal("scales are positive", _scales)
BIASES = Refusal("biases are floats", _biases)
INTEGER_OPERATORS = Refusal("no QLinear and Integer operators", _integer_operators)
