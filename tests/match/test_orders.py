"""Orders and groupings of operands: commutative operators, `ordered`, chains."""

from __future__ import annotations

import pytest

from graphopt.match import const, op, ordered, product, sum_of, tensor
from tests.match.graphs import complete, matches, model, rule_of

x, y, z = tensor("x"), tensor("y"), tensor("z")
SUM = "(float[4] a, float[4] b) => (float[4] c) { r = Relu(a)  c = %s }"


@pytest.mark.parametrize("call", ["Add(r, b)", "Add(b, r)"])
def test_both_orders_of_a_commutative_operator(call: str) -> None:
    assert matches(op.Add(op.Relu(x), y), model(SUM % call)) == [{"x": "a", "y": "b"}]


@pytest.mark.parametrize("operator", ["Add", "Mul", "Max", "Min", "Sum", "Mean"])
def test_which_operators_commute(operator: str) -> None:
    assert matches(getattr(op, operator)(op.Relu(x), y), model(SUM % f"{operator}(b, r)")) == [{"x": "a", "y": "b"}]


@pytest.mark.parametrize("operator", ["Sub", "Div", "Pow"])
def test_which_operators_do_not(operator: str) -> None:
    assert not matches(getattr(op, operator)(op.Relu(x), y), model(SUM % f"{operator}(b, r)"))


def test_ordered_opts_out() -> None:
    assert not matches(ordered(op.Add(op.Relu(x), y)), model(SUM % "Add(b, r)"))
    assert matches(ordered(op.Add(op.Relu(x), y)), model(SUM % "Add(r, b)"))


def test_two_plain_leaves_are_tried_in_both_orders() -> None:
    graph = model("(float[4] a, float[4] b) => (float[4] c) { c = Add(a, b) }")
    assert matches(op.Add(x, y), graph) == [{"x": "a", "y": "b"}, {"x": "b", "y": "a"}]


def test_variadic_commutative_operator_in_every_order() -> None:
    graph = model("(float[4] a, float[4] b, float[4] c) => (float[4] d) { r = Relu(a)  s = Abs(b)  d = Max(c, s, r) }")
    assert matches(op.Max(op.Relu(x), y, op.Abs(z)), graph) == [{"x": "a", "y": "c", "z": "b"}]


def test_orders_inside_orders_backtrack() -> None:
    """The right order of the inner Mul depends on what the outer Add binds afterwards."""
    graph = model("(float[4] a, float[4] b) => (float[4] c) { m = Mul(a, b)  c = Add(m, b) }")
    assert matches(op.Add(op.Mul(x, y), y), graph) == [{"x": "a", "y": "b"}]
    assert matches(op.Add(op.Mul(x, y), x), graph) == [{"x": "b", "y": "a"}]


GROUPINGS = [
    "p = Mul(a, half)  c = Mul(p, r)",
    "p = Mul(half, a)  c = Mul(r, p)",
    "p = Mul(a, r)  c = Mul(p, half)",
    "p = Mul(r, a)  c = Mul(half, p)",
    "p = Mul(r, half)  c = Mul(a, p)",
    "p = Mul(half, r)  c = Mul(p, a)",
]


@pytest.mark.parametrize("body", GROUPINGS)
def test_product_in_every_grouping_and_order(body: str) -> None:
    graph = model(f"(float[4] a, float[4] b) => (float[4] c) <float half = {{0.5}}> {{ r = Relu(b)  {body} }}")
    found = complete(product(x, 0.5, op.Relu(y)), graph)
    assert [(bindings["x"].name, bindings["y"].name) for _, _, bindings in found] == [("a", "b")]
    assert sorted(node.op for node in found[0][1]) == ["Mul", "Mul", "Relu"]


def test_chain_of_four_over_a_balanced_and_a_leaning_tree() -> None:
    balanced = "(float[4] a, float[4] b, float[4] c, float[4] d) => (float[4] e) { p = Add(a, b)  q = Add(c, d)  e = Add(p, q) }"
    leaning = "(float[4] a, float[4] b, float[4] c, float[4] d) => (float[4] e) { p = Add(a, b)  q = Add(p, c)  e = Add(q, d) }"
    for text in (balanced, leaning):
        found = matches(sum_of(x, y, z, tensor("w")), model(text))
        assert len(found) == 24  # every order once
        assert {frozenset(bindings.values()) for bindings in found} == {frozenset("abcd")}


def test_an_operand_may_be_a_product_itself() -> None:
    graph = model("(float[4] a, float[4] b, float[4] c) => (float[4] d) { p = Mul(a, b)  q = Mul(p, c)  d = Relu(q) }")
    assert {(found["x"], found["y"]) for found in matches(op.Relu(product(x, y)), graph)} == {("p", "c"), ("c", "p")}


def test_inner_results_of_a_chain_obey_the_single_reader_law() -> None:
    text = "(float[4] a, float[4] b, float[4] c) => (float[4] d, float[4] e) { p = Mul(a, b)  d = Mul(p, c)  e = %s }"
    assert matches(product(x, y, z), model(text % "Relu(a)"))
    assert not matches(product(x, y, z), model(text % "Relu(p)"))
    output = "(float[4] a, float[4] b, float[4] c) => (float[4] p, float[4] d) { p = Mul(a, b)  d = Mul(p, c) }"
    assert not matches(product(x, y, z), model(output))


def test_chain_as_an_operand_and_alternatives_in_a_chain() -> None:
    graph = model(
        "(float[4] a, float[4] b) => (float[4] d) <float half = {0.5}> { s = Sigmoid(b)  p = Mul(s, a)  q = Mul(p, half)  d = Relu(q) }"
    )
    pattern = op.Relu(product(0.5, x, op.Tanh(y) | op.Sigmoid(y)))
    assert matches(pattern, graph) == [{"x": "a", "y": "b"}]


def test_nested_chains_of_one_operator_are_one_chain() -> None:
    graph = model("(float[4] a, float[4] b, float[4] c) => (float[4] d) { p = Mul(b, c)  d = Mul(a, p) }")
    assert len(matches(product(x, product(y, z)), graph)) == 6


def test_factor_twice() -> None:
    graph = model("(float[4] a, float[4] b) => (float[4] d) { p = Mul(a, b)  d = Mul(p, a) }")
    assert matches(product(x, x, y), graph)[0] == {"x": "a", "y": "b"}
    assert not matches(product(x, x, x), graph)


def test_constant_operand_in_either_place() -> None:
    for call in ("Mul(a, w)", "Mul(w, a)"):
        graph = model(f"(float[4] a) => (float[4] d) <float[4] w = {{1, 2, 3, 4}}> {{ d = {call} }}")
        assert matches(op.Mul(x, const("w")), graph) == [{"x": "a", "w": "w"}]


def test_more_choices_than_python_nests_loops() -> None:
    """Thirty commutative operators in one pattern: functions of their own keep the nesting low."""
    pattern: object = x
    body = ["v0 = Relu(a)"]
    for i in range(30):
        pattern = op.Add(pattern, op.Neg(y)) if i else op.Relu(x)
        if i:
            body += [f"n{i} = Neg(b)", f"v{i} = Add(n{i}, v{i - 1})"]
    graph = model(f"(float[4] a, float[4] b) => (float[4] v29) {{ {'  '.join(body)} }}")
    assert matches(rule_of(pattern), graph) == [{"x": "a", "y": "b"}]  # type: ignore[arg-type]  # a Call by now
