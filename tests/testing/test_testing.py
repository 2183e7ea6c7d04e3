"""`graphopt.testing`: what the author of a plug-in builds tests from says no when it should, and why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx.parser
import pytest
from hypothesis import HealthCheck, find, given, settings

import graphopt.testing
from graphopt import InternalError, Match, ModelError, RulePass, SpecError, Value, io, op, rule, tensor
from graphopt.match import FLOATING, Declined, RuleError
from graphopt.testing import Tolerance, assert_same, check_golden, check_rule, fires, models, optimized, parse, why_not
from graphopt.testing.running import Source
from graphopt.verify.selfcheck.validity import check
from tests.pipeline.fakes import FuseRelu

TEXT = '<ir_version: 10, opset_import: ["" : 20]> g (float[N,3] x) => (float[N,3] y) { n = Neg(x) y = Max(x, n) }'
ABS = TEXT.replace("n = Neg(x) y = Max(x, n)", "y = Abs(x)")
FEEDS = [{"x": [[1.0, -2.0, 3.0]]}]
WRONG = TEXT.replace("Max", "Min")


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), dtype=FLOATING, exactness="rounding")
def right(m: Match, x: Value) -> Value:
    """Max(x, Neg(x))  ->  Abs(x)"""
    return m.op.Abs(x)


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), dtype=FLOATING)
def wrong(m: Match, x: Value) -> Value:
    """Max(x, Neg(x))  ->  x"""
    return x


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), name="unwilling")
def unwilling(m: Match, x: Value) -> Declined:
    """Never."""
    return m.no("{} is not to my taste", x)


# ---- models as tests give them


@pytest.mark.parametrize("form", ["text", "text file", "file", "path as text", "bytes", "proto", "model"])
def test_a_model_may_be_given_in_many_ways(form: str, tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(TEXT)
    (tmp_path / "model.onnxtxt").write_text(f"# a comment\n{TEXT}")
    onnx.save(proto, tmp_path / "model.onnx")
    sources: dict[str, Source] = {
        "text": TEXT, "text file": tmp_path / "model.onnxtxt", "file": tmp_path / "model.onnx",
        "path as text": str(tmp_path / "model.onnx"), "bytes": proto.SerializeToString(), "proto": proto, "model": io.load(proto),
    }  # fmt: skip
    source = sources[form]
    assert [node.op_type for node in parse(source).graph.node] == ["Neg", "Max"]
    assert fires(right, source) == 1
    assert_same(source, optimized(source, "level1"))
    assert [node.op_type for node in parse(source).graph.node] == ["Neg", "Max"], "it is left alone"


@pytest.mark.parametrize("source", ["no such file", "nowhere.onnxtxt", "this => is no model", b"\xff\xff"])
def test_what_is_no_model_is_a_model_error(source: str | bytes) -> None:
    with pytest.raises(ModelError):
        parse(source)


# ---- rules


def test_check_rule() -> None:
    report = check_rule(right)
    assert report.ok
    assert report.variants.fired
    with pytest.raises(AssertionError, match=r"(?s)^wrong: FAILS \(exact; .*fed: x = .*expected: .*computed: "):
        check_rule(wrong)
    with pytest.raises(SpecError, match="there is no effort 'huge'"):
        check_rule(right, effort="huge")


def test_fires() -> None:
    assert fires(right, TEXT) == 1
    assert fires(right, WRONG) == 0
    assert fires(unwilling, TEXT) == 0
    assert fires(FuseRelu(), TEXT.replace("n = Neg(x) y = Max(x, n)", "a = Relu(x) b = Relu(a) y = Relu(b)")) == 2


def test_a_rule_that_raises_is_named_with_its_place() -> None:
    @rule(op.Max(tensor("x"), tensor("y")))
    def failing(m: Match, x: Value) -> Value:
        raise KeyError("nothing")

    place = r"the rule failing \(.*test_testing.py:\d+\) raised KeyError at %y = Max"
    with pytest.raises(RuleError, match=place):
        why_not(failing, TEXT)
    with pytest.raises(InternalError, match=r"the pass failing failed on graph .* at %y = Max.*: KeyError: 'nothing'"):
        fires(failing, TEXT)


def test_why_not() -> None:
    assert why_not(right, WRONG) == "right: no node is a Max"
    assert why_not(unwilling, TEXT) == "unwilling at the Max that makes 'y': %x is not to my taste"
    other = TEXT.replace("Max(x, n)", "Max(m, n)").replace("n = Neg(x)", "m = Abs(x) n = Neg(x)")
    assert why_not(right, other).startswith("right at the Max that makes 'y': the pattern has 'x' twice; ")
    with pytest.raises(AssertionError, match=r"(?s)right at the Max that makes 'y': it applies\n.*y = Max \(x, n\)"):
        why_not(right, TEXT)
    assert why_not(RulePass.of("pass-of-one", unwilling), TEXT) == "%x is not to my taste"


def test_optimized_checks_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="no pass is called 'level-1'"):
        optimized(TEXT, "level-1")
    broken = TEXT.replace("Max(x, n)", "Softmax<axis = 7>(n)")
    with pytest.raises(InternalError, match=r"(?s)what the pipeline made is no valid ONNX: .*axis"):
        optimized(broken, "")


@pytest.mark.parametrize("domain", ["ai.onnx.ml", "com.example"])
def test_a_domain_that_no_node_uses_hides_no_fault(domain: str) -> None:
    broken = TEXT.replace("Max(x, n)", "Softmax<axis = 7>(n)").replace('"" : 20', f'"" : 20, "{domain}" : 1')
    with pytest.raises(InternalError, match=r"(?s)what the pipeline made is no valid ONNX: .*axis"):
        optimized(broken, "")


def test_what_onnx_does_not_know_passes() -> None:
    stranger = TEXT.replace('"" : 20', '"" : 20, "com.example" : 1')
    assert optimized(stranger.replace("n = Neg(x)", "n = com.example.Own(x)"), "").graph.node
    inside = "c = Constant<value_int = 1>() b = Cast<to = 9>(c) n = If(b)<then_branch = t () => (u) { u = com.example.Own(x) }, "
    assert optimized(stranger.replace("n = Neg(x)", inside + "else_branch = e () => (v) { v = Neg(x) }>"), "").graph.node
    learned = TEXT.replace('"" : 20', '"" : 20, "ai.onnx.ml" : 3').replace("n = Neg(x)", "n = ai.onnx.ml.Scaler<nonsense = 1>(x)")
    with pytest.raises(InternalError, match="nonsense"):
        optimized(learned, "")


# ---- comparison


def test_assert_same() -> None:
    assert assert_same(TEXT, ABS).agrees
    with pytest.raises(AssertionError, match=r"(?s)different: .*tolerance float32: 0.1 % of each value.*before:.*Max.*after:.*Min"):
        assert_same(TEXT, WRONG)
    with pytest.raises(AssertionError, match="elements have other bits"):
        assert_same(TEXT, ABS, exact=True)
    with pytest.raises(AssertionError, match="signature: "):
        assert_same(TEXT, ABS.replace("y", "z"))


def test_assert_same_with_a_tolerance_of_the_caller() -> None:
    more = TEXT.replace("Max(x, n)", "Max(x, m)").replace("{ n = Neg(x)", "<float k = {1.01}> { n = Neg(x) m = Mul(n, k)")
    with pytest.raises(AssertionError):
        assert_same(TEXT, more)
    assert assert_same(TEXT, more, tolerance=Tolerance(rtol=0.02, atol=0.0, floor=0.0, scale=0.0), feeds=FEEDS).agrees


def test_what_cannot_be_decided_is_no_success() -> None:
    random = TEXT.replace("y = Max(x, n)", "y = RandomNormalLike(n)")
    with pytest.raises(AssertionError, match="not comparable"):
        assert_same(random, random)
    assert not assert_same(random, random, must_decide=False).agrees


# ---- golden files

GOLDEN = """\
# RUN: onnx-opt %s -p right --plugin tests.testing.rules | filecheck %s
<ir_version: 10, opset_import: ["" : 20]>
# CHECK-LABEL: first (
first (float[N] x) => (float[N] y) {
   # CHECK: y = Abs (x)
   n = Neg(x)
   y = Max(n, x)
}
# -----
# CHECK-LABEL: second (
# WHY right: has 'x' twice; here it is 'x' once
second (float[N] x, float[N] z) => (float[N] y) {
   # CHECK: y = Max
   n = Neg(z)
   y = Max(n, x)
}
"""
Golden = Callable[[str], Path]


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    """Writes a golden file."""

    def write(text: str) -> Path:
        (tmp_path / "golden.onnxtxt").write_text(text)
        return tmp_path / "golden.onnxtxt"

    return write


def test_a_golden_file_that_is_right(golden: Golden) -> None:
    check_golden(golden(GOLDEN))
    check_golden(golden(GOLDEN.replace(" --plugin tests.testing.rules", "")), plugins=["tests.testing.rules"])
    check_golden(golden(GOLDEN.replace("-p right", "--split-input-file --pass-pipeline='right'")))


@pytest.mark.parametrize(
    ("change", "to", "error", "why"),
    [
        ("y = Abs (x)", "y = Relu (x)", AssertionError, r"(?s)Relu \(x\).*second \(float"),
        ("has 'x' twice", "is bored", AssertionError, r"golden.onnxtxt: right should say \"is bored; here.*; it says \"right at the Max"),
        ("# RUN", "# RUM", SpecError, "golden.onnxtxt: has no line that says what to run: # RUN: onnx-opt %s -p PIPELINE"),
        ("-p right", "", SpecError, "golden.onnxtxt: the RUN line names no passes"),
        ("# RUN", "# RUN: onnx-opt %s -p right | filecheck %s\n# RUN", SpecError, "golden.onnxtxt: has several RUN lines, one is run"),
        ("# RUN", "# RUN nothing\n# RUN", SpecError, "golden.onnxtxt:1: '# RUN nothing' is not understood; write # RUN: onnx-opt %s"),
        ("# RUN", "# WHY right nonsense\n# RUN", SpecError, "golden.onnxtxt:1: '# WHY right nonsense' is not understood; write # WHY"),
        ("-p right", "-p right --quickly", SpecError, "golden.onnxtxt: --quickly in the RUN line is not understood"),
        ("-p right", "-p rihgt", SpecError, "no pass is called 'rihgt'; did you mean 'right'?"),
        ("Neg(z)", "Neg(z", ModelError, "the text is no ONNX model"),
    ],
)
def test_a_golden_file_that_is_wrong(golden: Golden, change: str, to: str, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        check_golden(golden(GOLDEN.replace(change, to)))


def test_a_golden_file_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnxtxt: cannot be read"):
        check_golden("nowhere.onnxtxt")


# ---- random models

QUIET = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@given(models())
@settings(QUIET, max_examples=25)
def test_random_models_are_valid_and_not_broken_by_level_1(text: str) -> None:
    check(parse(text))
    assert_same(text, optimized(text, "level1"), must_decide=False)


def test_models_of_a_rule_are_those_on_which_it_fires() -> None:
    fired: list[int] = []

    @given(models(right))
    @settings(QUIET, max_examples=30)
    def collect(text: str) -> None:
        fired.append(fires(right, text))

    collect()
    assert sum(map(bool, fired)) >= 8
    smallest = find(models(right), lambda text: fires(right, text) > 0, settings=settings(QUIET, max_examples=200))
    assert len(parse(smallest).graph.node) == 2


# ---- packages that are not there


@pytest.mark.parametrize(
    ("package", "call"), [("filecheck", "check_golden(PATH)"), ("hypothesis", "models()")], ids=["filecheck", "hypothesis"]
)
def test_a_missing_package_is_named_with_what_to_install(golden: Golden, package: str, call: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\nfrom graphopt.testing import *\nPATH = {str(golden(GOLDEN))!r}\n"
        f"try: {call}\nexcept ImportError as error: print(error, error.name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    name = call.partition("(")[0]
    assert done.stdout == f"graphopt.testing.{name} needs the package {package}: pip install 'graphopt[test]' {package}\n", done.stderr


def test_importing_it_imports_no_test_runner_and_nothing_heavy() -> None:
    heavy = ("pytest", "hypothesis", "filecheck", "onnx", "numpy", "onnxruntime")
    program = f"import sys, graphopt.testing; print([name for name in {heavy} if name in sys.modules])"
    program += "; from graphopt.testing import *; print([name for name in ('pytest', 'hypothesis', 'filecheck') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


def test_all_of_it_is_there_by_name() -> None:
    assert set(graphopt.testing.__all__) <= set(dir(graphopt.testing))
    for name in graphopt.testing.__all__:
        assert getattr(graphopt.testing, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'check_rules'"):
        graphopt.testing.check_rules  # type: ignore[attr-defined]  # noqa: B018 -- the point is what happens then
