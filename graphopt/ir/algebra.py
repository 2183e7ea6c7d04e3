"""Division, minimum and maximum of sizes in canonical form, so that what is equal by these laws is equal as an expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd

from graphopt.ir.bounds import bounds
from graphopt.ir.dim import Dim, Factor, Floor, Least, Product, Size

_GREATEST_SIZE = (1 << 63) - 1  # of an int64, which sizes are: what models write for "as much as there is"
_MOST_STEPS = 32


def floor_divide(size: int | Dim, divisor: int) -> int | Dim:
    """size / divisor, rounded down, for any sign of both. Raises ZeroDivisionError.

    Multiples come out (`(S + 2)//2` is `S//2 + 1`), factors in common cancel, and nested divisions are one (`(S//2)//2` is `S//4`).
    """
    if isinstance(size, int):
        return size // divisor
    if divisor < 0:
        size, divisor = -size, -divisor
    if divisor == 1:
        return size
    whole: dict[Product, int] = {}
    rest: dict[Product, int] = {}
    for product, coefficient in size.terms:
        whole[product], rest[product] = divmod(coefficient, divisor)
    outside, inside = divmod(size.constant, divisor)
    return _floor(Dim.make(rest, inside), divisor) + Dim.make(whole, outside)


def _floor(size: int | Dim, divisor: int) -> int | Dim:
    """size // divisor where coefficients and constant lie between 0 and the divisor."""
    if isinstance(size, int):
        return size // divisor
    common = gcd(divisor, *(coefficient for _, coefficient in size.terms))
    if common > 1:  # (g a + c)/(g d) rounds down as (a + c//g)/d does
        size = Dim(tuple((product, coefficient // common) for product, coefficient in size.terms), size.constant // common)
        divisor //= common
    nested = [term for term in size.terms if term[1] == 1 and len(term[0]) == 1 and isinstance(term[0][0], Floor)]
    if len(nested) == 1 and isinstance(inner := nested[0][0][0], Floor) and isinstance(inner.divisor, int):
        others = size - Dim((nested[0],))
        return floor_divide(inner.numerator + others * inner.divisor, divisor * inner.divisor)
    low, high = bounds(size)
    if low is not None and high is not None and low // divisor == high // divisor:
        return low // divisor
    # x//d is also -((d - 1 - x)//d): of the two the one with the smaller numbers inside, so that S - S//2 and (S + 1)//2 are the same
    mirrored = Dim(tuple((product, divisor - coefficient) for product, coefficient in size.terms), divisor - 1 - size.constant)
    if _numbers(mirrored) < _numbers(size):
        return Dim(tuple((product, 1) for product, _ in size.terms)) - Dim((((Floor(mirrored, divisor),), 1),))
    return Dim((((Floor(size, divisor),), 1),))


def _numbers(dim: Dim) -> tuple[int, ...]:
    return (*(coefficient for _, coefficient in dim.terms), dim.constant)


def divide_sizes(size: int | Dim, divisor: int | Dim) -> Size:
    """size / divisor, rounded down, where neither can be negative or the division is exact; None otherwise.

    The divisor is taken as not 0: with 0 the question has no answer.
    """
    if isinstance(divisor, int):
        return floor_divide(size, divisor) if divisor else None
    exact = exact_quotient(size, divisor)
    if exact is not None:
        return exact
    least, greatest = bounds(size)
    smallest, _ = bounds(divisor)
    if least is None or least < 0 or smallest is None or smallest < 0:
        return None
    size, divisor = _reduced(size, divisor)
    if isinstance(divisor, int):
        return floor_divide(size, divisor)
    if greatest is not None and greatest < smallest:
        return 0
    return Dim((((Floor(size, divisor),), 1),))


def exact_quotient(dividend: int | Dim, divisor: int | Dim) -> Size:
    """The polynomial that times `divisor` is `dividend`; None when there is none. `divisor` is taken as not 0.

    >>> N, S = Dim.symbol("N"), Dim.symbol("S")
    >>> print(exact_quotient(12 * N * S + N * N, N))
    N + 12*S
    """
    if divisor == 0:
        return None
    lead, factor = _leading(divisor)
    rest, found = dividend, 0
    result: int | Dim = found
    for _ in range(_MOST_STEPS):
        if rest == 0:
            return result
        product, coefficient = _leading(rest)
        cofactor = _without(product, lead)
        if cofactor is None or coefficient % factor:
            return None
        term = Dim(((cofactor, coefficient // factor),)) if cofactor else coefficient // factor
        result = result + term
        rest = rest - term * divisor
    return None


def _leading(size: int | Dim) -> tuple[Product, int]:
    """The term that goes first in a division, in graded lexicographic order: of the highest degree, the first in the order of factors."""
    if isinstance(size, int):
        return (), size
    degree = max(len(product) for product, _ in size.terms)
    return next(term for term in size.terms if len(term[0]) == degree)  # terms are sorted


def _without(product: Product, gone: Iterable[Factor]) -> Product | None:
    left = list(product)
    for factor in gone:
        if factor not in left:
            return None
        left.remove(factor)
    return tuple(left)


def _reduced(size: int | Dim, divisor: Dim) -> tuple[int | Dim, int | Dim]:
    """Both without the number and the factors that divide every term of them."""
    terms = [*divisor.terms, *(((), k) for k in [divisor.constant] if k)]
    terms += [((), size)] if isinstance(size, int) else [*size.terms, *(((), k) for k in [size.constant] if k)]
    number = gcd(*(coefficient for _, coefficient in terms))
    common = terms[0][0]
    for product, _ in terms[1:]:
        common = _in_both(common, product)
    whole = Dim(((common, number),)) if common else number
    if whole == 1:
        return size, divisor
    one, other = exact_quotient(size, whole), exact_quotient(divisor, whole)
    return (size, divisor) if one is None or other is None else (one, other)


def _in_both(one: Product, other: Product) -> Product:
    left = list(other)
    shared: list[Factor] = []
    for factor in one:
        if factor in left:
            left.remove(factor)
            shared.append(factor)
    return tuple(shared)


def minimum(operands: Iterable[int | Dim]) -> int | Dim:
    """The smallest of one or more sizes; operands that are provably not smaller than another one are dropped.

    What operands have in common, and a factor of all, stands outside, so that `S - min(S, 512)` and `max(S - 512, 0)` are the same.
    """
    flat: list[int | Dim] = []
    for operand in operands:
        flat.extend(_taken_apart(operand))
    if any(isinstance(operand, Dim) for operand in flat):
        flat = [operand for operand in flat if isinstance(operand, Dim) or operand < _GREATEST_SIZE]
    kept: list[int | Dim] = []
    for operand in flat:
        if not any(_is_at_most(other, operand) for other in kept):
            kept = [other for other in kept if not _is_at_most(operand, other)]
            kept.append(operand)
    if len(kept) == 1:
        return kept[0]
    shared = _shared(kept)
    kept = [operand - shared for operand in kept]
    common = gcd(*(k for operand in kept for k in ([operand] if isinstance(operand, int) else _numbers(operand))))
    kept = sorted((floor_divide(operand, common) for operand in kept), key=_order)
    return Dim((((Least(tuple(kept)),), common),)) + shared


def maximum(operands: Iterable[int | Dim]) -> int | Dim:
    """The greatest of one or more sizes."""
    return -minimum([-operand for operand in operands])


def _taken_apart(operand: int | Dim) -> list[int | Dim]:
    """The operands of a minimum (and something) as operands of the minimum around it."""
    if isinstance(operand, Dim):
        for product, coefficient in operand.terms:
            if coefficient == 1 and len(product) == 1 and isinstance(inner := product[0], Least):
                rest = operand - Dim(((product, 1),))
                return [rest + part for part in inner.operands]
    return [operand]


def _is_at_most(one: int | Dim, other: int | Dim) -> bool:
    _, greatest = bounds(one - other)
    return greatest is not None and greatest <= 0


def _shared(operands: list[int | Dim]) -> int | Dim:
    """The smallest coefficient that each product has in any of the operands."""
    held = [({}, operand) if isinstance(operand, int) else (dict(operand.terms), operand.constant) for operand in operands]
    products = dict.fromkeys(product for terms, _ in held for product in terms)
    least = {product: min(terms.get(product, 0) for terms, _ in held) for product in products}
    return Dim.make(least, min(constant for _, constant in held))


def _order(size: int | Dim) -> tuple[tuple[tuple[Product, int], ...], int]:
    return ((), size) if isinstance(size, int) else (size.terms, size.constant)


def substituted(size: int | Dim, sizes: Mapping[str, int | Dim]) -> Size:
    """A dimension with sizes in the place of symbols; None where that has no canonical form or divides by 0."""
    if isinstance(size, int):
        return size
    total: int | Dim = size.constant
    for product, coefficient in size.terms:
        term: int | Dim = coefficient
        for factor in product:
            found = _put(factor, sizes)
            if found is None:
                return None
            term = term * found
        total = total + term
    return total


def _put(factor: Factor, sizes: Mapping[str, int | Dim]) -> Size:
    if isinstance(factor, str):
        return sizes.get(factor, Dim.symbol(factor))
    if isinstance(factor, Least):
        operands = [substituted(operand, sizes) for operand in factor.operands]
        known = [operand for operand in operands if operand is not None]
        return minimum(known) if len(known) == len(operands) else None
    numerator, divisor = substituted(factor.numerator, sizes), substituted(factor.divisor, sizes)
    return None if numerator is None or divisor is None else divide_sizes(numerator, divisor)
