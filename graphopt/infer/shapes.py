"""Shapes under symbolic sizes: what can be proved of broadcasting, equality and arithmetic. An unknown size proves nothing."""

from __future__ import annotations

from collections.abc import Iterable

from graphopt.ir import algebra
from graphopt.ir.bounds import bounds, is_never
from graphopt.ir.dim import Dim, Least, Shape, Size
from graphopt.ir.types import MapType, OptionalType, SequenceType, TensorType, Type

__all__ = [
    "add",
    "bounds",
    "broadcast",
    "broadcast_all",
    "broadcasts_into",
    "ceil_divide",
    "contradicts",
    "floor_divide",
    "is_never",
    "is_size",
    "join",
    "maximum",
    "minimum",
    "multiply",
    "product",
    "quotient",
    "same_shape",
    "subtract",
    "without_symbols",
]


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape of two operands broadcast against each other; None when they cannot be.

    A size is known only when it is proved, for every run that succeeds: equal sizes stay, 1 gives way, a size that is never 1 wins over
    any other (which must be equal to it or 1), and so does one that is 1 only when the other is. Of two different symbols either may be
    1, so nothing is known.

    >>> broadcast((3, 1), (5,)), broadcast((None, 4), (4,)), broadcast((2,), (3,))
    ((3, 5), (None, 4), None)
    """
    if a == b and None not in a:
        return a
    if len(a) < len(b):
        a, b = b, a
    extra = len(a) - len(b)
    sizes = list(a[:extra])
    for one, other in zip(a[extra:], b, strict=True):
        if one == 1:
            sizes.append(other)
        elif other == 1:
            sizes.append(one)
        elif isinstance(one, int):
            if isinstance(other, int) and one != other:
                return None
            sizes.append(one)
        elif isinstance(other, int):
            sizes.append(other)
        else:
            sizes.append(one if one == other else _met(one, other))  # None == None gives None either way
    return tuple(sizes)


def _met(one: Dim | None, other: Dim | None) -> Size:
    """What two different sizes give that are no numbers."""
    one_wins, other_wins = is_never(one, 1), is_never(other, 1)
    if one is None or other is None or one_wins != other_wins:
        return one if one_wins else other if other_wins else None
    if one_wins or _like_at_one(one) == _like_at_one(other):  # in a run that succeeds, then, they are equal
        return min(one, other, key=lambda size: (size.weight, len(str(size)), str(size)))
    return None


def _like_at_one(size: Dim) -> int | Dim:
    """An expression that is 1 exactly where this one is: of a minimum, the operands that can be 1."""
    if len(size.terms) == 1 and not size.constant and isinstance(factor := size.terms[0][0][0], Least) and size == Dim((((factor,), 1),)):
        kept = [operand for operand in factor.operands if not _is_above(operand, 1)]
        return algebra.minimum(kept) if kept else size
    return size


def _is_above(size: int | Dim, limit: int) -> bool:
    least, _ = bounds(size)
    return least is not None and least > limit


def broadcast_all(shapes: Iterable[Shape]) -> Shape | None:
    """The shape of any number of operands broadcast against each other; None when they cannot be."""
    result: Shape | None = ()
    for shape in shapes:
        if result is None:
            return None
        result = broadcast(result, shape)
    return result


def broadcasts_into(shape: Shape | None, target: Shape | None) -> bool:
    """Whether an operand of this shape provably broadcasts into `target` without growing it: each size, from the right, is equal or 1."""
    if shape is None or target is None or len(shape) > len(target):
        return False
    return all(size == 1 or (size is not None and size == wanted) for size, wanted in zip(reversed(shape), reversed(target), strict=False))


def same_shape(a: Shape | None, b: Shape | None) -> bool:
    """Whether two shapes are provably the same."""
    return a is not None and a == b and None not in a


def join(a: Type | None, b: Type | None) -> Type | None:
    """What is true of a value that has one of two types: equal sizes stay, others are unknown; None when the types differ.

    >>> print(join(TensorType(DType.float32, (2, 3)), TensorType(DType.float32, (2, 4))))       # doctest: +SKIP
    float32[2, ?]
    """
    if a == b:
        return a
    if isinstance(a, TensorType) and isinstance(b, TensorType) and a.dtype == b.dtype:
        if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
            return TensorType(a.dtype)
        return TensorType(a.dtype, tuple(one if one == other else None for one, other in zip(a.shape, b.shape, strict=True)))
    if isinstance(a, SequenceType) and isinstance(b, SequenceType):
        return SequenceType(join(a.element, b.element))
    if isinstance(a, OptionalType) and isinstance(b, OptionalType):
        return OptionalType(join(a.element, b.element))
    return None


def contradicts(a: Type | None, b: Type | None) -> bool:
    """Whether no value can have both types: another kind, element type or rank, or two different numbers for one size."""
    if a is None or b is None or a == b:
        return False
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        if a.dtype != b.dtype:
            return bool(a.dtype) and bool(b.dtype)  # `undefined` claims nothing
        if a.shape is None or b.shape is None:
            return False
        return len(a.shape) != len(b.shape) or any(
            isinstance(one, int) and isinstance(other, int) and one != other for one, other in zip(a.shape, b.shape, strict=True)
        )
    if (isinstance(a, SequenceType) and isinstance(b, SequenceType)) or (isinstance(a, OptionalType) and isinstance(b, OptionalType)):
        return contradicts(a.element, b.element)
    if isinstance(a, MapType) and isinstance(b, MapType):
        return a.key != b.key or contradicts(a.value, b.value)
    return type(a) is not type(b)


def without_symbols(type: Type | None) -> Type | None:
    """The type with every symbolic size unknown: symbols of another scope say nothing here."""
    if isinstance(type, TensorType) and type.shape is not None:
        return TensorType(type.dtype, tuple(size if isinstance(size, int) else None for size in type.shape))
    if isinstance(type, SequenceType):
        return SequenceType(without_symbols(type.element))
    return OptionalType(without_symbols(type.element)) if isinstance(type, OptionalType) else type


_MOST_TERMS = 16
_MOST_WEIGHT = 64


def _kept(size: Size) -> Size:
    """The size, or unknown when nobody could make anything of so long an expression: what computes with it stays cheap."""
    if isinstance(size, Dim) and (len(size.terms) > _MOST_TERMS or size.weight > _MOST_WEIGHT):
        return None
    return size


def add(a: Size, b: Size) -> Size:
    """The sum of two sizes."""
    return None if a is None or b is None else _kept(a + b)


def subtract(a: Size, b: Size) -> Size:
    """The difference of two sizes."""
    return None if a is None or b is None else _kept(a - b)


def multiply(a: Size, b: Size) -> Size:
    """The product of two sizes."""
    if a == 0 or b == 0:
        return 0
    return None if a is None or b is None else _kept(a * b)


def floor_divide(size: Size, divisor: Size) -> Size:
    """size // divisor, rounded down. With a divisor that is no number: when the division is exact or neither can be negative.

    The divisor is taken as not 0 where that is not known.
    """
    if size is None or divisor is None or divisor == 0:
        return None
    if isinstance(divisor, int):
        return _kept(algebra.floor_divide(size, divisor))
    return _kept(algebra.divide_sizes(size, divisor))


def ceil_divide(size: Size, divisor: int) -> Size:
    """size / divisor, rounded up."""
    return None if size is None or divisor == 0 else _kept(-algebra.floor_divide(-size, divisor))


def minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes."""
    return None if a is None or b is None else _kept(algebra.minimum((a, b)))


