"""Where the reference kernels cannot be taken at their word: operators that are wrong, elements on which a result is not defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, mul
from typing import Any, Final

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Tensor
from graphopt.schema.spelling import neutral_attribute
from graphopt.schema.traits import REDUCTIONS

# Operator -> what is wrong with onnx's reference kernel for it. Found by running every kernel, at every version that an opset since 7
# selects, against the outputs that come with onnx's node tests and against onnxruntime; tests/infer/test_kernels.py does it again.
UNTRUSTED_KERNELS: Final[dict[str, str]] = {
    "Attention": "it adds a mask of three dimensions otherwise than onnxruntime when keys of the past are given",
    "LRN": "it sums neighbours for as many channels as there are images in the batch, not for all",
    "LpNormalization": "it sums elements instead of their absolute values for p=1",
    "MaxUnpool": "with output_shape it places elements otherwise than onnxruntime",
    "Resize": "it rounds align_corners otherwise than onnxruntime, and knows the attributes of the newest version alone",
    "RoiAlign": "it knows the coordinates of the newest version alone",
    "Upsample": "it takes the attributes of another version",
}
# (operator, first output that is wrong) -> why.
UNTRUSTED_OUTPUTS: Final[dict[tuple[str, int], str]] = {
    ("Dropout", 1): "runtimes fill the mask of an inference Dropout differently",
    ("MaxPool", 1): "its Indices are numbered otherwise than onnxruntime's",
}

# In float16 and bfloat16 these have one correct result: they round once, or not at all. numpy and ml_dtypes compute in float32 and
# round; that is correct for + - * / and sqrt, since 24 >= 2 * 11 + 2 bits (Figueroa, "When is double rounding innocuous?", 1995).
TRUSTED_IN_HALF: Final = frozenset({
    "Abs", "Add", "Cast", "Ceil", "Clip", "Div", "Equal", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual",
    "Max", "Min", "Mul", "Neg", "NonZero", "Pad", "Reciprocal", "ReduceMax", "ReduceMin", "Relu", "Round", "Sign", "Sqrt", "Sub", "Trilu",
    "Where",
})  # fmt: skip

Inputs = Sequence["Tensor | None"]
Check = Callable[[Node, Inputs], "str | None"]


def hazard(node: Node, inputs: Inputs) -> str | None:
    """Why the operator defines no result on these elements, or runtimes differ there; None when all is well."""
    for index, value in enumerate(node.outputs):
        if value.name and (node.op, index) in UNTRUSTED_OUTPUTS:
            return UNTRUSTED_OUTPUTS[node.op, index]
    check = _CHECKS.get(node.op)
    return None if check is None else check(node, inputs)


def _array(inputs: Inputs, slot: int) -> Any:  # Any: an array of any element type
    tensor = inputs[slot] if slot < len(inputs) else None
    return None if tensor is None else tensor.numpy()


def _divides(node: Node, inputs: Inputs) -> str | None:
    first = inputs[0]
    if first is None or not first.dtype.is_integer:
        return None
    a, b = _array(inputs, 0), _array(inputs, 1)
    if not b.all():
        return "an integer is divided by 0"
    if a.dtype.kind == "i" and bool((b == -1).any()) and bool((a == np.iinfo(a.dtype).min).any()):
        return "the least integer is divided by -1"
    return None


def _takes_remainder(node: Node, inputs: Inputs) -> str | None:
    if inputs[0] is not None and inputs[0].dtype.is_float and neutral_attribute(node, "fmod") != 1:
        return "the remainder of floats needs fmod=1"
    return _divides(node, inputs)


def _shifts(node: Node, inputs: Inputs) -> str | None:
    amount, width = _array(inputs, 1), inputs[1].dtype.bits if inputs[1] is not None else 0
    return "a shift is negative or as wide as the type" if bool(((amount < 0) | (amount >= width)).any()) else None


def _casts(node: Node, inputs: Inputs) -> str | None:
    source = inputs[0]
    like = inputs[1] if node.op == "CastLike" and len(inputs) > 1 else None
    number = node.attribute("to")
    to = like.dtype if like is not None else DType(number) if isinstance(number, int) else DType.undefined
    if source is None or DType.string in (source.dtype, to):
        return "texts of numbers are not written in one way"
    if source.dtype.is_float and to.is_integer:
        held = source.numpy().astype(np.float64)
        least, greatest = range_of(to)
        if not bool((np.isfinite(held) & (np.trunc(held) >= least) & (np.trunc(held) < greatest)).all()):
            return f"an element lies outside of {to}"
    return None


def _raises(node: Node, inputs: Inputs) -> str | None:
    base, exponent = inputs[0], inputs[1]
    if base is None or exponent is None or not base.dtype.is_integer:
        return None
    if exponent.dtype.is_float or bool((exponent.numpy() < 0).any()):  # type: ignore[operator]  # integers compare
        return "an integer is raised to what may be no natural number"
    if base.size == 0 or exponent.size == 0:
        return None
    greatest = np.maximum(np.abs(base.numpy().astype(np.float64)).max(), 1) ** float(exponent.numpy().astype(np.float64).max())
    return None if greatest < _limit(base) else "an integer may overflow"


def _counts(node: Node, inputs: Inputs) -> str | None:
    """Float ranges are added up in different ways; all agree while every term is a small integer."""
    if any(tensor is None or tensor.size != 1 for tensor in inputs):
        return "it needs three scalars"
    start, limit, delta = (float(_array(inputs, slot).reshape(-1)[0]) for slot in range(3))
    if delta == 0:
        return "the step is 0"
    first = inputs[0]
    if first is not None and first.dtype.is_float and not all(part == int(part) and abs(part) < 1 << 24 for part in (start, limit, delta)):
        return "runtimes add up the terms in different ways"
    return None


def _compares(node: Node, inputs: Inputs) -> str | None:
    for tensor in inputs:
        if tensor is not None and tensor.dtype.is_float and bool(np.isnan(tensor.numpy().astype(np.float64)).any()):
            return "runtimes order NaN differently"
    return None


def _reduces(node: Node, inputs: Inputs) -> str | None:
    data = inputs[0]
    if data is None or data.size == 0:
        return "runtimes reduce nothing to different results"
    if data.dtype.is_integer and node.op in _GROWTH:
        bound = _GROWTH[node.op](np.abs(data.numpy().astype(np.float64)))
        return None if bound < _limit(data) else "an integer may overflow"
    return _compares(node, inputs) if node.op in ("ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "MaxPool", "TopK") else None


# How great the result of an integer reduction can be, from the magnitudes of the elements.
_GROWTH: dict[str, Callable[[Any], float]] = {
    "ReduceL1": np.sum,
    "ReduceL2": lambda magnitudes: np.sum(magnitudes * magnitudes),
    "ReduceMean": np.sum,
    "ReduceProd": lambda magnitudes: np.prod(np.maximum(magnitudes, 1)),
    "ReduceSum": np.sum,
    "ReduceSumSquare": lambda magnitudes: np.sum(magnitudes * magnitudes),
}


def range_of(dtype: DType) -> tuple[float, float]:
    """The least number of an integer type, and the first beyond its greatest."""
    is_unsigned = dtype.name.startswith("u")
    limit = 2.0 ** (dtype.bits - (0 if is_unsigned else 1))
    return 0.0 if is_unsigned else -limit, limit


def _limit(tensor: Tensor) -> float:
    return range_of(tensor.dtype)[1]


def _grows(combine: Callable[[float, float], float]) -> Check:
    """Signed integers that may overflow have no defined result; unsigned ones wrap around."""

    def check(node: Node, inputs: Inputs) -> str | None:
        first = inputs[0]
        if first is None or not first.dtype.is_integer or first.dtype.name.startswith("u"):
            return None
        bound = None
        for tensor in inputs:
            if tensor is None or tensor.size == 0:
                return None
            greatest = float(np.abs(tensor.numpy().astype(np.float64)).max())
            bound = greatest if bound is None else combine(bound, greatest)
        return None if bound is None or bound < _limit(first) else "an integer may overflow"

    return check


def _squeezes(node: Node, inputs: Inputs) -> str | None:
    axes = inputs[1] if len(inputs) > 1 else None
    return "no axes in a list are all of extent 1 to some runtimes" if axes is not None and axes.size == 0 else None


def _normalizes(node: Node, inputs: Inputs) -> str | None:
    return "the kernel takes it for training before opset 14" if (node.opset or 0) < 14 else None


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("Clip", "Hardmax", "Max", "Min", "PRelu", "Relu", "Sign", "Unique"), _compares),
    **dict.fromkeys((*sorted(REDUCTIONS), "ArgMax", "ArgMin", "MaxPool", "TopK"), _reduces),
    "Add": _grows(add),
    "Abs": _grows(add),
    "BatchNormalization": _normalizes,
    "BitShift": _shifts,
    "Cast": _casts,
    "CastLike": _casts,
    "Div": _divides,
    "Mod": _takes_remainder,
    "Mul": _grows(mul),
    "Neg": _grows(add),
    "Pow": _raises,
    "Range": _counts,
    "Squeeze": _squeezes,
    "Sub": _grows(add),
    "Sum": _grows(add),
}
