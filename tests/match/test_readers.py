"""The single-reader law: an inner value has no reader outside the match, is no output, is not captured; unless kept."""

from __future__ import annotations

import pytest

from graphopt.match import const, each, op, tensor
from tests.match.graphs import matches, model

x, y = tensor("x"), tensor("y")
INNER = op.Relu(op.Neg(x))
KEPT = op.Relu(op.Neg(x).kept())
TEXT = "(float[4] a) => (float[4] c, float[4] d) { n = Neg(a)  c = Relu(n)  d = %s }"


def test_second_reader() -> None:
    assert matches(INNER, model(TEXT % "Abs(a)"))
    assert not matches(INNER, model(TEXT % "Abs(n)"))
    assert matches(KEPT, model(TEXT % "Abs(n)"))


def test_graph_output() -> None:
    graph = model("(float[4] a) => (float[4] n, float[4] c) { n = Neg(a)  c = Relu(n) }")
    assert not matches(INNER, graph) and matches(KEPT, graph)


def test_second_slot_of_the_same_reader() -> None:
    graph = model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Add(n, n) }")
    assert not matches(op.Add(op.Neg(x), y), graph)
    assert matches(op.Add(op.Neg(x).kept(), y), graph)


IF = """(float[4] a, bool b) => (float[4] c, float[4] d) {
    n = Neg(a)
    c = Relu(n)
    d = If(b) <then_branch = t () => (float[4] e) { e = %s(%s) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
}"""


def test_capture_by_a_subgraph() -> None:
    assert not matches(INNER, model(IF % ("Abs", "n"))) and matches(KEPT, model(IF % ("Abs", "n")))
    assert matches(INNER, model(IF % ("Abs", "a")))


def test_inner_node_in_an_enclosing_graph() -> None:
    """A branch reads what the graph around it makes: the inner node would have to go from a graph that is not its own."""
    text = """(float[4] a, bool b) => (float[4] d) {
        n = Neg(a)
        d = If(b) <then_branch = t () => (float[4] e) { e = Relu(n) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
    }"""
    assert not matches(INNER, model(text))
    assert matches(KEPT, model(text))
    assert matches(op.Relu(x), model(text)) == [{"x": "n"}]  # a leaf may lie anywhere


def test_constant_of_an_enclosing_graph_is_a_constant() -> None:
    text = """(float[4] a, bool b) => (float[4] d) <float w = {2}> {
        d = If(b) <then_branch = t () => (float[4] e) { e = Mul(a, w) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
    }"""
    assert matches(op.Mul(x, const("w")), model(text)) == [{"x": "a", "w": "w"}]


def test_matches_inside_subgraphs() -> None:
    text = """(float[4] a, bool b) => (float[4] d) {
        d = If(b) <then_branch = t () => (float[4] e) { n = Neg(a)  e = Relu(n) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
    }"""
    assert matches(INNER, model(text)) == [{"x": "a"}]


def test_a_call_that_stands_twice_may_be_read_twice() -> None:
    relu = op.Relu(x)
    pattern = op.Sub(op.Sigmoid(relu), op.Tanh(relu))
    text = "(float[4] a) => (float[4] c, float[4] d) { r = Relu(a)  s = Sigmoid(r)  t = Tanh(r)  c = Sub(s, t)  d = %s }"
    assert matches(pattern, model(text % "Neg(a)"))
    assert not matches(pattern, model(text % "Neg(r)"))
    assert not matches(pattern, model(text % "Neg(s)"))


def test_a_leaf_that_is_an_inner_value_counts_as_a_reader() -> None:
    relu = op.Relu(x)
    pattern = op.Add(relu, op.Mul(relu, y))
    assert matches(pattern, model("(float[4] a, float[4] b) => (float[4] c) { r = Relu(a)  m = Mul(r, b)  c = Add(r, m) }"))
    assert not matches(pattern, model("(float[4] a) => (float[4] c) { r = Relu(a)  m = Mul(r, r)  c = Add(r, m) }"))


def test_what_feeds_a_kept_call_stays_as_well() -> None:
    text = "(float[4] a) => (float[4] c, float[4] d) { n = Neg(a)  r = Relu(n)  c = Abs(r)  d = Exp(%s) }"
    assert matches(op.Abs(op.Relu(op.Neg(x)).kept()), model(text % "n"))
    assert not matches(op.Abs(op.Relu(op.Neg(x).kept())), model(text % "r"))


def test_inputs_of_each_obey_the_law() -> None:
    text = "(float[2] a, float[2] b) => (float[4] c, float[2] d) { r = Relu(a)  s = Relu(b)  c = Concat<axis = 0>(r, s)  d = Neg(%s) }"
    assert matches(op.Concat(each(op.Relu(x))), model(text % "a"))
    assert not matches(op.Concat(each(op.Relu(x))), model(text % "s"))
    assert matches(op.Concat(each(op.Relu(x).kept())), model(text % "s"))


@pytest.mark.parametrize("read", ["a", "r", "n"])
def test_alternatives_obey_the_law(read: str) -> None:
    text = f"(float[4] a) => (float[4] c, float[4] d) {{ n = Neg(a)  r = Relu(n)  c = Exp(r)  d = Abs({read}) }}"
    assert bool(matches(op.Exp(op.Relu(op.Neg(x)) | op.Tanh(x)), model(text))) is (read == "a")
