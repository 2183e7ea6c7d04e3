"""Dimensions are equal only when that is proved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graphopt.ir import Dim

N, M = Dim.symbol("N"), Dim.symbol("M")


def test_the_same_expression_is_equal_however_it_was_made() -> None:
    assert N + 2 + M == M + 1 + N + 1
    assert N * 2 - N == N
    assert N - N == 0 and isinstance(N - N, int)
    assert N != M and N != 3
    assert 5 - N + N == 5


def test_it_prints_as_algebra() -> None:
    assert str(N * 2 + M - 3) == "M + 2*N - 3"


@given(st.lists(st.tuples(st.sampled_from("NMK"), st.integers(-3, 3)), max_size=6), st.integers(-5, 5))
def test_canonical_forms_evaluate_as_they_were_built(terms: list[tuple[str, int]], constant: int) -> None:
    sizes = {"N": 101, "M": 211, "K": 307}
    built: int | Dim = constant
    for name, factor in terms:
        built = Dim.symbol(name) * factor + built
    expected = constant + sum(sizes[name] * factor for name, factor in terms)
    found = built.constant + sum(sizes[name] * k for name, k in built.terms) if isinstance(built, Dim) else built
    assert found == expected
