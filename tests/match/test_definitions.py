"""What is wrong with a rule is told where it is defined, by name and cause; what needs onnx, when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphopt.match import AnyOf, Pattern, any_of, attr, const, domain, each, op, opt, ordered, product, rest, rule, tensor
from graphopt.match.compiler import compile_rule
from tests.match.graphs import raises, rule_of

x, y = tensor("x"), tensor("y")
split = op.Split(x, const("sizes"))
inner = op.Relu(tensor())

DEFINITIONS: list[tuple[Callable[[], object], str]] = [
    (rule_of, "has no pattern"),
    (lambda: rule_of(x), "cannot be the root"),
    (lambda: rule_of(op.Relu(x) | y), "cannot be the root"),
    (lambda: rule_of(op.Relu("x")), "is no pattern"),
    (lambda: rule_of(product(x)), "a chain of Mul has 2 to 6 operands, not 1"),
    (lambda: rule_of(product(*(tensor(f"x{i}") for i in range(7)))), "a chain of Mul has 2 to 6 operands, not 7"),
    (lambda: rule_of(product(x, opt(y))), "cannot stand in product"),
    (lambda: rule_of(op.Relu(AnyOf((x,)))), "one alternative only"),
    (lambda: rule_of(op.Relu(any_of(x, opt(y)))), "are inputs of a call"),
    (lambda: rule_of(op.Concat(rest("xs"), y)), "nothing may follow them"),
    (lambda: rule_of(op.Concat(each(op.Relu(x)), y)), "nothing may follow them"),
    (lambda: rule_of(op.Concat(each(rest("xs")))), "are inputs of a call"),
    (lambda: opt(tensor()), "needs a leaf with a name"),
    (lambda: rule_of(op.Relu(tensor("x", shape=(..., "N", ...)))), "more than one ..."),
    (lambda: rule_of(op.Relu(tensor("x", shape=("N",), rank=2))), "both rank 2 and the shape"),
    (lambda: rule_of(op.Relu(tensor("x", shape=("N", "M", ...), rank=1))), "both rank 1 and the shape"),
    (lambda: rule_of(op.Relu(tensor("x", shape=(-1,)))), "is no dimension"),
    (lambda: rule_of(op.Relu(tensor("x", shape=("my dim",)))), "is no dimension"),
    (lambda: rule_of(op.Relu(tensor("x", into=("N", ...)))), "is no dimension"),  # type: ignore[arg-type]  # what a beginner may write
    (lambda: rule_of(op.Add(x, tensor("c", into=("N",)))), "names the dimension 'N', which no shape= in the rule binds"),
    (lambda: rule_of(op.Relu(tensor("not a name"))), "cannot be the name of a parameter"),
    (lambda: rule_of(op.Relu(tensor("lambda"))), "cannot be the name of a parameter"),
    (lambda: rule_of(op.Softmax(x, axis=attr("x"))), "'x' names both"),
    (lambda: rule_of(op.Relu(x).named("x")), "'x' names both"),
    (lambda: rule_of(op.Add(x, op.Concat(each(op.Relu(x))))), "'x' names both"),
    (lambda: rule_of(op.Add(x, op.Concat(rest("x")))), "'x' names both"),
    (lambda: rule_of(op.Add(inner, op.Concat(each(op.Neg(inner))))), "inside each(...) and outside"),
    (lambda: rule_of(op.Relu(x), op.Neg(y)), "its root Neg(y) shares no named value"),
    (lambda: rule_of(op.Relu(tensor()), op.Neg(tensor())), "shares no named value"),
    (lambda: rule_of(op.Conv(y, opt(x)), op.Neg(x)), "shares no named value"),
    (lambda: rule_of(split.out(0), split.out(1)), "two of its roots are the same call"),
    (lambda: rule_of(op.Relu(const("x", equals=float("nan")))), "nothing equals a NaN"),
    (lambda: rule_of(op.LeakyRelu(x, alpha=float("nan"))), "nothing equals a NaN"),
    (lambda: rule_of(op.Relu(x, alpha={1: 2})), "is no attribute to compare with"),
    (lambda: rule_of(op.Relu(op.Split(x).out(-1))), "is no output"),
    (lambda: rule_of(op.Relu(x), since=13, until=11), "is for no opset"),
    (lambda: tensor("x", dtype="float23"), "float23"),
    (lambda: tensor("x", dtype="float"), "'float' is no element type; did you mean 'float32'?"),
    (lambda: rule_of(op.Relu(x), exactness="sloppy"), "is 'sloppy', which is none of exact, rounding, approximate"),
]


@pytest.mark.parametrize(("define", "why"), DEFINITIONS)
def test_wrong_when_defined(define: Callable[[], object], why: str) -> None:
    assert why in raises(define)


def test_a_parameter_that_no_pattern_binds() -> None:
    def asks_for_more(m: Any, x: Any, bias: Any) -> None:
        """Never called."""

    assert "asks for bias; its pattern binds x" in raises(lambda: rule(op.Relu(x))(asks_for_more))


USES: list[tuple[Callable[[], Pattern], str]] = [
    (lambda: op.Rleu(x), "the rule the-rule: onnx has no operator Rleu"),
    (lambda: op.Relu(x, y), "Relu(x, y) lists 2 inputs, Relu has at most 1"),
    (lambda: op.Abs(op.Relu(x).out(1)), "is output 1, Relu has 1"),
    (lambda: op.Conv(x, y, stride=1), "Conv has no attribute 'stride'; did you mean 'strides'?"),
    (lambda: op.Squeeze(x, axes=[1]), "Squeeze has no attribute 'axes'; the newest opset has 'axes' as input 1"),
    (
        lambda: op.Sub(op.Concat(each(op.Add(op.Relu(tensor("a")), tensor("c", into=("N",))))), op.Relu(tensor("d", shape=("N",)))),
        "into= inside *Add(Relu(a), c) names a dimension that only a later part binds",
    ),
]


@pytest.mark.parametrize(("pattern", "why"), USES)
def test_wrong_when_first_used(pattern: Callable[[], Pattern], why: str) -> None:
    asked = rule_of(pattern())
    assert why in raises(lambda: compile_rule(asked))


def test_unknown_domains_are_taken_as_written() -> None:
    assert raises(lambda: compile_rule(rule_of(domain("com.example").Any(x, y, anything=1)))) == "nothing was raised"


def test_patterns_print_as_they_are_written() -> None:
    pattern = ordered(op.Add(op.MatMul(x, tensor("w")), opt(const("c")))).named("sum")
    assert str(pattern) == "Add(MatMul(x, w), c?)"
    assert str(op.Concat(rest("xs"), axis=attr("axis"))) == "Concat(*xs, axis=axis)"
    assert str(op.Relu(x) | op.Mul(y, 0.5)) == "(Relu(x) | Mul(y, 0.5))"
