"""Which rules are tried at which node, in which order, and under which opsets."""

from __future__ import annotations

import pytest

from graphopt.ir import Node
from graphopt.match import Rule, any_of, domain, each, op, product, rule, tensor
from graphopt.match.index import RuleIndex, operators_of
from tests.match.graphs import matches, model, rule_of

x, y, z = tensor("x"), tensor("y"), tensor("z")


def named(name: str, *patterns: object, **options: object) -> Rule:
    """A rule under a name."""
    return rule(*patterns, name=name, **options)(lambda m: None)  # type: ignore[arg-type]  # patterns and options of any kind


def tried(rules: list[Rule], text: str, opset: int = 20) -> dict[str, list[str]]:
    """The rules that are tried at each node, by the name of what it makes."""
    graph = model(text, opset).graph
    index = RuleIndex(rules, graph.opsets)
    return {node.output.name: [candidate.name for candidate, _ in index.candidates(node)] for node in graph}


CHAIN = "(float[4] a, float[4] b) => (float[4] d) { n = Neg(a)  r = Relu(n)  p = Mul(b, r)  d = Relu(p) }"


def test_rules_are_filed_under_root_and_feeder() -> None:
    rules = [
        named("any-relu", op.Relu(x)),
        named("relu-neg", op.Relu(op.Neg(x))),
        named("relu-mul", op.Relu(op.Mul(x, y))),
        named("mul-relu", op.Mul(op.Relu(x), y)),
        named("mul-neg", op.Mul(op.Neg(x), y)),
        named("abs", op.Abs(x)),
    ]
    assert tried(rules, CHAIN) == {
        "n": [],
        "r": ["relu-neg", "any-relu"],
        "p": ["mul-relu"],
        "d": ["relu-mul", "any-relu"],
    }


def test_bigger_patterns_first_then_the_order_given() -> None:
    rules = [
        named("one", op.Relu(x)),
        named("another", op.Relu(y)),
        named("three", op.Relu(op.Mul(x, op.Relu(y)))),
        named("two", op.Relu(op.Mul(x, y))),
        named("chain", op.Relu(product(x, y, z))),
    ]
    assert tried(rules, CHAIN)["d"] == ["three", "chain", "two", "one", "another"]


def test_alternatives_and_many_inputs_are_filed_by_each_operator() -> None:
    rules = [
        named("fed", op.Relu(op.Neg(x) | op.Mul(x, y))),
        named("open", op.Relu(op.Neg(x) | x)),
        named("roots", any_of(op.Neg(x), op.Mul(op.Abs(x), y))),
        named("chain", product(x, y, z)),
        named("each", op.Concat(each(op.Relu(x) | op.Neg(x)))),
    ]
    assert tried(rules, CHAIN) == {"n": ["roots"], "r": ["fed", "open"], "p": [], "d": ["fed", "open"]}
    text = "(float[4] a, float[4] b) => (float[8] d) { r = Relu(a)  q = Mul(a, b)  p = Mul(q, b)  d = Concat<axis = 0>(r, p) }"
    assert tried(rules, text) == {"r": ["open"], "q": [], "p": ["chain"], "d": ["each"]}


def test_of_a_rule_those_alternatives_are_tried_that_could_start_at_a_node() -> None:
    """The matcher of each is made when a node may match: here that of Relu(Neg(x)) and of Relu(y), not of Relu(Abs(x))."""
    asked = named("some", any_of(op.Relu(op.Neg(x)), op.Relu(op.Abs(x)), op.Relu(y)))
    assert tried([asked], CHAIN)["r"] == ["some", "some"]
    assert len(matches(asked, model(CHAIN))) == 3
    assert asked.compiled.keys() == {0, 2}


@pytest.mark.parametrize(("opset", "there"), [(12, False), (13, True), (17, True), (18, False)])
def test_since_and_until(opset: int, there: bool) -> None:
    asked = rule_of(op.Relu(op.Neg(x)), since=13, until=17)
    assert bool(matches(asked, model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Relu(n) }", opset))) is there


def test_since_is_about_the_domain_of_the_root() -> None:
    ms = domain("com.microsoft")
    text = "(float[4] a) => (float[4] c) { n = Neg(a)  c = com.microsoft.QuickGelu(n) }"
    assert matches(rule_of(ms.QuickGelu(op.Neg(x)), until=1), model(text))
    assert not matches(rule_of(ms.QuickGelu(op.Neg(x)), since=13), model(text))


@pytest.mark.parametrize(("opset", "there"), [(6, False), (7, True), (20, True), (2000, False)])
def test_opsets_that_nothing_is_known_of(opset: int, there: bool) -> None:
    """Below 7 operators broadcast by attributes; above the newest that onnx knows they may mean anything."""
    index = RuleIndex([rule_of(op.Relu(x))], {"": opset})
    assert ("Relu" in index.roots) is there


def test_default_domain_that_is_not_imported() -> None:
    assert "Relu" not in RuleIndex([rule_of(op.Relu(x))], {"com.microsoft": 1}).roots
    alone = RuleIndex([rule_of(domain("com.microsoft").QuickGelu(x))], {"com.microsoft": 1})
    assert "com.microsoft.QuickGelu" in alone.roots


def test_what_the_driver_asks() -> None:
    index = RuleIndex([rule_of(op.Relu(op.Mul(op.Neg(x), y))), rule_of(product(x, y, z))], {"": 20})
    assert index.depth == 3
    assert index.roots == {"Relu", "Mul"}
    assert [index.is_inner(Node(name)) for name in ("Relu", "Mul", "Neg", "Abs")] == [True, True, True, False]
    assert operators_of(rule_of(op.Relu(op.Mul(op.Neg(x), y)))) == {"Relu", "Mul", "Neg"}


def test_matchers_are_compiled_once_and_when_a_node_may_match() -> None:
    asked = rule_of(op.Relu(op.Neg(x)))
    assert not matches(asked, model("(float[4] a) => (float[4] c) { n = Abs(a)  c = Relu(n) }")) and not asked.compiled
    assert len(matches(asked, model(CHAIN))) == 1
    (compiled,) = asked.compiled.values()
    assert len(matches(asked, model(CHAIN))) == 1
    assert [*asked.compiled.values()] == [compiled]
