"""What cannot be checked is an error that helps the author, never a silent pass."""

from __future__ import annotations

import pytest

from graphopt.errors import SpecError
from graphopt.ir.graph import Value
from graphopt.match.language import const, op, rest, tensor
from graphopt.match.match import Match
from graphopt.match.rule import Outcome, rule
from graphopt.verify.selfcheck import check_rule, check_rules

x = tensor("x")


@rule(op.Add(x, const("c", where=lambda c: False)), keeps_type=True)
def impossible_constant(m: Match, x: Value) -> Outcome:
    return x


@rule(op.SequenceAt(op.SequenceConstruct(rest("xs")), const("i")), keeps_type=True)
def sequences(m: Match, xs: tuple[Value, ...], i: Value) -> Outcome:
    return xs[0]


def sequence_example() -> list[str]:
    return ["""<ir_version: 8, opset_import: ["" : 17]>
    g (float[2] a, float[3] b) => (float[2] y) <int64 i = {0}> {
        s = SequenceConstruct(a, b)
        t = SequenceAt(s, i)
        y = Neg(t)
    }"""]


@rule(op.SequenceAt(op.SequenceConstruct(rest("xs")), const("i", equals=0)), keeps_type=True, examples=sequence_example)
def first_of_sequence(m: Match, xs: tuple[Value, ...]) -> Outcome:
    return xs[0]


@rule(op.Relu(op.Relu(x)))
def never(m: Match, x: Value) -> Outcome:
    return m.no("the moon is {}", "full")


@rule(op.Gelu(op.Relu(x)), until=19)
def no_opset(m: Match, x: Value) -> Outcome:
    return x


@rule(op.Relu(op.Relu(x)), keeps_type=True)
def raises(m: Match, x: Value) -> Outcome:
    raise KeyError("forgotten")


@rule(op.Relu(x), keeps_type=True)
def endless(m: Match, x: Value) -> Outcome:
    return m.op.Relu(m.op.Identity(x))


def test_no_model_is_an_error_with_the_reason() -> None:
    report = check_rule(impossible_constant)
    assert not report.ok
    assert "meets its where=" in report.error
    assert "examples=" in report.error


def test_no_fire_is_an_error_with_what_the_rule_said() -> None:
    report = check_rule(never)
    assert not report.ok
    assert "never fired" in report.error
    assert "the moon is full" in report.error
    assert "Relu" in report.error, "with a model in which it might have"


def test_no_opset_is_an_error() -> None:
    report = check_rule(no_opset)
    assert "since=, until=" in report.error


def test_examples_stand_in_for_generated_models() -> None:
    report = check_rule(first_of_sequence)
    assert report.ok, str(report)
    assert report.variants.fired
    assert report.near_misses.tried


def test_example_that_does_not_parse_is_the_callers_fault() -> None:
    broken = rule(op.Relu(op.Relu(x)), examples=lambda: ["no model"])(lambda m, x: x)
    with pytest.raises(SpecError, match="no ONNX text"):
        check_rule(broken)


def test_rule_that_raises_is_caught_where_it_raised() -> None:
    report = check_rule(raises)
    assert "forgotten" in report.failures[0].problem
    assert "test_errors.py" in report.failures[0].problem


def test_rule_that_never_ends_is_caught() -> None:
    report = check_rule(endless)
    assert "without end" in report.failures[0].problem


def test_unknown_effort_suggests() -> None:
    with pytest.raises(SpecError, match="did you mean 'normal'"):
        check_rule(never, effort="norml")


def test_several_rules_in_turn() -> None:
    assert [report.rule for report in check_rules([never, raises])] == ["never", "raises"]
