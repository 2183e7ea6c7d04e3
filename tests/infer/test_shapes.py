"""Broadcasting and arithmetic under symbolic sizes: what is claimed holds for every size; checked by putting numbers in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphopt.infer.shapes import (
    add,
    broadcast,
    broadcasts_into,
    ceil_divide,
    contradicts,
    floor_divide,
    is_size,
    join,
    maximum,
    minimum,
    multiply,
    product,
    quotient,
    same_shape,
    subtract,
    without_symbols,
)
from graphopt.ir import Dim, DType, SequenceType, Shape, Size, TensorType

N, M = Dim.symbol("N"), Dim.symbol("M")
LEAST, HALF = minimum(N, 512), floor_divide(N, 2)
sizes = st.sampled_from([None, 0, 1, 2, 3, N, M, N + 1, N + 2, M * 2 + 3, N * 2, N * M, LEAST, minimum(N, M), maximum(N, 1), HALF])
shapes = st.lists(sizes, max_size=4).map(tuple)


def number(size: Size, values: dict[str, int], unknown: int) -> int:
    return unknown if size is None else size if isinstance(size, int) else size.evaluate(values)


def numbers(shape: Shape, values: dict[str, int], unknown: int) -> tuple[int, ...]:
    return tuple(number(size, values, unknown) for size in shape)


@given(shapes, shapes, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_broadcast_holds_for_every_size(a: Shape, b: Shape, n: int, m: int, unknown: int) -> None:
    values = {"N": n, "M": m}
    one, other = numbers(a, values, unknown), numbers(b, values, (unknown + 1) % 5)
    try:
        truth = np.broadcast_shapes(one, other)
    except ValueError:
        assume(False)
    claimed = broadcast(a, b)
    assert claimed is not None
    assert len(claimed) == len(truth)
    assert all(size is None or number(size, values, 0) == real for size, real in zip(claimed, truth, strict=True))


@given(shapes, shapes, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_broadcasts_into_never_grows_the_target(a: Shape, b: Shape, n: int, m: int, unknown: int) -> None:
    values = {"N": n, "M": m}
    if broadcasts_into(a, b):
        target = numbers(b, values, unknown)
        assert np.broadcast_shapes(numbers(a, values, unknown + 1), target) == target


def test_unknown_sizes_prove_nothing() -> None:
    assert broadcast((None,), (None,)) == (None,)
    assert broadcast((N,), (None,)) == (None,)
    assert broadcast((N,), (M,)) == (None,)
    assert broadcast((N,), (1,)) == broadcast((N,), (N,)) == (N,)
    assert broadcast((N,), (3,)) == (3,)
    assert broadcast((2,), (3,)) is None
    assert broadcast((HALF,), (N,)) == (None,)
    assert not broadcasts_into((None,), (None,))
    assert not broadcasts_into((N,), (1,))
    assert not broadcasts_into(None, (1,))
    assert not broadcasts_into((1, 1), (3,))
    assert broadcasts_into((1, N), (5, M, N))
    assert not same_shape((None,), (None,))
    assert not same_shape(None, None)
    assert same_shape((N, 2), (N, 2))


def test_sizes_that_are_1_together_are_equal_in_every_run_that_succeeds() -> None:
    assert broadcast((N,), (LEAST,)) == broadcast((LEAST,), (N,)) == (N,)
    assert broadcast((minimum(N, 512),), (minimum(N, 77),)) in [(minimum(N, 512),), (minimum(N, 77),)]
    assert broadcast((N,), (minimum(N, M),)) == (None,)
    assert broadcast((N,), (maximum(N, 1),)) == (None,)


def test_a_size_that_is_never_1_wins() -> None:
    assert broadcast((N + 2,), (M,)) == broadcast((M,), (N + 2,)) == broadcast((None,), (N + 2,)) == (N + 2,)
    assert broadcast((N * 2,), (None,)) == (N * 2,)
    assert broadcast((M * 2 + 3,), (N + 2,)) == (N + 2,)
    assert broadcast((N + 1,), (M,)) == (None,)


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 6), st.integers(0, 30))
def test_division_holds_for_every_size(factor: int, constant: int, divisor: int, n: int) -> None:
    size = N * factor + constant
    real = factor * n + constant
    for divide, truth in ((floor_divide, real // divisor), (ceil_divide, -(-real // divisor))):
        result = divide(size, divisor)
        assert result is None or number(result, {"N": n}, 0) == truth


@pytest.mark.parametrize(
    ("total", "known", "result"),
    [
        ((2, 3, 4), (6,), 4),
        ((N, 3, 4), (N,), 12),
        ((N, 3, 4), (4,), N * 3),
        ((N, M), (N,), M),
        ((N, 3), (2,), floor_divide(N * 3, 2)),
        ((N * M, 12), (M, 4), N * 3),
        ((N, M + 1), (M + 1, 1), N),
        ((N * M + N,), (M + 1,), N),
        ((N, None, 3), (N,), None),
        ((2, 3), (4,), None),
        ((0, N), (3,), 0),
        ((N * 2, 3), (2,), N * 3),
        ((N - 1,), (M,), None),
        ((2, 3), (0,), None),
    ],
)
def test_quotient(total: Shape, known: Shape, result: Size) -> None:
    assert quotient(total, known) == result


def test_expressions_that_nobody_could_read_are_unknown() -> None:
    assert multiply(N, 0) == multiply(None, 0) == 0
    assert multiply(N, None) is None
    assert product((2, N, 3)) == N * 6
    assert product((N, M)) == N * M
    letters: list[Size] = [add(Dim.symbol(letter), 1) for letter in "abcdef"]
    assert product(letters[:4]) is not None
    assert product(letters) is None
    deep: Size = N
    for place in range(40):
        deep = floor_divide(add(minimum(deep, Dim.symbol(f"s{place}")), 1), 2)
    assert deep is None


def test_what_is_a_size() -> None:
    assert is_size(N) and is_size(0) and is_size(subtract(N, LEAST)) and is_size(HALF) and is_size(N * M)
    assert not is_size(None) and not is_size(N - 1) and not is_size(-1)


def test_join_keeps_what_both_say() -> None:
    a, b = TensorType(DType.float32, (2, N, 3)), TensorType(DType.float32, (2, M, 3))
    assert join(a, b) == TensorType(DType.float32, (2, None, 3))
    assert join(a, TensorType(DType.float32, (2,))) == TensorType(DType.float32)
    assert join(a, TensorType(DType.int64, (2, N, 3))) is None
    assert join(a, None) is None
    assert join(SequenceType(a), SequenceType(b)) == SequenceType(TensorType(DType.float32, (2, None, 3)))


def test_contradictions_are_what_cannot_be_both() -> None:
    a = TensorType(DType.float32, (2, N))
    assert not contradicts(a, TensorType(DType.float32, (2, 3)))
    assert not contradicts(a, TensorType(DType.float32))
    assert not contradicts(a, None)
    assert contradicts(a, TensorType(DType.float32, (3, N)))
    assert contradicts(a, TensorType(DType.float32, (2,)))
    assert contradicts(a, TensorType(DType.float64, (2, N)))
    assert contradicts(a, SequenceType(a))


def test_symbols_of_another_scope_are_dropped() -> None:
    assert without_symbols(SequenceType(TensorType(DType.float32, (2, N)))) == SequenceType(TensorType(DType.float32, (2, None)))
