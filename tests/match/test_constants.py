"""Constants: what counts as one, scalars as literals, conditions on elements."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from graphopt.ir import DType, Editor, InMemory, Model, Node, Tensor, TensorType, Value
from graphopt.match import RuleError, const, op, tensor
from graphopt.match.conditions import is_number
from tests.match.graphs import matches, model

x = tensor("x")
SCALED = "(float[4] a) => (float[4] c) <%s> { c = Mul(a, w) }"


def test_initializers_and_constant_nodes() -> None:
    assert matches(op.Mul(x, const("w")), model(SCALED % "float w = {2}")) == [{"x": "a", "w": "w"}]
    node = model("(float[4] a) => (float[4] c) { w = Constant<value = float {2}>()  c = Mul(a, w) }")
    assert matches(op.Mul(x, const("w")), node) == [{"x": "a", "w": "w"}]


def test_an_input_and_a_computed_value_are_none() -> None:
    assert not matches(op.Mul(x, const("w")), model("(float[4] a, float w) => (float[4] c) { c = Mul(a, w) }"))
    assert not matches(op.Mul(x, const("w")), model("(float[4] a, float v) => (float[4] c) { w = Neg(v)  c = Mul(a, w) }"))


def test_overridable_initializer_is_none() -> None:
    """An initializer that is a graph input as well: a caller may feed another value."""
    graph = model("(float[4] a, float w = {2}) => (float[4] c) { c = Mul(a, w) }")
    assert graph.graph.initializers["w"].overridable
    assert not matches(op.Mul(x, const("w")), graph)
    assert not matches(op.Mul(x, 2), graph)
    assert matches(op.Mul(x, tensor("w")), graph)


@pytest.mark.parametrize("shape", ["", "[1]", "[1,1]"])
def test_scalar_of_any_rank(shape: str) -> None:
    assert matches(op.Mul(x, 2.0), model(SCALED % f"float{shape} w = {{2}}"))


def test_more_than_one_element_is_no_scalar() -> None:
    assert not matches(op.Mul(x, 2.0), model(SCALED % "float[4] w = {2, 2, 2, 2}"))
    assert not matches(op.Mul(x, 2.0), model("(float[0] a) => (float[0] c) <float[0] w = {}> { c = Mul(a, w) }"))


def value_of(array: object, dtype: DType | None = None) -> Value:
    tensor_ = Tensor.of(array, dtype)  # type: ignore[arg-type]  # anything that numpy takes
    return Value("w", TensorType(tensor_.dtype, tensor_.shape), tensor=tensor_)


ULP = {np.float32: 2.0**-23, np.float64: 2.0**-52, np.float16: 2.0**-10, ml_dtypes.bfloat16: 2.0**-7}


@pytest.mark.parametrize("kind", ULP)
def test_number_that_is_not_whole_is_rounded_to_the_type(kind: type) -> None:
    """Equal after rounding; float32 and float64 may be 4 units off, the 16-bit types one."""
    literal = 0.7978845608028654
    assert is_number(value_of(np.array(literal, kind)), literal)
    units = 4 if kind in (np.float32, np.float64) else 1
    assert is_number(value_of(np.array(literal * (1 + 0.6 * units * ULP[kind]), kind)), literal)
    assert not is_number(value_of(np.array(literal * (1 + (units + 2) * ULP[kind]), kind)), literal)


def test_narrow_floats_are_equal_after_rounding_only() -> None:
    assert is_number(value_of(np.array(0.3, ml_dtypes.float8_e4m3fn)), 0.3)
    assert not is_number(value_of(np.array(0.34, ml_dtypes.float8_e4m3fn)), 0.3)


@pytest.mark.parametrize(
    ("held", "literal", "equal"),
    [
        (np.float32(1), 1, True),
        (np.float32(1), 1.0, True),
        (np.int64(1), 1, True),
        (np.int64(1), 1.0, True),
        (np.float32(1 + 2**-23), 1.0, False),
        (np.float32(16777216), 16777217, False),
        (np.int64(2**62 + 1), 2**62, False),
        (np.float32(0), 0, True),
        (np.float32(-0.0), 0, False),
        (np.float32(-0.0), -0.0, True),
        (np.float32(0), -0.0, False),
        (np.float32(1e-12), 0, False),
        (np.int64(0), 0.3, False),
        (np.bool_(True), True, True),
        (np.bool_(True), 1, False),
        (np.int64(1), True, False),
        (np.float32(np.nan), 0.5, False),
        (np.float32(np.inf), float("inf"), True),
        (np.float32(-np.inf), float("inf"), False),
        (np.float16(np.inf), 100000.5, False),  # the literal is out of range, not infinite
        (np.float16(np.inf), 100000, False),
        (np.complex64(1), 1, False),
        ("1", 1, False),
    ],
)
def test_literals(held: object, literal: float, equal: bool) -> None:
    assert is_number(value_of(held), literal) is equal


def test_integers_of_four_bits() -> None:
    assert is_number(value_of(3, DType.int4), 3) and not is_number(value_of(3, DType.int4), 2)


def test_condition_on_elements() -> None:
    pattern = op.Mul(x, const("w", where=lambda w: bool((w > np.float32(0)).all())))
    assert matches(pattern, model(SCALED % "float[4] w = {1, 2, 3, 4}"))
    assert not matches(pattern, model(SCALED % "float[4] w = {1, -2, 3, 4}"))


def test_condition_on_a_value() -> None:
    pattern = op.Mul(x, tensor("w", where=lambda w: len(w.users) == 2))
    assert not matches(pattern, model(SCALED % "float w = {1}"))
    assert matches(pattern, model("(float[4] a) => (float[4] c) <float w = {1}> { b = Add(a, w)  c = Mul(b, w) }"))


def test_condition_that_raises_is_the_authors_error() -> None:
    for pattern in (op.Mul(x, const("w", where=lambda w: w.item(7) > 0)), op.Mul(x, tensor("w", where=lambda w: 1 // 0 > 0))):
        with pytest.raises(RuleError, match=r"the rule the-rule \(.*graphs\.py:\d+\): the condition on w raised"):
            matches(pattern, model(SCALED % "float w = {1}"))


class Untouchable:
    """Weights that nobody may read."""

    nbytes = 1 << 40

    def view(self) -> memoryview:
        raise AssertionError("the weights were read")


def test_weights_are_read_only_when_all_else_matches() -> None:
    """Neither a literal nor a condition reads elements before shape and type are right and the rest of the pattern has matched."""
    graph = Model("g", 10, {"": 20})
    editor = Editor(graph)
    a = Value("a", TensorType(DType.float32, (4,)))
    a.graph = graph.graph
    graph.graph.inputs.append(a)
    w = editor.add_constant(graph.graph, Tensor(DType.float32, (1 << 19, 1 << 19), Untouchable()))
    v = editor.add_constant(graph.graph, Tensor(DType.float32, (1 << 19, 1 << 19), Untouchable()))
    node = editor.insert(Node("Mul", (w, editor.insert(Node("Neg", (a,)), graph.graph).output)), graph.graph)
    last = editor.insert(Node("Mul", (v, node.output)), graph.graph)
    editor.set_outputs(graph.graph, [last.output])
    looks = const("w", where=lambda w: bool(w.any()))
    assert matches(op.Mul(const("w"), op.Neg(x)), graph)
    assert not matches(op.Mul(looks, op.Relu(x)), graph)  # the other operand is no Relu
    assert not matches(op.Mul(const("w", rank=3, where=lambda w: bool(w.any())), op.Neg(x)), graph)
    assert not matches(op.Mul(const("w", dtype="float16", where=lambda w: bool(w.any())), op.Neg(x)), graph)
    assert not matches(op.Mul(0.5, op.Neg(x)), graph)
    assert not matches(op.Mul(const("w"), op.Mul(const("w"), x)), graph)  # too large to be compared
    with pytest.raises(AssertionError, match="were read"):
        matches(op.Mul(looks, op.Neg(x)), graph)


def test_in_memory_scalars_of_strange_types_do_not_trip() -> None:
    held = Value("w", TensorType(DType.float6e2m3, (1,)), tensor=Tensor(DType.float6e2m3, (1,), InMemory(b"\x01")))
    assert not is_number(held, 0.5)
