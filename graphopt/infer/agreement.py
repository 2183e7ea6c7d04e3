"""Whether two evaluators say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from graphopt.ir.dtype import DType

# How far results may be apart, in units in the last place of the element or of the mean element, whichever is larger: what summing in
# another order and another approximation of exp make. A kernel that is wrong is off by orders of magnitude more.
UNITS: Final = {DType.float16: 4, DType.bfloat16: 4, DType.float32: 64, DType.float64: 64}


def disagreement(ours: Sequence[Any], theirs: Sequence[Any]) -> str | None:
    """Where two lists of outputs differ by more than rounding; None when they agree."""
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs and {len(theirs)}"
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one is None or other is None or not isinstance(one, (np.ndarray, np.generic)) or not isinstance(other, (np.ndarray, np.generic)):
            return f"output {index} is no tensor"
        why = _differs(np.asarray(one), np.asarray(other))
        if why is not None:
            return f"output {index}: {why}"
    return None


def _differs(one: Any, other: Any) -> str | None:
    kind = DType.of(one.dtype)
    if kind is not DType.of(other.dtype) or one.shape != other.shape:
        return f"{one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    if kind is DType.string:
        return None if one.tolist() == other.tolist() else "other texts"
    if one.tobytes() == other.tobytes():
        return None
    if kind not in UNITS:
        return "other elements"
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.array_equal(finite, np.isfinite(b)):
        return "other infinities or NaN"
    a, b = a[finite], b[finite]
    scale = np.maximum(np.abs(a), np.mean(np.abs(a)) if a.size else 0.0)
    return None if bool((np.abs(a - b) <= UNITS[kind] * _unit(kind) * scale).all()) else "other elements"


def _unit(kind: DType) -> float:
    return {DType.float16: 2.0**-10, DType.bfloat16: 2.0**-7, DType.float32: 2.0**-23, DType.float64: 2.0**-52}[kind]
