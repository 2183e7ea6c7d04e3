"""Dimensions: a number, a polynomial in named symbols, floor divisions and minima of such (`Dim`), or unknown (None).

Two dimensions are equal only when that is proved: the same number, or the same canonical expression over symbols of one model. A symbol
stands for a size, hence for an integer that is not negative; so do floor divisions and minima, by the forms that `ir.algebra` gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias, final


@final
class Dim:
    """A dimension that is `constant + sum(coefficient * product of factors)`; never a bare number (see `Dim.make`).

    Immutable and hashable; equal means the same expression, hence provably the same size in one model. A factor is the name of a symbol,
    a `Floor` or a `Least`; `graphopt.ir.algebra` makes the last two.

    >>> N, S = Dim.symbol("N"), Dim.symbol("S")
    >>> print(2 * N * S + 1, (N + S) * (N - S) == N * N - S * S)
    2*N*S + 1 True
    """

    __slots__ = ("_hash", "constant", "terms")

    def __init__(self, terms: tuple[tuple[Product, int], ...], constant: int = 0) -> None:
        self.terms: Final = terms
        self.constant: Final = constant
        self._hash: Final = hash((terms, constant))

    @staticmethod
    def symbol(name: str) -> Dim:
        """The dimension that the model calls `name`."""
        return Dim((((name,), 1),))

    @staticmethod
    def make(terms: Mapping[Product, int], constant: int) -> int | Dim:
        """The canonical form of a sum: a number when no symbol is left in it."""
        kept = [term for term in terms.items() if term[1]]
        if len(kept) > 1:
            kept.sort()
        return Dim(tuple(kept), constant) if kept else constant

    @property
    def name(self) -> str | None:
        """The symbol that this dimension is, when it is nothing but one."""
        if len(self.terms) == 1 and not self.constant:
            product, coefficient = self.terms[0]
            if coefficient == 1 and len(product) == 1 and isinstance(product[0], str):
                return product[0]
        return None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of all symbols in it, each once, in alphabetical order."""
        return tuple(sorted(set(_symbols(self))))

    @property
    def weight(self) -> int:
        """How much there is to read: the factors of all terms, those inside other factors as well."""
        return sum(1 if isinstance(factor, str) else factor.weight for product, _ in self.terms for factor in product)

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number it comes out as for these sizes. Raises KeyError for a symbol without one, ZeroDivisionError where it divides by 0."""
        total = self.constant
        for product, coefficient in self.terms:
            for factor in product:
                coefficient *= sizes[factor] if isinstance(factor, str) else factor.evaluate(sizes)
            total += coefficient
        return total

    def substitute(self, sizes: Mapping[str, int | Dim]) -> Size:
        """The dimension with sizes in the place of symbols; None where that has no canonical form or divides by 0."""
        from graphopt.ir.algebra import substituted  # which is made of dimensions

        return substituted(self, sizes)

    def __add__(self, other: int | Dim) -> int | Dim:
        if isinstance(other, int):
            return Dim(self.terms, self.constant + other) if other else self
        terms = dict(self.terms)
        for product, coefficient in other.terms:
            terms[product] = terms.get(product, 0) + coefficient
        return Dim.make(terms, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, other: int | Dim) -> int | Dim:
        if isinstance(other, int):
            if not other:
                return 0
            return Dim(tuple((product, k * other) for product, k in self.terms), self.constant * other)
        terms: dict[Product, int] = {}
        constant = 0
        for one, k in _with_constant(self):
            for another, m in _with_constant(other):
                if one or another:
                    product = joined(one, another)
                    terms[product] = terms.get(product, 0) + k * m
                else:
                    constant = k * m
        return Dim.make(terms, constant)

    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return Dim(tuple((product, -k) for product, k in self.terms), -self.constant)

    def __sub__(self, other: int | Dim) -> int | Dim:
        return self + -other

    def __rsub__(self, other: int) -> int | Dim:
        return -self + other

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Dim) and self._hash == other._hash and self.terms == other.terms and self.constant == other.constant
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        from graphopt.ir.dim_text import text  # nothing needs it but messages and files

        return text(self)

    def __repr__(self) -> str:
        return f"Dim({self})"


class _Compound:
    """A factor that is no symbol. Symbols come before these, and these in the order of their `key`, wherever factors are sorted."""

    __slots__ = ("_hash", "key", "weight")

    key: str
    weight: int

    def __init__(self, key: str, parts: Iterable[int | Dim]) -> None:
        self.key = key
        self._hash = hash(key)
        self.weight = 1 + sum(1 if isinstance(part, int) else part.weight for part in parts)

    def __lt__(self, other: object) -> bool:
        return isinstance(other, _Compound) and self.key < other.key

    def __gt__(self, other: object) -> bool:
        return not isinstance(other, _Compound) or self.key > other.key

    def __hash__(self) -> int:
        return self._hash


@final
class Floor(_Compound):
    """numerator // divisor: rounded down, of a numerator that is never below 0.

    The divisor is a number above 1, or a size; a size is taken as not 0, as in every run that comes to a result.
    """

    __slots__ = ("divisor", "numerator")

    def __init__(self, numerator: int | Dim, divisor: int | Dim) -> None:
        self.numerator: Final = numerator
        self.divisor: Final = divisor
        super().__init__(f"//({_key(numerator)},{_key(divisor)})", (numerator, divisor))

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number it comes out as for these sizes."""
        return number(self.numerator, sizes) // number(self.divisor, sizes)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Floor) and self.numerator == other.numerator and self.divisor == other.divisor)

    __hash__ = _Compound.__hash__


