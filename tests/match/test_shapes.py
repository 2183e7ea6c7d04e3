"""Types and shapes: element types, ranks, dimension names that unify, `into`."""

from __future__ import annotations

import pytest

from graphopt.ir import DType, TensorType
from graphopt.match import FLOATING, any_of, const, op, opt, tensor
from tests.match.graphs import matches, model, rule_of

x, y, w = tensor("x"), tensor("y"), tensor("w")


@pytest.mark.parametrize(("dtype", "there"), [("float32", True), ("float16", False), (FLOATING, True), (["int32", "int64"], False)])
def test_element_type(dtype: object, there: bool) -> None:
    graph = model("(float[4] a) => (float[4] c) { c = Relu(a) }")
    assert bool(matches(op.Relu(tensor("x", dtype=dtype)), graph)) is there  # type: ignore[arg-type]  # any spelling of element types
    assert bool(matches(rule_of(op.Relu(x), dtype=dtype), graph)) is there


def test_element_type_of_a_rule_is_that_of_what_the_root_makes() -> None:
    graph = model("(float[4] a) => (int64[4] c) { c = Cast<to = 7>(a) }")
    assert matches(rule_of(op.Cast(x), dtype="int64"), graph) and not matches(rule_of(op.Cast(x), dtype="float32"), graph)


def test_rank() -> None:
    for rank in range(4):
        graph = model(f"(float[{','.join('2' * rank)}] a) => (float[{','.join('2' * rank)}] c) {{ c = Relu(a) }}") if rank else None
        for wanted in range(1, 4) if graph is not None else ():
            assert bool(matches(op.Relu(tensor("x", rank=wanted)), graph)) is (rank == wanted)  # type: ignore[arg-type]  # not None here
    unknown = model("(float[] a) => (float[] c) { c = Relu(a) }")
    for value in unknown.graph.inputs:
        value.type = None
    assert not matches(op.Relu(tensor("x", rank=1)), unknown) and matches(op.Relu(x), unknown)


MATMUL = "(float[%s] a, float[%s] b) => (float[%s] c) { c = MatMul(a, b) }"
SQUARE = op.MatMul(tensor("x", shape=("M", "K")), tensor("w", shape=("K", "M")))


def test_dimension_names_unify() -> None:
    assert matches(SQUARE, model(MATMUL % ("4,5", "5,4", "4,4")))
    assert not matches(SQUARE, model(MATMUL % ("4,5", "5,6", "4,6")))
    assert not matches(SQUARE, model(MATMUL % ("2,4,5", "5,4", "2,4,4")))


def test_symbolic_dimensions_unify_when_they_are_provably_equal() -> None:
    assert matches(SQUARE, model(MATMUL % ("S,5", "5,S", "S,S")))
    assert not matches(SQUARE, model(MATMUL % ("S,5", "5,T", "S,T")))
    assert not matches(SQUARE, model(MATMUL % ("S,5", "5,4", "S,4")))


def test_unknown_dimension_unifies_with_nothing() -> None:
    unknown = model(MATMUL % ("4,5", "5,4", "4,4"))
    unknown.graph.inputs[0].type = TensorType(DType.float32, (None, 5))
    assert not matches(SQUARE, unknown)
    unknown.graph.inputs[1].type = TensorType(DType.float32, (5, None))
    assert not matches(SQUARE, unknown)
    assert matches(op.MatMul(tensor("x", shape=(None, "K")), tensor("w", shape=("K", None))), unknown)


def test_one_name_twice_in_one_shape() -> None:
    pattern = op.Relu(tensor("x", shape=("N", "N")))
    assert matches(pattern, model("(float[3,3] a) => (float[3,3] c) { c = Relu(a) }"))
    assert not matches(pattern, model("(float[3,4] a) => (float[3,4] c) { c = Relu(a) }"))


@pytest.mark.parametrize(
    ("shape", "there"),
    [
        ((2, 3, 4), True),
        ((2, None, 4), True),
        ((2, 3, 5), False),
        ((2, 3), False),
        ((...,), True),
        ((2, ...), True),
        ((..., 4), True),
        ((2, ..., 4), True),
        ((2, 3, ..., 4), True),
        ((2, 3, 4, ...), True),
        ((2, 3, 4, 1, ...), False),
        ((3, ...), False),
        ((..., 3), False),
        (("N", ..., "N"), False),
    ],
)
def test_shapes_with_numbers_and_dots(shape: tuple[str | int | None, ...], there: bool) -> None:
    graph = model("(float[2,3,4] a) => (float[2,3,4] c) { c = Relu(a) }")
    assert bool(matches(op.Relu(tensor("x", shape=shape)), graph)) is there


GEMM = op.Add(op.MatMul(tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))), tensor("c", into=("M", "N")))


