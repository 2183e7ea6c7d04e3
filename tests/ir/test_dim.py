"""Dimensions are equal only when that is proved, and what is said of them holds for every size; checked by putting numbers in."""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphopt.ir import Dim
from graphopt.ir.algebra import divide_sizes, exact_quotient, floor_divide, maximum, minimum
from graphopt.ir.bounds import bounds, is_never
from graphopt.ir.dim import number

Expression: TypeAlias = int | Dim
N, M, S = Dim.symbol("N"), Dim.symbol("M"), Dim.symbol("S")
SAMPLES = [dict(zip("NMS", sizes, strict=True)) for sizes in product((0, 1, 2, 3, 7, 50), repeat=3)]


def same(one: Expression, other: Expression) -> bool:
    """Whether two expressions come out alike for all sizes that are tried."""
    return all(number(one, sizes) == number(other, sizes) for sizes in SAMPLES)


def grow(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    two = st.tuples(parts, parts)
    return st.one_of(
        two.map(lambda pair: pair[0] + pair[1]),
        two.map(lambda pair: pair[0] - pair[1]),
        st.tuples(parts, parts).map(lambda pair: pair[0] * pair[1]),
        st.tuples(parts, st.integers(-3, 3)).map(lambda pair: pair[0] * pair[1]),
        st.tuples(parts, st.sampled_from([1, 2, 3, 4, -2])).map(lambda pair: floor_divide(*pair)),
        st.lists(parts, min_size=1, max_size=3).map(minimum),
        st.lists(parts, min_size=1, max_size=3).map(maximum),
    )


expressions = st.recursive(st.one_of(st.sampled_from([N, M, S]), st.integers(-4, 5)), grow, max_leaves=6)


def test_the_same_expression_is_equal_however_it_was_made() -> None:
    assert N + 2 + M == M + 1 + N + 1
    assert N * 2 - N == N
    assert N - N == 0 and isinstance(N - N, int)
    assert N != M and N != 3
    assert 5 - N + N == 5
    assert (N + S) * (N - S) == N * N - S * S
    assert hash(N * S + 1) == hash(1 + S * N)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (N * 2 + M - 3, "M + 2*N - 3"),
        (2 * N * S + 1, "2*N*S + 1"),
        (-S + 1, "-S + 1"),
        (floor_divide(S + 1, 2), "(S + 1)//2"),
        (floor_divide(S, 2), "S//2"),
        (floor_divide(S + 2, 2), "S//2 + 1"),
        (3 * floor_divide(S, 2), "3*(S//2)"),
        (minimum((512, S)), "min(512, S)"),
        (maximum((S - 512, 0)), "max(S - 512, 0)"),
        (minimum((maximum((S, 1)), 5)), "min(max(S, 1), 5)"),
        (N * minimum((M, S)), "N*min(M, S)"),
        (divide_sizes(S, N), "S//N"),
        (divide_sizes(S + 1, N + 1), "(S + 1)//(N + 1)"),
    ],
)
def test_it_prints_as_algebra(size: Expression, text: str) -> None:
    assert str(size) == text


def test_it_says_which_symbols_it_holds() -> None:
    size = floor_divide(N * S + minimum((M, S)), 3) + 1
    assert isinstance(size, Dim)
    assert size.symbols == ("M", "N", "S")
    assert N.name == "N"
    assert [one.name for one in (N * 2, N + 1, N * S, N + S, minimum((N, S))) if isinstance(one, Dim)] == [None] * 5


@given(st.lists(st.tuples(st.sampled_from("NMS"), st.integers(-3, 3)), max_size=6), st.integers(-5, 5))
def test_canonical_forms_evaluate_as_they_were_built(terms: list[tuple[str, int]], constant: int) -> None:
    sizes = {"N": 101, "M": 211, "S": 307}
    built: Expression = constant
    for name, factor in terms:
        built = Dim.symbol(name) * factor + built
    assert number(built, sizes) == constant + sum(sizes[name] * factor for name, factor in terms)


polynomials = st.recursive(
    st.one_of(st.sampled_from([N, M, S]), st.integers(-4, 5)),
    lambda parts: st.tuples(parts, parts, st.sampled_from("+-*")).map(
        lambda t: t[0] + t[1] if t[2] == "+" else t[0] - t[1] if t[2] == "-" else t[0] * t[1]
    ),
    max_leaves=5,
)


@given(polynomials, polynomials)
def test_polynomials_are_equal_exactly_when_they_come_out_alike(one: Expression, other: Expression) -> None:
    assert (one == other) == same(one, other)


