"""Whose word counts for an operator: the reference kernel's alone, two evaluators' that agree, or onnxruntime's alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.schema import facts, older
from graphopt.schema.traits import MOVEMENT
from graphopt.schema.versions import OLDEST

# Operator -> what is wrong with onnx's reference kernel for it, in some release or at some version. Found by running every kernel, at
# every version that an opset since 7 selects, against the outputs that come with onnx's node tests and against onnxruntime;
# tests/infer/test_kernels.py does it again. Its result counts only where onnxruntime, or the operator's definition, gives the same.
UNTRUSTED_KERNELS: Final[dict[str, str]] = {
    "Attention": "it adds a mask of three dimensions otherwise than onnxruntime when keys of the past are given",
    "ConvTranspose": "with several groups it adds the bias of the first to all",
    "LRN": "it sums neighbours for as many channels as there are images in the batch, not for all",
    "LpNormalization": "it sums elements instead of their absolute values for p=1",
    "MaxUnpool": "with output_shape it places elements otherwise than onnxruntime",
    "Resize": "it rounds align_corners otherwise than onnxruntime, and knows the attributes of the newest version alone",
    "RoiAlign": "it knows the coordinates of the newest version alone",
    "Upsample": "it takes the attributes of another version",
}

# What onnxruntime alone may say: there is no reference kernel, or the kernel means the newest version. Compared with definitions in
# tests/infer/test_runtime.py.
RUNTIME_ALONE: Final = frozenset({"Hardmax", "LogSoftmax", "Scatter", "Softmax"})

# Operator -> what is wrong with onnxruntime's kernel on the CPU: it is no witness, and never asked alone.
UNTRUSTED_RUNTIME: Final[dict[str, str]] = {
    "StringNormalizer": "it needs a locale that the system may lack",
}

# Reference kernels that loop over elements in Python, and agree with onnxruntime on every call of tests/infer/test_kernels.py: from
# SLOW bytes of operands on onnxruntime is asked instead, where it is installed.
SLOW_KERNELS: Final = frozenset({"AveragePool", "Conv", "ConvTranspose", "GRU", "LSTM", "LpPool", "MaxPool", "RNN"})
SLOW: Final = 1 << 20

ORDINARY: Final = frozenset({
    DType.bool, DType.float32, DType.float64, DType.int8, DType.int16, DType.int32, DType.int64, DType.uint8, DType.uint16, DType.uint32,
    DType.uint64,
})  # fmt: skip
HALF: Final = frozenset({DType.float16, DType.bfloat16})

# In float16 and bfloat16 these have one correct result: they round once, or not at all. numpy and ml_dtypes compute in float32 and
# round; that is correct for + - * / and sqrt, since 24 >= 2 * 11 + 2 bits (Figueroa, "When is double rounding innocuous?", 1995).
ROUNDED_ONCE: Final = frozenset({
    "Abs", "Add", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "EyeLike", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN",
    "Less", "LessOrEqual", "Max", "Min", "Mul", "Neg", "NonZero", "OneHot", "Pad", "Range", "Reciprocal", "ReduceMax", "ReduceMin", "Relu",
    "Round", "ScatterElements", "ScatterND", "Sign", "Sqrt", "Sub", "Trilu", "Unique", "Where",
})  # fmt: skip

# Exact on texts.
OF_TEXTS: Final = frozenset({
    "Equal", "LabelEncoder", "OneHot", "Pad", "RegexFullMatch", "ScatterElements", "ScatterND", "StringConcat", "StringNormalizer",
    "StringSplit", "Where",
})  # fmt: skip

# Which look at nothing but the type and the shape of an element, or change the type alone: any type will do.
_ANY_TYPE: Final = MOVEMENT | {"Cast", "CastLike", "Constant", "ConstantOfShape", "Shape", "Size"}


def is_exact(op: str, dtypes: frozenset[DType]) -> bool:
    """Whether the kernel of an operator rounds at most once in these types: then it has one right result, and gives it."""
    for dtype in dtypes:
        if dtype in ORDINARY or op in _ANY_TYPE:
            continue
        if not (dtype in HALF and op in ROUNDED_ONCE) and not (dtype is DType.string and op.rpartition(".")[2] in OF_TEXTS):
            return False
    return True


def meaning(node: Node) -> int | None:
    """The opset at which a kernel computes what the node says; None when none does."""
    opset, known = node.opset, facts.of_node(node)
    if opset is None or known is None or known.is_deprecated:
        return None
    if node.domain:
        return opset
    if opset < OLDEST:
        same = known is facts.of("", node.op_type, OLDEST)
        check = _BEFORE.get(node.op)
        if not same and (check is None or not check(node)):
            return None
        opset = OLDEST
    return opset if older.has_form(node, opset) else None


def _pairs_alike(node: Node) -> bool:
    """Below opset 7 the second operand was laid along an axis of the first, by default its last ones: those are taken now."""
    a, b = (value.shape if value is not None else None for value in node.inputs)
    if a is None or b is None:
        return False
    if a == b:
        return True
    skipped = len(a) - len(b)
    if skipped < 0 or node.attribute("broadcast", 0) != 1 or node.attribute("axis", skipped) != skipped:
        return False
    return all(one == other or other == 1 for one, other in zip(a[skipped:], b, strict=True))


def _pads_nothing(node: Node) -> bool:
    """Whether a mean counted what was padded was not said below opset 7."""
    pads = node.attribute("pads", ())
    return isinstance(pads, tuple) and not any(pads) and node.attribute("auto_pad", "NOTSET") == "NOTSET"


_BEFORE: Final[dict[str, Callable[[Node], bool]]] = {
    **dict.fromkeys(("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"), _pairs_alike),
    "AveragePool": _pads_nothing,
    "Gemm": lambda node: True,  # opset 7 took away `broadcast` alone, without which C had to be as large as the result
}
