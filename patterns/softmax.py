"""The logarithm of a softmax."""

from __future__ import annotations

from typing import Final

from graphopt.ir import DType, Value
from graphopt.match import Declined, Match, attr, op, rule, tensor

# Of float64 onnxruntime's LogSoftmax makes numbers where there is a NaN.
KINDS: Final = (DType.float16, DType.float32)


@rule(op.Log(op.Softmax(tensor("x"), axis=attr("axis"))), dtype=KINDS, keeps_type=True, exactness="approximate")
def log_softmax(m: Match, x: Value, axis: int) -> Value | Declined:
    """Log(Softmax<axis>(x))  ->  LogSoftmax<axis>(x)          approximate

    Where the share of an element is too small for the type, which a mask of -1e9 brings about, its logarithm is finite instead of -inf.
    """
    return m.no("{} is constant", x) if x.const is not None else m.op.LogSoftmax(x, axis=axis)
