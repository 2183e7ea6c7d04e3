"""Dimensions as people read them: `2*N*S + 1`, `(S + 1)//2`, `min(512, S)`."""

from __future__ import annotations

from typing import TypeGuard

from graphopt.ir.dim import Dim, Factor, Floor, Least, Product


def text(dim: Dim) -> str:
    """The dimension as an expression; minima with a minus sign as the maxima that they are, where that is shorter."""
    if (short := _as_minimum(dim)) is not None:
        return short
    rest: int | Dim = dim
    shown: list[tuple[str, int]] = []
    for product, coefficient in dim.terms:
        if coefficient < 0 and isinstance(rest, Dim) and len(product) == 1 and _has_mirror(factor := product[0]):
            whole, mirrored = _mirrored(factor)
            left = rest - Dim(((product, coefficient),)) + whole * coefficient
            if isinstance(left, int) and isinstance(factor, Least) and coefficient == -1 and not shown:
                return _call("max", [operand + left for operand in mirrored])
            if _length(left) < _length(rest) - 1:
                rest = left
                written = _call("max", mirrored) if isinstance(factor, Least) else _quotient(mirrored[0], factor.divisor)
                shown.append((written, -coefficient))
    parts = [_times(written, times) for written, times in shown]
    if isinstance(rest, Dim):
        parts = [_term(product, coefficient) for product, coefficient in rest.terms] + parts
    constant = rest if isinstance(rest, int) else rest.constant
    if constant or not parts:
        parts.append(str(constant))
    return " + ".join(parts).replace("+ -", "- ")


def _as_minimum(dim: Dim) -> str | None:
    """The dimension as one minimum, when what stands beside a minimum makes its operands shorter."""
    for product, coefficient in dim.terms:
        if coefficient == 1 and len(product) == 1 and isinstance(factor := product[0], Least):
            rest = dim - Dim(((product, 1),))
            operands = [operand + rest for operand in factor.operands]
            if rest != 0 and sum(map(_weight, operands)) < dim.weight - 1:
                return _call("min", operands)
    return None


def _weight(size: int | Dim) -> int:
    return 1 if isinstance(size, int) else size.weight


def _has_mirror(factor: Factor) -> TypeGuard[Floor | Least]:
    return isinstance(factor, Least) or (isinstance(factor, Floor) and isinstance(factor.divisor, int))


def _mirrored(factor: Floor | Least) -> tuple[int | Dim, list[int | Dim]]:
    """What `factor` is a part of, and the operands of the other part: -min(a, b) is max(a, b) - (a + b), -(x//d) is ((d - 1 - x)//d)."""
    if isinstance(factor, Floor):
        products = factor.numerator.terms if isinstance(factor.numerator, Dim) else ()
        whole = Dim.make({product: 1 for product, _ in products}, 0)  # keeps the coefficients inside from being negative
        return whole, [(whole + 1) * factor.divisor - 1 - factor.numerator]
    largest: dict[Product, int] = {}
    constant = 0
    for operand in factor.operands:
        constant = max(constant, operand if isinstance(operand, int) else operand.constant)
        for product, coefficient in operand.terms if isinstance(operand, Dim) else ():
            largest[product] = max(largest.get(product, 0), coefficient)
    whole = Dim.make(largest, constant)
    return whole, [whole - operand for operand in factor.operands]


def _length(size: int | Dim) -> int:
    return (size != 0) if isinstance(size, int) else len(size.terms) + (size.constant != 0)


def _term(product: Product, coefficient: int) -> str:
    if len(product) == 1:
        return _times(_factor(product[0]), coefficient)
    return _times("*".join(_in_product(_factor(factor)) for factor in product), coefficient)


def _times(written: str, coefficient: int) -> str:
    return written if coefficient == 1 else f"{coefficient}*{_in_product(written)}" if coefficient != -1 else f"-{_in_product(written)}"


def _in_product(written: str) -> str:
    return f"({written})" if "//" in written and not written.startswith(("min(", "max(")) else written


def _factor(factor: Factor) -> str:
    if isinstance(factor, str):
        return factor
    if isinstance(factor, Least):
        return _call("min", factor.operands)
    return _quotient(factor.numerator, factor.divisor)


def _call(name: str, operands: tuple[int | Dim, ...] | list[int | Dim]) -> str:
    return f"{name}({', '.join(map(str, operands))})"


def _quotient(numerator: int | Dim, divisor: int | Dim) -> str:
    return f"{_operand(numerator)}//{_operand(divisor)}"


def _operand(size: int | Dim) -> str:
    return str(size) if isinstance(size, int) or size.name is not None else f"({size})"
