"""What cannot be checked is an error that helps the author, never a silent pass."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from graphopt.errors import SpecError
from graphopt.ir.graph import Value
from graphopt.ir.tensor import Array
from graphopt.match.language import const, op, rest, tensor
from graphopt.match.match import Match
from graphopt.match.rule import Outcome, Rule, rule
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


def asks(c: Array) -> bool:
    raise ZeroDivisionError("badly put")


@rule(op.Neg(const("c", where=asks)), keeps_type=True)
def raises_while_matching(m: Match, c: Value) -> Outcome:
    return c


@rule(op.Neg(op.Neg(x)), keeps_type=True)
def raises_at_odd_ranks(m: Match, x: Value) -> Outcome:
    if x.shape is not None and len(x.shape) % 2:
        np.linalg.inv(np.zeros((2, 2)))
    return x


@rule(op.Neg(op.Neg(x)), keeps_type=True)
def leaves(m: Match, x: Value) -> Outcome:
    sys.exit("bad thing")


def line_of(words: str) -> int:
    return 1 + next(i for i, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines()) if words in line)


@pytest.mark.parametrize(
    ("broken", "says", "line"),
    [
        (raises, "KeyError: 'forgotten'", 'KeyError("forgotten")'),
        (raises_while_matching, "raised ZeroDivisionError: badly put", 'ZeroDivisionError("badly put")'),
        (raises_at_odd_ranks, "LinAlgError: Singular matrix", "np.linalg.inv("),
        (leaves, "SystemExit: bad thing", "sys.exit("),
    ],
    ids=str,
)
def test_rule_that_raises_is_caught_where_it_raised(broken: Rule, says: str, line: str) -> None:
    problem = check_rule(broken).failures[0].problem
    assert says in problem
    assert problem.endswith(f"(raised at {__file__}:{line_of(line)})")


def test_a_rule_that_raises_has_not_fired() -> None:
    report = check_rule(raises)
    count = report.variants.tried
    assert (report.variants.fired, report.variants.raised) == (0, count) and count
    assert str(report).startswith(
        f"raises: FAILS (exact; fired in 0 of {count} variants and 0 of 0 near misses; raised in {count} variants and 0 near misses)\n"
    )
    assert report.as_json()["groups"] == {"variant": {"tried": count, "fired": 0, "raised": count}}
    assert not report.silent


def test_a_rule_that_raises_now_and_then_has_fired_elsewhere() -> None:
    report = check_rule(raises_at_odd_ranks)
    assert report.variants.fired and report.variants.raised
    assert report.variants.fired + report.variants.raised == report.variants.tried


def test_rule_that_never_ends_is_caught() -> None:
    report = check_rule(endless)
    assert "without end" in report.failures[0].problem


def test_unknown_effort_suggests() -> None:
    with pytest.raises(SpecError, match="did you mean 'normal'"):
        check_rule(never, effort="norml")


def test_several_rules_in_turn() -> None:
    assert [report.rule for report in check_rules([never, raises])] == ["never", "raises"]