@pytest.mark.parametrize(
    ("shape", "there"),
    [("4,3", True), ("1,3", True), ("4,1", True), ("3", True), ("1", True), ("1,1", True), ("2,4,3", False), ("1,4,3", False)],
)
@pytest.mark.parametrize("call", ["Add(t, c)", "Add(c, t)"])
def test_into_broadcasts_without_growing(shape: str, there: bool, call: str) -> None:
    result = "2,4,3" if shape.startswith("2") else "1,4,3" if shape == "1,4,3" else "4,3"
    graph = model(f"(float[4,5] a, float[5,3] b, float[{shape}] c) => (float[{result}] y) {{ t = MatMul(a, b)  y = {call} }}")
    assert bool(matches(GEMM, graph)) is there


def test_into_where_the_other_side_grows() -> None:
    """c may not stretch a dimension of extent 1."""
    graph = model("(float[1,5] a, float[5,3] b, float[4,3] c) => (float[4,3] y) { t = MatMul(a, b)  y = Add(t, c) }")
    assert not matches(GEMM, graph)


def test_into_an_unknown_dimension() -> None:
    graph = model("(float[4,5] a, float[5,3] b, float[4,3] c) => (float[4,3] y) { t = MatMul(a, b)  y = Add(t, c) }")
    assert matches(GEMM, graph)
    graph.graph.inputs[2].type = TensorType(DType.float32, (None, 3))
    assert not matches(GEMM, graph)


@pytest.mark.parametrize(("dim", "there"), [("M", True), ("1", True), ("P", False)])
def test_into_under_symbolic_dimensions(dim: str, there: bool) -> None:
    graph = model(f"(float[M,5] a, float[5,3] b, float[{dim},3] c) => (float[M,3] y) {{ t = MatMul(a, b)  y = Add(t, c) }}")
    assert bool(matches(GEMM, graph)) is there


def test_into_a_dimension_that_is_bound_later_in_the_text() -> None:
    pattern = op.Sub(tensor("c", into=("N",)), op.Relu(tensor("x", shape=("N",))))
    text = "(float[%s] a, float[4] b) => (float[4] c) { r = Relu(b)  c = Sub(a, r) }"
    assert matches(pattern, model(text % "4")) and matches(pattern, model(text % "1"))
    assert not matches(pattern, model("(float[4] a, float[1] b) => (float[4] c) { r = Relu(b)  c = Sub(a, r) }"))


def test_into_a_number() -> None:
    pattern = op.Add(op.Relu(x), tensor("c", into=(3, 4)))
    text = "(float[3,4] a, float[%s] b) => (float[3,4] c) { r = Relu(a)  c = Add(r, b) }"
    assert matches(pattern, model(text % "4")) and matches(pattern, model(text % "3,1")) and not matches(pattern, model(text % "1,3,4"))


def test_into_inside_an_alternative_waits_for_a_dimension_outside() -> None:
    """Only where that alternative was taken."""
    pattern = op.Sub(any_of(op.Neg(tensor("c", into=("N",))), op.Abs(y)), tensor("x", shape=("N",)))
    text = "(float[%s] a, float[%s] b) => (float[4] c) { n = %s(a)  c = Sub(n, b) }"
    assert matches(pattern, model(text % ("1", "4", "Neg")))
    assert not matches(pattern, model(text % ("4", "1", "Neg")))
    assert matches(pattern, model(text % ("4", "1", "Abs")))


def test_dimension_bound_by_one_alternative_only() -> None:
    pattern = op.Sub(any_of(op.Neg(tensor("p", shape=("N",))), op.Abs(y)), tensor("x", shape=("N",)))
    text = "(float[%s] a, float[%s] b) => (float[4] c) { n = %s(a)  c = Sub(n, b) }"
    assert matches(pattern, model(text % ("4", "4", "Neg")))
    assert not matches(pattern, model(text % ("4", "1", "Neg")))
    assert matches(pattern, model(text % ("4", "1", "Abs")))


def test_dimension_bound_by_an_optional_input() -> None:
    pattern = op.Conv(x, const("w"), opt(tensor("b", shape=("M",)))).named("conv")
    outer = op.Add(pattern, tensor("c", into=("M", 1, 1)))
    text = (
        "(float[1,3,4,4] a, float[2,1,1] c) => (float[1,2,4,4] y) <float[2,3,1,1] w = {1,2,3,4,5,6}, float[2] b = {1,2}>"
        "{ v = Conv(a, w%s)  y = Add(v, c) }"
    )
    assert matches(outer, model(text % ", b"))
    assert not matches(outer, model(text % ""))  # M is not known then, and broadcasting against what is unknown proves nothing


def test_names_unify_over_all_roots() -> None:
    rule = rule_of(op.Relu(tensor("x", shape=("N", None))), op.Add(x, tensor("y", shape=("N",))))
    text = "(float[%s] a, float[%s] b) => (float[P] c, float[Q] d) { c = Relu(a)  d = Add(a, b) }"
    assert matches(rule, model(text % ("3,3", "3")))
    assert not matches(rule, model(text % ("4,3", "3")))