@final
class Least(_Compound):
    """The smallest of two or more operands, none of which has a negative coefficient."""

    __slots__ = ("operands",)

    def __init__(self, operands: tuple[int | Dim, ...]) -> None:
        self.operands: Final = operands
        super().__init__(f"min({','.join(map(_key, operands))})", operands)

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number it comes out as for these sizes."""
        return min(number(operand, sizes) for operand in self.operands)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Least) and self.operands == other.operands)

    __hash__ = _Compound.__hash__


Factor: TypeAlias = str | Floor | Least
Product: TypeAlias = tuple[Factor, ...]  # sorted; a power is a repetition
Size: TypeAlias = int | Dim | None
Shape: TypeAlias = tuple[Size, ...]


def joined(one: Product, other: Product) -> Product:
    """The product of two products."""
    if not one or not other:
        return one or other
    return tuple(sorted((*one, *other)))


def number(size: int | Dim, sizes: Mapping[str, int]) -> int:
    """What a number or a dimension comes out as for these sizes."""
    return size if isinstance(size, int) else size.evaluate(sizes)


def parts(factor: Factor) -> tuple[int | Dim, ...]:
    """What stands inside a factor that is no symbol."""
    if isinstance(factor, str):
        return ()
    return factor.operands if isinstance(factor, Least) else (factor.numerator, factor.divisor)


def element_count(shape: Shape | None) -> int | None:
    """How many elements a tensor of this shape has; None unless every dimension is a number."""
    if shape is None:
        return None
    count = 1
    for size in shape:
        if not isinstance(size, int):
            return None
        count *= size
    return count


def _with_constant(dim: Dim) -> tuple[tuple[Product, int], ...]:
    return (*dim.terms, ((), dim.constant)) if dim.constant else dim.terms


def _symbols(dim: Dim) -> Iterator[str]:
    for product, _ in dim.terms:
        for factor in product:
            if isinstance(factor, str):
                yield factor
            for part in parts(factor):
                if isinstance(part, Dim):
                    yield from _symbols(part)


def _key(size: int | Dim) -> str:
    """A text that differs wherever the sizes do, for symbols without odd characters: it decides an order, never equality."""
    if isinstance(size, int):
        return str(size)
    terms = (f"{k}*{'*'.join(factor if isinstance(factor, str) else factor.key for factor in product)}" for product, k in size.terms)
    return f"{'+'.join(terms)}+{size.constant}"
