"""Elements on which an operator defines no result, and elements on which evaluators are known to differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, mul
from typing import Any

import numpy as np

from graphopt.infer.node import infer_node
from graphopt.ir.dim import element_count
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType
from graphopt.schema import facts
from graphopt.schema.spelling import neutral_attribute
from graphopt.schema.traits import REDUCTIONS

Inputs = Sequence["Tensor | None"]
Check = Callable[[Node, Inputs], "str | None"]


def hazard(node: Node, inputs: Inputs) -> str | None:
    """Why the operator defines no result on these elements, or runtimes differ there; None when all is well."""
    check = _CHECKS.get(node.op)
    return None if check is None else check(node, inputs)


def doubt(node: Node, inputs: Inputs) -> str | None:
    """Why one evaluator's result on these elements is not enough, though the operator defines one; None when it is."""
    check = _DOUBTS.get(node.op)
    return None if check is None else check(node, inputs)


def _since(node: Node) -> int:
    known = facts.of_node(node)
    return 0 if known is None else known.since_version


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
    if inputs[0] is not None and inputs[0].dtype.is_float and neutral_attribute(node, "fmod") != 1 and _since(node) < 28:
        return "the remainder of floats needs fmod=1 below opset 28"
    return _divides(node, inputs)


def _shifts(node: Node, inputs: Inputs) -> str | None:
    if _since(node) >= 28:  # from there on the sign fills what is shifted in
        return None
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
    if to is DType.float8e8m0 and not bool((source.numpy().astype(np.float64) >= 2.0**-127).all()):
        return f"an element lies outside of {to}"
    if to is DType.float4e2m1 and source.dtype is not to and not bool((np.abs(source.numpy().astype(np.float64)) <= 6.0).all()):
        return f"an element lies outside of {to}"  # it has neither infinity nor NaN, and ONNX does not say what takes their place
    return _rounds_twice(source, to)


def _rounds_twice(source: Tensor, to: DType) -> str | None:
    """Runtimes go to narrow floats directly, or by float32: only where both are the same is there one result."""
    if source.dtype not in _WIDE or to not in _NARROW:
        return None
    wide = source.numpy().astype(np.float64)
    wide = wide[np.isfinite(wide)]
    if source.dtype.is_integer and bool((np.abs(wide) > 2.0**53).any()):
        return "an integer is wider than float64 holds"
    with np.errstate(over="ignore", invalid="ignore"):
        once, twice = _to_odd(wide).astype(to.numpy), wide.astype(np.float32).astype(to.numpy)
    return None if once.tobytes() == twice.tobytes() else f"an element is another {to} when it is rounded to float32 before"


def _to_odd(wide: Any) -> Any:
    """As float32, cut off, the last bit set where that lost something: rounded again it is as if rounded once (Boldo, Melquiond, 2008)."""
    near = wide.astype(np.float32)
    bits = near.view(np.uint32)
    bits = bits - (np.abs(near.astype(np.float64)) > np.abs(wide)).astype(np.uint32)
    cut = bits.view(np.float32)
    return (bits | (cut.astype(np.float64) != wide).astype(np.uint32)).view(np.float32)


_WIDE = frozenset({DType.float64, DType.int32, DType.int64, DType.uint32, DType.uint64})
_NARROW = frozenset({
    DType.float16, DType.bfloat16, DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz, DType.float4e2m1,
})  # fmt: skip


def _raises(node: Node, inputs: Inputs) -> str | None:
    base, exponent = inputs[0], inputs[1]
    if base is None or exponent is None or not base.dtype.is_integer:
        return None
    powers = exponent.numpy().astype(np.float64)
    if not bool(((powers >= 0) & (powers == np.trunc(powers))).all()):
        return "an integer is raised to what is no natural number"
    if base.size == 0 or exponent.size == 0:
        return None
    with np.errstate(over="ignore"):
        greatest = np.maximum(np.abs(base.numpy().astype(np.float64)).max(), 1) ** powers.max()
    exact = min(_limit(base), 2.0**24) if exponent.dtype.is_float else _limit(base)  # floats may be used on the way
    return None if greatest < exact else "an integer may overflow"


def _counts(node: Node, inputs: Inputs) -> str | None:
    if any(tensor is None or tensor.size != 1 for tensor in inputs):
        return "it needs three scalars"
    start, limit, step = (float(_array(inputs, slot).reshape(-1)[0]) for slot in range(3))
    if inputs[0] is not None and inputs[0].dtype.is_integer and max(abs(start), abs(limit)) > 2**53:
        return "the steps are counted in doubles, which cannot hold an end beyond 2^53"
    return "the step is 0" if step == 0 else None


def _adds_up(node: Node, inputs: Inputs) -> str | None:
    """Float ranges are added up in different ways; all agree while every term is a small integer."""
    first = inputs[0]
    if first is None or not first.dtype.is_float:
        return None
    exact = 1 << 24 if first.dtype in (DType.float32, DType.float64) else 1 << 8
    parts = [float(_array(inputs, slot).reshape(-1)[0]) for slot in range(3)]
    small = all(np.isfinite(part) and part == int(part) and abs(part) < exact for part in parts)
    return None if small else "runtimes add up the terms in different ways"


