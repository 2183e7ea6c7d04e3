"""Between which numbers a dimension lies, whatever the sizes are that its symbols stand for."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TypeAlias

from graphopt.ir.dim import Dim, Factor, Floor, Least, Size

Bounds: TypeAlias = tuple[int | None, int | None]

_MOST_SPLITS = 4  # minima and divisions looked into one after the other; real shapes hold one or two


def bounds(size: Size) -> Bounds:
    """The least and the greatest number that a size can come out as; None where there is no such bound, or none is known.

    >>> bounds(Dim.symbol("S") + 2)
    (2, None)
    """
    if isinstance(size, int):
        return size, size
    return (None, None) if size is None else _bounds(size, _MOST_SPLITS)


def is_never(size: Size, wanted: int) -> bool:
    """Whether a size provably comes out as another number than `wanted`: it lies beyond it, or leaves another remainder (2 S is not 1)."""
    if size is None or isinstance(size, int):
        return size is not None and size != wanted
    common = gcd(*(coefficient for _, coefficient in size.terms))
    if (size.constant - wanted) % common:
        return True
    least, greatest = _bounds(size, _MOST_SPLITS)
    return (least is not None and least > wanted) or (greatest is not None and greatest < wanted)


@lru_cache(maxsize=1 << 12)
def _bounds(dim: Dim, splits: int) -> Bounds:
    least, greatest = _of_terms(dim)
    for product, coefficient in dim.terms:
        factor = product[-1]  # symbols come first
        if splits and not isinstance(factor, str):
            low, high = _looked_into(dim, factor, Dim.make({product[:-1]: coefficient}, 0) if product[:-1] else coefficient, splits - 1)
            return _greatest(least, low), _least(greatest, high)
    return least, greatest


def _of_terms(dim: Dim) -> Bounds:
    """Each term for itself. No factor is negative."""
    least: int | None = dim.constant
    greatest: int | None = dim.constant
    for product, coefficient in dim.terms:
        low: int | None = coefficient
        high: int | None = coefficient
        for factor in product:
            lower, upper = _of_factor(factor)
            low = None if low is None else low * lower
            high = None if high is None or upper is None else high * upper
        if coefficient < 0:
            low, high = high, low
        least = None if least is None or low is None else least + low
        greatest = None if greatest is None or high is None else greatest + high
    return least, greatest


def _of_factor(factor: Factor) -> tuple[int, int | None]:
    if isinstance(factor, str):
        return 0, None
    if isinstance(factor, Least):
        held = [bounds(operand) for operand in factor.operands]
        known = [high for _, high in held if high is not None]
        return min(low or 0 for low, _ in held), min(known, default=None)
    low, high = bounds(factor.numerator)
    smallest, largest = bounds(factor.divisor)
    most = None if high is None else high // max(smallest or 1, 1)
    return (0 if low is None or not largest else max(low // largest, 0)), most


def _looked_into(dim: Dim, factor: Floor | Least, multiplier: int | Dim, splits: int) -> Bounds:
    """The bounds with one minimum, or one division, put in terms of what it is made of. What it is multiplied with has one sign."""
    rest = dim - multiplier * Dim((((factor,), 1),))
    is_positive = (multiplier if isinstance(multiplier, int) else multiplier.terms[0][1]) > 0
    if isinstance(factor, Least):
        lows, highs = zip(*(_any(rest + multiplier * operand, splits) for operand in factor.operands), strict=True)
        if is_positive:  # the whole is the least of the cases, otherwise the greatest
            return None if None in lows else min(lows), min((high for high in highs if high is not None), default=None)
        return max((low for low in lows if low is not None), default=None), None if None in highs else max(highs)
    divisor, numerator = factor.divisor, factor.numerator
    if not isinstance(divisor, int):
        return None, None
    # numerator - (divisor - 1) <= divisor * factor <= numerator
    loose = numerator - (divisor - 1)
    small, large = (loose, numerator) if is_positive else (numerator, loose)
    low, _ = _any(rest * divisor + small * multiplier, splits)
    _, high = _any(rest * divisor + large * multiplier, splits)
    return None if low is None else -(-low // divisor), None if high is None else high // divisor


def _any(size: int | Dim, splits: int) -> Bounds:
    return (size, size) if isinstance(size, int) else _bounds(size, splits)


def _least(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


def _greatest(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else max(one, other)
