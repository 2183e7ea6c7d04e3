"""Rules with several roots: reached through the readers of a shared value, all different nodes of one graph."""

from __future__ import annotations

from graphopt.match import any_of, op, sum_of, tensor
from tests.match.graphs import complete, matches, model, rule_of

x, y, z = tensor("x"), tensor("y"), tensor("z")


def test_second_root_reads_what_the_first_one_reads() -> None:
    rule = rule_of(op.Relu(x), op.Neg(x))
    graph = model("(float[4] a, float[4] b) => (float[4] c, float[4] d) { c = Relu(a)  d = Neg(a) }")
    [(roots, nodes, bindings)] = complete(rule, graph)
    assert [root.op for root in roots] == ["Relu", "Neg"] and nodes == roots and bindings["x"].name == "a"
    assert not matches(rule, model("(float[4] a, float[4] b) => (float[4] c, float[4] d) { c = Relu(a)  d = Neg(b) }"))


def test_every_reader_is_tried() -> None:
    rule = rule_of(op.Relu(x), op.Add(x, y))
    graph = model(
        "(float[4] a, float[4] b, float[4] e) => (float[4] c, float[4] d, float[4] f) { c = Relu(a)  d = Add(a, b)  f = Add(e, a) }"
    )
    assert [found["y"] for found in matches(rule, graph)] == ["b", "e"]


def test_roots_are_different_nodes() -> None:
    rule = rule_of(op.Relu(x), op.Relu(x))
    assert not matches(rule, model("(float[4] a) => (float[4] c) { c = Relu(a) }"))
    two = complete(rule, model("(float[4] a) => (float[4] c, float[4] d) { c = Relu(a)  d = Relu(a) }"))
    assert [[root.output.name for root in roots] for roots, _, _ in two] == [["c", "d"], ["d", "c"]]


def test_three_roots() -> None:
    rule = rule_of(op.MatMul(x, tensor("q")), op.MatMul(x, tensor("k")), op.MatMul(x, tensor("v")))
    graph = model(
        "(float[2,2] a, float[2,2] p, float[2,2] q, float[2,2] r) => (float[2,2] c, float[2,2] d, float[2,2] e)"
        "{ c = MatMul(a, p)  d = MatMul(a, q)  e = MatMul(a, r) }"
    )
    assert len(matches(rule, graph)) == 6


def test_second_root_further_away() -> None:
    rule = rule_of(op.Relu(x), op.Exp(op.Neg(x)))
    text = "(float[4] a) => (float[4] c, float[4] d, float[4] e) { c = Relu(a)  n = Neg(a)  d = Exp(n)  e = Abs(%s) }"
    assert [[node.op for node in nodes] for _, nodes, _ in complete(rule, model(text % "a"))] == [["Relu", "Exp", "Neg"]]
    assert not matches(rule, model(text % "n"))  # the Neg inside the second root is read elsewhere


def test_second_root_is_a_chain() -> None:
    rule = rule_of(op.Relu(x), sum_of(x, y, z))
    graph = model("(float[4] a, float[4] b, float[4] e) => (float[4] c, float[4] d) { c = Relu(a)  p = Add(b, a)  d = Add(e, p) }")
    assert {(found["y"], found["z"]) for found in matches(rule, graph)} == {("b", "e"), ("e", "b")}


def test_roots_that_share_an_inner_call() -> None:
    """Both roots read the Neg; that nobody else does makes it part of the match."""
    neg = op.Neg(x)
    rule = rule_of(op.Relu(neg), op.Exp(neg))
    text = "(float[4] a) => (float[4] c, float[4] d, float[4] e) { n = Neg(a)  c = Relu(n)  d = Exp(n)  e = Abs(%s) }"
    assert matches(rule, model(text % "a")) == [{"x": "a"}]
    assert not matches(rule, model(text % "n"))


def test_a_root_that_the_other_root_reads() -> None:
    neg = op.Neg(x)
    text = "(float[4] a) => (float[4] c, float[4] e) { n = Neg(a)  c = Relu(n)  e = Abs(n) }"
    for rule, names in ((rule_of(op.Relu(neg), neg), ["c", "n"]), (rule_of(neg, op.Relu(neg)), ["n", "c"])):
        assert [[root.output.name for root in roots] for roots, _, _ in complete(rule, model(text))] == [names]


def test_a_root_is_not_at_once_inside_another_root() -> None:
    rule = rule_of(op.Neg(x), op.Relu(op.Neg(x)))
    assert not matches(rule, model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Relu(n) }"))
    assert matches(rule, model("(float[4] a) => (float[4] c, float[4] d) { n = Neg(a)  c = Relu(n)  d = Neg(a) }"))


def test_roots_stand_in_one_graph() -> None:
    text = """(float[4] a, bool b) => (float[4] c, float[4] d) {
        c = Relu(a)
        d = If(b) <then_branch = t () => (float[4] e) { e = Neg(a) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
    }"""
    assert not matches(rule_of(op.Relu(x), op.Neg(x)), model(text))
    assert not matches(rule_of(op.Neg(x), op.Relu(x)), model(text))
    assert not matches(rule_of(op.Neg(x), op.Exp(op.Abs(x))), model(text))


def test_alternatives_among_the_roots() -> None:
    rule = rule_of(any_of(op.Relu(x), op.Neg(x)), any_of(op.Abs(x), op.Exp(x)))
    text = "(float[4] a) => (float[4] c, float[4] d) { c = %s(a)  d = %s(a) }"
    for first in ("Relu", "Neg"):
        for second in ("Abs", "Exp"):
            assert matches(rule, model(text % (first, second))) == [{"x": "a"}]
            assert matches(rule, model(text % (second, first))) == [{"x": "a"}]
    assert not matches(rule, model(text % ("Relu", "Neg")))


def test_root_that_stands_for_another_output() -> None:
    rule = rule_of(op.TopK(x, tensor("k")).out(1))
    text = "(float[4] a) => (float[2] c, int64[2] d) <int64[1] k = {2}> { c, d = TopK(a, k) }"
    assert matches(rule, model(text)) == [{"x": "a", "k": "k"}]
