"""Numbers to feed: ordinary ones, and those at which wrong rewrites give themselves away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Array

Family: TypeAlias = Literal["any", "positive", "unit", "nonzero", "index", "scale", "exact"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What an operand's elements must be like for the operator to make sense.

    any; positive; unit (strictly between -1 and 1); nonzero; index (from -limit to limit - 1); scale (small and positive);
    exact (these very elements: axes, shapes, paddings).
    """

    family: Family = "any"
    limit: int = 0


ANY: Final = Kind()
_STRINGS = np.array(["", "a", "b", "ONNX", "ä"], dtype=object)


def ordinary(kind: Kind, dtype: DType, shape: tuple[int, ...], numbers: np.random.Generator) -> Array:
    """Elements without surprises: floats that need all their bits, small integers of both signs."""
    if kind.family == "index":
        low = 0 if dtype.name.startswith("u") else -kind.limit
        return numbers.integers(low, max(kind.limit, low + 1), shape).astype(dtype.numpy)
    if dtype is DType.string:
        count = int(np.prod(shape, dtype=np.int64))
        words: Array = np.array([str(word) for word in numbers.choice(_STRINGS, count)], dtype=object).reshape(shape)
        return words
    if dtype is DType.bool:
        return numbers.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_integer:
        return _integers(kind, dtype, shape, numbers)
    if dtype.name.startswith("complex"):
        return (numbers.normal(size=shape) + 1j * numbers.normal(size=shape)).astype(dtype.numpy)
    match kind.family:
        case "positive":
            drawn = numbers.uniform(0.1, 3.0, shape)
        case "unit":
            drawn = numbers.uniform(-0.9, 0.9, shape)
        case "scale":
            drawn = numbers.uniform(0.01, 0.2, shape)
        case "nonzero":
            drawn = numbers.uniform(0.3, 3.0, shape) * numbers.choice([-1.0, 1.0], shape)
        case _:
            drawn = numbers.normal(scale=2.0, size=shape)
    return np.asarray(drawn).astype(dtype.numpy)


def _integers(kind: Kind, dtype: DType, shape: tuple[int, ...], numbers: np.random.Generator) -> Array:
    is_unsigned = dtype.name.startswith("u")
    top = min(2 ** (dtype.bits - (0 if is_unsigned else 1)) - 1, 11)
    if kind.family in ("positive", "scale"):
        drawn = numbers.integers(1, top + 1, shape)
    elif kind.family == "nonzero":
        drawn = numbers.integers(1, top + 1, shape) * (1 if is_unsigned else numbers.choice([-1, 1], shape))
    else:
        drawn = numbers.integers(0 if is_unsigned else -top, top + 1, shape)
    return np.asarray(drawn).astype(dtype.numpy)


def special(kind: Kind, dtype: DType, shape: tuple[int, ...], numbers: np.random.Generator, *, finite: bool, wide: bool) -> Array:
    """Elements among which are zeros of both signs, NaN, infinities, the smallest and (if `wide`) the largest numbers."""
    array = ordinary(kind, dtype, shape, numbers)
    if kind.family not in ("any", "positive") or dtype in (DType.string, DType.bool) or dtype.name.startswith("complex") or not array.size:
        return array
    if dtype.is_integer:
        low, high = (0, 2**dtype.bits - 1) if dtype.name.startswith("u") else (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1)
        rare: list[float | int] = [0, 1, *([low, high, high - 1] if wide else [])]
    else:
        rare = [0.0, -0.0, 1.0, -1.0, *([] if finite else [np.nan, np.inf, -np.inf]), *(_extremes(dtype) if wide else ())]
    if kind.family == "positive":
        rare = [number for number in rare if number > 0]
    if not rare:
        return array
    flat = array.reshape(-1).copy()
    places = numbers.permutation(flat.size)[: max(1, flat.size * 2 // 3)]
    start = int(numbers.integers(len(rare)))
    for i, place in enumerate(places):
        flat[place] = np.array(rare[(start + i) % len(rare)]).astype(dtype.numpy)
    made: Array = flat.reshape(shape)
    return made


def _extremes(dtype: DType) -> tuple[float, ...]:
    limits = dtype.info
    return float(limits.max), -float(limits.max), float(limits.smallest_subnormal), float(limits.max) / 2, float(limits.tiny)


def constants(kind: Kind, dtype: DType, shape: tuple[int, ...], numbers: np.random.Generator) -> list[tuple[str, Array]]:
    """Contents that a constant may have besides ordinary ones: what a `where=` asks for is usually among them."""
    found: list[tuple[str, Array]] = []
    if kind.family == "index" or dtype is DType.string:
        return found
    positive = ordinary(Kind("positive"), dtype, shape, numbers)
    uniform: list[float] = [0, 1, 2, 0.5, -1, 3, 6, -2, 0.1, 1e-5]
    if kind.family in ("any", "unit"):
        found += [(f"all {number}", np.full(shape, number).astype(dtype.numpy)) for number in uniform if _fits(number, dtype)]
        if dtype.is_float:
            found += [("all -0.0", np.full(shape, -0.0).astype(dtype.numpy)), ("negative", np.negative(positive))]
    if kind.family in ("any", "positive", "nonzero"):
        found += [("positive", positive)]
    if kind.family == "any":
        count = int(np.prod(shape, dtype=np.int64))
        found += [
            ("counting up", np.arange(count).reshape(shape).astype(dtype.numpy)),
            ("counting down", np.arange(count)[::-1].reshape(shape).astype(dtype.numpy)),
        ]
    return found


def _fits(number: float, dtype: DType) -> bool:
    if dtype is DType.bool:
        return number in (0, 1)
    if dtype.is_integer:
        return number == int(number) and (number >= 0 or not dtype.name.startswith("u"))
    return True
