"""Amounts for people: thousands, millions; and amounts that depend on sizes, as sums of few terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.ir.dim import Factor, Size

SHOWN = 4  # terms of a sum
_UNITS = ("", "k", "M", "G", "T", "P", "E")


def short(count: int) -> str:
    """A number in at most three figures, and what it is thousands of.

    >>> short(999), short(4_089_184_256), short(-25_500)
    ('999', '4.09G', '-25.5k')
    """
    if abs(count) < 1000:
        return str(count)
    amount, step = abs(float(count)), 0
    while amount >= 999.5 and step < len(_UNITS) - 1:
        amount, step = amount / 1000, step + 1
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{'-' if count < 0 else ''}{amount:.{digits}f}{_UNITS[step]}"


def written(amount: Size, number: Callable[[int], str] = short) -> str:
    """An amount, the greatest terms first; `number` writes the numbers in it, and None is a question mark.

    >>> from graphopt.ir.dim import Dim
    >>> N, S = Dim.symbol("N"), Dim.symbol("S")
    >>> written(84_934_656 * N * S + 18_432 * N * S * S + 7), written(N), written(None)
    ('84.9M*N*S + 18.4k*N*S^2 + 7', 'N', '?')
    """
    if amount is None:
        return "?"
    if isinstance(amount, int):
        return number(amount)
    terms = sorted(amount.terms, key=lambda term: -abs(term[1]))
    told = []
    for product, coefficient in terms[:SHOWN]:
        name = "*".join(_power(factor, times) for factor, times in Counter(product).items())
        told.append(name if coefficient == 1 and number is short else f"{number(coefficient)}*{name}")
    if len(terms) > SHOWN:
        told.append(f"({len(terms) - SHOWN} more terms)")
    if amount.constant:
        told.append(number(amount.constant))
    return " + ".join(told).replace("+ -", "- ")


def _power(factor: Factor, times: int) -> str:
    from graphopt.ir.dim import Dim, Floor

    name = str(Dim((((factor,), 1),)))
    return (f"({name})" if isinstance(factor, Floor) else name) + (f"^{times}" if times > 1 else "")


def as_data(amount: Size) -> object:
    """An amount as JSON: a number, null, or an expression with its terms, where "1" stands for the number without a size."""
    from graphopt.ir.dim import Dim

    if not isinstance(amount, Dim):
        return amount
    terms = {str(Dim(((product, 1),))): coefficient for product, coefficient in amount.terms}
    return {"expression": str(amount), "terms": {**terms, **({"1": amount.constant} if amount.constant else {})}}