def maximum(a: Size, b: Size) -> Size:
    """The greater of two sizes."""
    return None if a is None or b is None else _kept(algebra.maximum((a, b)))


def is_size(size: Size) -> bool:
    """Whether a size cannot come out below 0."""
    least, _ = bounds(size)
    return least is not None and least >= 0


def product(sizes: Iterable[Size]) -> Size:
    """The product of many sizes."""
    result: Size = 1
    held = list(sizes)
    if 0 in held:
        return 0
    for size in held:
        result = multiply(result, size)
    return result


def quotient(total: Iterable[Size], known: Iterable[Size]) -> Size:
    """The one size that makes the product of `known` sizes as great as the product of `total`; None when it is not found.

    There is taken to be one: symbols on both sides cancel, so every size of `known` is taken as not 0, and what cannot be divided
    without a rest is taken to be rounded down, which then changes nothing.
    """
    left = list(total)
    if 0 in left:
        return 0
    right = list[Size]()
    for size in known:
        if size is not None and size in left:
            left.remove(size)
        else:
            right.append(size)
    dividend, divisor = product(left), product(right)
    if dividend is None or divisor is None:
        return None
    if isinstance(divisor, int):
        if divisor <= 0 or (isinstance(dividend, int) and dividend % divisor):
            return None
        return floor_divide(dividend, divisor)
    return floor_divide(dividend, divisor)
