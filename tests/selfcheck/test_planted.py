"""The prover is proved: rules with a planted mistake are caught, with a small model as evidence; right ones pass."""

from __future__ import annotations

from functools import cache

import onnx
import pytest

from graphopt.match.rule import Rule
from graphopt.verify.selfcheck import RuleReport, check_rule
from graphopt.verify.selfcheck.cases import Case
from graphopt.verify.selfcheck.judging import judge
from graphopt.verify.selfcheck.values import Kind
from tests.selfcheck import planted
from tests.selfcheck.planted import EITHER, RIGHT, WRONG


@cache
def checked(rule: Rule) -> RuleReport:
    return check_rule(rule)


def is_spelled_out(text: str) -> bool:
    """Whether a printed model can be read again: onnx spells no NaN or infinity, and float16 and bool tensors only from 1.23 on."""
    return "nan" not in text and "inf" not in text and "= ..." not in text


def name_of(rule: Rule) -> str:
    return rule.name


@pytest.mark.parametrize("rule", WRONG, ids=name_of)
def test_wrong_rule_is_caught(rule: Rule) -> None:
    report = checked(rule)
    assert not report.ok
    assert not report.error, "caught by a counter-example, not for want of one"
    for found in report.failures:
        if is_spelled_out(found.text):
            assert 1 <= len(onnx.parser.parse_model(found.text).graph.node) <= 12, "reduced"
        assert found.text in "\n".join(line.removeprefix("      ") for line in str(report).splitlines())


@pytest.mark.parametrize("rule", WRONG, ids=name_of)
def test_the_smallest_counterexample_comes_first(rule: Rule) -> None:
    """Fewest nodes, then fewest elements of what is stored and fed."""
    sizes = [found.size for found in checked(rule).failures]
    assert sizes == sorted(sizes)
    found = checked(rule).failures[0]
    if is_spelled_out(found.text):
        assert found.size[0] == len(onnx.parser.parse_model(found.text).graph.node)


@pytest.mark.parametrize("rule", WRONG, ids=name_of)
def test_counterexample_fails_when_read_back(rule: Rule) -> None:
    """What is printed is the failure itself: parsed again and fed what is printed, it fails again."""
    found = checked(rule).failures[0]
    if not is_spelled_out(found.text):
        return
    case = Case(onnx.parser.parse_model(found.text), found.feeds, {}, "")
    assert judge(rule, case, 0, only=True).problem is not None


@pytest.mark.parametrize("rule", RIGHT, ids=name_of)
def test_right_rule_holds(rule: Rule) -> None:
    report = checked(rule)
    assert report.ok, str(report)
    assert report.variants.fired
    assert report.near_misses.tried > 30


@pytest.mark.parametrize("rule", EITHER, ids=name_of)
def test_unguarded_rule_is_refused_or_caught(rule: Rule) -> None:
    """An operator that a rule builds past the builder: the engine refuses it, or the check shows where it does not exist."""
    report = checked(rule)
    assert report.ok or "no valid model" in report.failures[0].problem


@pytest.mark.parametrize("group", ["second reader", "inner value is an output", "captured by a subgraph"])
def test_engine_guards_inner_values(group: str) -> None:
    """No rule asks who else reads its inner values: the engine refuses wherever somebody does."""
    for rule in (planted.relu_relu, planted.add_neg_to_sub, planted.matmul_add_to_gemm, planted.transposes):
        tally = checked(rule).groups[group]
        assert tally.tried > 0
        assert tally.fired == 0, rule.name


def test_engine_guards_overridable_constants() -> None:
    """A const leaf never matches an initializer that a caller may override."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[3] x, float e) => (float[3] y) <float e = {2}> { y = Pow(x, e) }"""
    model = onnx.parser.parse_model(text)
    assert len(model.graph.input) == 2
    assert judge(planted.pow_two_to_mul, Case(model, {}, {"e": Kind()}, ""), 0).fired == 0
    del model.graph.input[1]
    assert judge(planted.pow_two_to_mul, Case(model, {}, {}, ""), 0).fired == 1


def test_what_is_wrong_with_a_commuted_sub() -> None:
    found = checked(planted.add_neg_to_commuted_sub).failures[0]
    assert [node.op_type for node in found.model.graph.node] == ["Neg", "Add"]
    assert found.after is not None
    assert [node.op_type for node in found.after.graph.node] == ["Sub"]
    (expected,), (actual,) = found.expected.values(), found.actual.values()
    assert expected.tolist() != actual.tolist()


@pytest.mark.parametrize(
    ("rule", "group"),
    [(planted.pow_about_two_to_mul, "another constant"), (planted.add_neg_to_commuted_sub, "variant")],
    ids=str,
)
def test_where_it_is_caught(rule: Rule, group: str) -> None:
    assert group in {found.group for found in checked(rule).failures}


def test_same_seed_same_report() -> None:
    def reported(rule: Rule, seed: int) -> dict[str, object]:
        return check_rule(rule, seed=seed).as_json()

    assert reported(planted.matmul_add_to_gemm, 0) == checked(planted.matmul_add_to_gemm).as_json()
    assert reported(planted.pow_any_to_mul, 0) == checked(planted.pow_any_to_mul).as_json()
    assert reported(planted.matmul_add_to_gemm, 4)["groups"] != checked(planted.matmul_add_to_gemm).as_json()["groups"]


def test_report_names_file_and_line() -> None:
    report: RuleReport = checked(planted.mul_zero_to_zero)
    assert f"{planted.__file__}:{planted.mul_zero_to_zero.line}" in str(report)
    assert report.as_json()["ok"] is False
