"""Shapes under symbolic sizes: what can be proved of broadcasting, equality and division. An unknown size proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from graphopt.ir.dim import Dim, Shape, Size
from graphopt.ir.types import MapType, OptionalType, SequenceType, TensorType, Type


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape of two operands broadcast against each other; None when they cannot be.

    A size is known only when it is proved: equal sizes stay, 1 gives way, a number other than 1 wins over a size that is no number (which
    must be equal to it or 1). Of two different symbols either may be 1, so nothing is known.

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
            sizes.append(one if one == other else None)  # None == None gives None either way
    return tuple(sizes)


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


def add(a: Size, b: Size) -> Size:
    """The sum of two sizes."""
    return None if a is None or b is None else a + b


def multiply(a: Size, b: Size) -> Size:
    """The product of two sizes, None when it is not linear."""
    if a == 0 or b == 0:
        return 0
    if a is None or b is None:
        return None
    if isinstance(a, Dim):
        return None if isinstance(b, Dim) else a * b
    return b * a


def floor_divide(size: Size, divisor: int) -> Size:
    """size // divisor, rounded down, when that is linear in the symbols: each factor must be divisible."""
    if isinstance(size, int):
        return size // divisor
    if size is None or any(factor % divisor for _, factor in size.terms):
        return None
    return Dim.make({name: factor // divisor for name, factor in size.terms}, size.constant // divisor)


def ceil_divide(size: Size, divisor: int) -> Size:
    """size / divisor, rounded up, when that is linear in the symbols."""
    return None if size is None else floor_divide(size + (divisor - 1), divisor)


def product(sizes: Iterable[Size]) -> Size:
    """The product of many sizes, None when it is not linear."""
    result: Size = 1
    held = list(sizes)
    if 0 in held:
        return 0
    for size in held:
        result = multiply(result, size)
    return result


def quotient(total: Iterable[Size], known: Iterable[Size]) -> Size:
    """The one size that makes the product of `known` sizes as great as the product of `total`; None when it is not found.

    Symbols on both sides cancel, so every size of `known` is taken as not 0: with a 0 there, the question has no answer.
    """
    dividend, left = _factored(total)
    divisor, right = _factored(known)
    if dividend == 0:
        return 0
    for size in right:
        if size is None or size not in left:
            return None
        left.remove(size)
    rest = product([dividend, *left])
    if divisor <= 0 or rest is None:
        return None
    if isinstance(rest, int):
        return rest // divisor if rest % divisor == 0 else None
    exact = all(factor % divisor == 0 for _, factor in rest.terms) and rest.constant % divisor == 0
    return floor_divide(rest, divisor) if exact else None


def _factored(sizes: Iterable[Size]) -> tuple[int, list[Size]]:
    """A product as a number and the sizes that are none, each without the number that divides it: 2 N is 2 and N."""
    number, symbols = 1, list[Size]()
    for size in sizes:
        if isinstance(size, int):
            number *= size
        elif size is None:
            symbols.append(None)
        else:
            common = gcd(size.constant, *(factor for _, factor in size.terms))
            number *= common
            symbols.append(floor_divide(size, common))
    return number, symbols