@given(expressions, expressions)
def test_equal_expressions_come_out_alike(one: Expression, other: Expression) -> None:
    assert one != other or same(one, other)
    assert same(one + other - other, one)
    assert one + other == other + one
    assert one - one == 0


@given(expressions, st.integers(2, 6))
def test_floor_division_rounds_down(size: Expression, divisor: int) -> None:
    divided = floor_divide(size, divisor)
    assert all(number(divided, sizes) == number(size, sizes) // divisor for sizes in SAMPLES[::7])
    assert floor_divide(size * divisor, divisor) == size
    assert floor_divide(size + 3 * divisor, divisor) == divided + 3
    assert same(floor_divide(size, -divisor), floor_divide(-size, divisor))


@given(expressions, expressions, st.integers(1, 3))
def test_minimum_and_maximum(one: Expression, other: Expression, factor: int) -> None:
    least, greatest = minimum((one, other)), maximum((other, one))
    for sizes in SAMPLES[::7]:
        pair = number(one, sizes), number(other, sizes)
        assert (number(least, sizes), number(greatest, sizes)) == (min(pair), max(pair))
    assert least == minimum((other, one))
    assert minimum((one, one)) == maximum((one, one)) == one


def test_laws_of_floors_and_minima() -> None:
    assert floor_divide(S + 2, 2) == floor_divide(S, 2) + 1
    assert floor_divide(floor_divide(S, 2), 2) == floor_divide(S, 4)
    assert floor_divide(2 * S + 1, 2) == S
    assert floor_divide(4 * S, 6) == floor_divide(2 * S, 3)
    assert floor_divide(S + 1, 2) == S - floor_divide(S, 2)
    assert -floor_divide(-S, 3) == floor_divide(S + 2, 3)
    assert floor_divide(S - 4 * floor_divide(S, 4), 4) == 0
    assert S - minimum((S, 512)) == maximum((S - 512, 0))
    assert minimum((S, N)) + maximum((S, N)) == S + N
    assert minimum((minimum((S, 10)), 5)) == minimum((S, 5))
    assert minimum((minimum((S, N)), M)) == minimum((S, minimum((M, N))))
    assert maximum((maximum((S, N)), M)) == maximum((S, maximum((M, N))))
    assert minimum((2 * S, 4)) == 2 * minimum((S, 2))
    assert minimum((S, S + 1)) == S
    assert minimum((S, 2**63 - 1)) == S
    assert maximum((S, 0)) == maximum((S, -1)) == S


@given(expressions)
def test_bounds_hold_for_every_size(size: Expression) -> None:
    least, greatest = bounds(size)
    for sizes in SAMPLES:
        found = number(size, sizes)
        assert (least is None or least <= found) and (greatest is None or found <= greatest)
        assert not is_never(size, found)


def test_bounds_that_shapes_need() -> None:
    assert bounds(minimum((512, S))) == (0, 512)
    assert bounds(S - minimum((512, S)))[0] == 0
    assert bounds(N * S - N * minimum((512, S)))[0] == 0
    assert bounds(minimum((maximum((S, 1)), 5))) == (1, 5)
    assert bounds(S - 4 * floor_divide(S, 4)) == (0, 3)
    assert bounds(N * floor_divide(S + 1, 2))[0] == 0
    assert bounds(N - S) == (None, None)
    assert is_never(2 * S, 1)
    assert not is_never(S, 1)


@given(polynomials, polynomials)
def test_exact_quotients(one: Expression, other: Expression) -> None:
    if other != 0:
        assert exact_quotient(one * other, other) == one
        found = exact_quotient(one, other)
        assert found is None or found * other == one


@given(expressions, expressions)
def test_division_by_sizes(one: Expression, other: Expression) -> None:
    found = divide_sizes(one, other)
    for sizes in SAMPLES[::3]:
        if found is not None and (divisor := number(other, sizes)):
            try:
                result = number(found, sizes)
            except ZeroDivisionError:  # a divisor inside is 0
                continue
            assert result == number(one, sizes) // divisor


@given(expressions, st.fixed_dictionaries({}, optional={"N": st.sampled_from([0, 2, M + 1, 2 * S]), "S": st.sampled_from([1, 5, N])}))
def test_substitution(size: Expression, sizes: dict[str, Expression]) -> None:
    if isinstance(size, Dim):
        found = size.substitute(sizes)
        assert found is not None
        for values in SAMPLES[::7]:
            inner = {name: number(sizes.get(name, Dim.symbol(name)), values) for name in "NMS"}
            assert number(found, values) == size.evaluate(inner)