def _compares(node: Node, inputs: Inputs) -> str | None:
    for tensor in inputs:
        if tensor is not None and tensor.dtype.is_float and bool(np.isnan(tensor.numpy().astype(np.float64)).any()):
            return "runtimes order NaN differently"
    return None


def _reduces(node: Node, inputs: Inputs) -> str | None:
    if node.op not in ("MaxPool", "AveragePool", "LpPool", "TopK") and neutral_attribute(node, "keepdims") not in (0, 1):
        return "keepdims is neither 0 nor 1"
    data = inputs[0]
    if data is None or data.size == 0:
        return None
    if data.dtype.is_integer and node.op in _GROWTH:
        bound = _GROWTH[node.op](np.abs(data.numpy().astype(np.float64)))
        return None if bound < _limit(data) else "an integer may overflow"
    return _compares(node, inputs) if node.op in ("ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "MaxPool", "TopK") else None


def _reduces_nothing(node: Node, inputs: Inputs) -> str | None:
    return "not every runtime can reduce nothing" if inputs[0] is None or inputs[0].size == 0 else None


def _numbers(node: Node, inputs: Inputs) -> str | None:
    """Indices of a MaxPool."""
    numbered = any(value.name for value in node.outputs[1:])
    return "its Indices are numbered otherwise than onnxruntime's" if numbered else _reduces_nothing(node, inputs)


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


def _slices(node: Node, inputs: Inputs) -> str | None:
    """Backwards, onnxruntime takes a start before the first element as the first, and an end of 2^31 - 1 or more as none at all."""
    steps = _array(inputs, 4)
    if inputs[0] is None or steps is None or not bool((steps < 0).any()):
        return None
    axes = _array(inputs, 3)
    extents = np.array(inputs[0].shape)[: len(steps)] if axes is None else np.array(inputs[0].shape)[axes]
    out_of_sight = (_array(inputs, 1) < -extents) | (_array(inputs, 2) >= (1 << 31) - 1)
    return "runtimes differ on bounds out of sight when it steps back" if bool((out_of_sight & (steps < 0)).any()) else None


def _squeezes(node: Node, inputs: Inputs) -> str | None:
    axes = inputs[1] if len(inputs) > 1 else None
    return "no axes in a list are all of extent 1 to some runtimes" if axes is not None and axes.size == 0 else None


def _marks(node: Node, inputs: Inputs) -> str | None:
    masked = any(value.name for value in node.outputs[1:])
    return "runtimes fill the mask of an inference Dropout differently" if masked else None


def _spells(node: Node, inputs: Inputs) -> str | None:
    """Upper and lower case depend on the language, but not for ASCII."""
    words = [str(word) for word in _array(inputs, 0).reshape(-1).tolist()]
    stop = node.attribute("stopwords", ())
    words += [str(word) for word in stop] if isinstance(stop, tuple) else []
    return None if all(word.isascii() for word in words) else "runtimes change the case of letters differently"


def _multiplies(node: Node, inputs: Inputs) -> str | None:
    """onnxruntime adds C whole where there is nothing to multiply, whatever beta is."""
    is_empty = inputs[0] is not None and inputs[0].size == 0
    return "runtimes differ on a product of nothing" if is_empty and neutral_attribute(node, "beta") != 1.0 else None


def _slides(node: Node, inputs: Inputs) -> str | None:
    """Where not even one window fits, onnxruntime rounds their number towards 0 and not down."""
    made = infer_node(node)[0]
    is_certain = isinstance(made, TensorType) and element_count(made.shape) is not None
    return _reduces(node, inputs) if is_certain else "runtimes differ on how many windows fit"


def _normalizes(node: Node, inputs: Inputs) -> str | None:
    return "the kernel takes it for training before opset 14" if (node.opset or 0) < 14 else None


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("Clip", "Hardmax", "Max", "Min", "PRelu", "Relu", "Sign", "Unique"), _compares),
    **dict.fromkeys((*sorted(REDUCTIONS), "ArgMax", "ArgMin", "TopK"), _reduces),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _slides),
    "Add": _grows(add),
    "Abs": _grows(add),
    "BatchNormalization": _normalizes,
    "BitShift": _shifts,
    "Cast": _casts,
    "CastLike": _casts,
    "Div": _divides,
    "Dropout": _marks,
    "Gemm": _multiplies,
    "Mod": _takes_remainder,
    "Mul": _grows(mul),
    "Neg": _grows(add),
    "Pow": _raises,
    "Range": _counts,
    "Slice": _slices,
    "Squeeze": _squeezes,
    "StringNormalizer": _spells,
    "Sub": _grows(add),
    "Sum": _grows(add),
}

def _pools(node: Node, inputs: Inputs) -> str | None:
    if neutral_attribute(node, "auto_pad") == "SAME_LOWER":
        return "with auto_pad SAME_LOWER the reference kernel pads behind, not in front"
    return _numbers(node, inputs)


_DOUBTS: dict[str, Check] = {
    **dict.fromkeys((*sorted(REDUCTIONS), "ArgMax", "ArgMin", "TopK"), _reduces_nothing),
    "MaxPool": _pools,
    "Range": _adds_up,
    "RegexFullMatch": lambda node, inputs: "dialects of regular expressions differ",
}
