"""`explain` says where the furthest attempt stopped, naming the real node or value, what was expected and what was found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphopt.io import parse_text
from graphopt.ir import DType, Node, TensorType, Value
from graphopt.match import FLOATING, Declined, Match, Rule, any_of, attr, const, domain, each, op, opt, product, rule, tensor
from graphopt.match.explain import LAST, explain
from graphopt.schema.facts import newest_opset
from tests.match.graphs import model, rule_of

x, y, z = tensor("x"), tensor("y"), tensor("z")
GEMM = rule_of(
    op.Add(op.MatMul(tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))), tensor("c", into=("M", "N"))), dtype=FLOATING
)
CONV = rule_of(op.BatchNormalization(op.Conv(x, const("w")), const("s"), const("b"), const("m"), const("v")))


def reason(asked: Rule, text: str, opset: int = 20) -> str:
    """The furthest reason."""
    return explain(asked, model(text, opset))[0].reason


@pytest.mark.parametrize(
    ("inputs", "body", "why"),
    [
        (
            "float[4,5] a, float[5,3] b, float[2,4,3] c",
            "t = MatMul(a, b)  y = Add(t, c)",
            "c does not provably broadcast into (M, N) = [4, 3]: the shape of 'c' is [2, 4, 3]",
        ),
        (
            "float[4,5] a, float[5,3] b, float[P,3] c",
            "t = MatMul(a, b)  y = Add(t, c)",
            "c does not provably broadcast into (M, N) = [4, 3]: the shape of 'c' is [P, 3]",
        ),
        (
            "float[2,4,5] a, float[5,3] b, float[3] c",
            "t = MatMul(a, b)  y = Add(t, c)",
            "'a' has the shape [2, 4, 5]; x must have rank 2",
        ),
        (
            "int32[4,5] a, int32[5,3] b, int32[3] c",
            "t = MatMul(a, b)  y = Add(t, c)",
            "'y' is int32; what it makes must be one of float32, float16, float64, bfloat16",
        ),
    ],
)
def test_shapes(inputs: str, body: str, why: str) -> None:
    made = "int32" if "int32" in inputs else "float"
    assert reason(GEMM, f"({inputs}) => ({made}[] y) {{ {body} }}") == why


def test_unknown_dimension() -> None:
    graph = model("(float[4,5] a, float[5,3] b, float[3] c) => (float[4,3] y) { t = MatMul(a, b)  y = Add(t, c) }")
    graph.graph.inputs[0].type = TensorType(DType.float32, (None, 5))
    assert explain(GEMM, graph)[0].reason == "'a' has the shape [?, 5]: dimension M of x is not known"


READ = "(float[4,5] a, float[5,3] b, float[3] c) => (float[4,3] y, float[4,3] z%s) { t = MatMul(a, b)  y = Add(t, c)  %s }"


@pytest.mark.parametrize(
    ("more", "body", "why"),
    [
        ("", "z = Relu(t)", "the MatMul's output 't' has several readers: the Add that makes 'y', the Relu that makes 'z'"),
        (", float[4,3] t", "z = Relu(a)", "the MatMul's output 't' is an output of its graph"),
    ],
)
def test_readers(more: str, body: str, why: str) -> None:
    assert reason(GEMM, READ % (more, body)) == why


def test_readers_by_their_names() -> None:
    graph = model(READ % ("", "z = Relu(t)"))
    for node in graph.graph:
        node.name = f"{node.op}_3"
    assert explain(GEMM, graph)[0].reason == "the MatMul's output 't' has several readers: the Add 'Add_3', the Relu 'Relu_3'"


def test_captured_value() -> None:
    text = """(float[4] a, bool b) => (float[4] c, float[4] d) {
        n = Neg(a)
        c = Relu(n)
        d = If(b) <then_branch = t () => (float[4] e) { e = Abs(n) }, else_branch = f () => (float[4] g) { g = Abs(a) }>
    }"""
    assert reason(rule_of(op.Relu(op.Neg(x))), text) == "the Neg's output 'n' is captured by a subgraph"


def test_several_slots_of_one_reader() -> None:
    text = "(float[4] a) => (float[4] c) { n = Neg(a)  c = Add(n, n) }"
    assert reason(rule_of(op.Add(op.Neg(x), y)), text) == "the Neg's output 'n' is read in several slots of the Add that makes 'c'"


def test_shared_call_that_is_read_elsewhere() -> None:
    relu = op.Relu(x)
    text = "(float[4] a) => (float[4] c, float[4] d) { r = Relu(a)  n = Neg(r)  c = Sub(r, n)  d = Abs(r) }"
    assert "what the Relu that makes 'r' makes is read outside the pattern" in reason(rule_of(op.Sub(relu, op.Neg(relu))), text)


def test_overridable_initializer() -> None:
    text = "(float[4] a, float w = {2}) => (float[4] c) { c = Mul(a, w) }"
    for pattern in (op.Mul(x, const("w")), op.Mul(x, 2.0)):
        assert (
            reason(rule_of(pattern), text) == "'w' is an overridable initializer: a caller may feed another value; "
            "--initializers-are-constants makes it a constant"
        )


@pytest.mark.parametrize(
    ("pattern", "text", "why"),
    [
        (
            op.Div(x, const("w")),
            "(float[4] a, float w) => (float[4] c) { c = Div(a, w) }",
            "'w' is an input of its graph; w must be a constant",
        ),
        (
            op.Div(x, const("w")),
            "(float[4] a) => (float[4] c) { n = Neg(a)  c = Div(a, n) }",
            "'n' is computed by a Neg; w must be a constant",
        ),
        (op.Div(x, 2), "(float[4] a) => (float[4] c) <float w = {3}> { c = Div(a, w) }", "'w' is 3.0 (float32), not 2"),
        (
            op.Div(x, 2),
            "(float[2] a) => (float[2] c) <float[2] w = {2, 2}> { c = Div(a, w) }",
            "'w' has the shape [2]; a scalar 2 is wanted",
        ),
        (
            op.Div(x, x),
            "(float[4] a, float[4] b) => (float[4] c) { c = Div(a, b) }",
            "the pattern has 'x' twice; here it is 'a' once and 'b' once",
        ),
        (
            op.Sub(tensor("x", shape=("N",)), tensor("y", shape=("N",))),
            "(float[4] a, float[1] b) => (float[4] c) { c = Sub(a, b) }",
            "'b' has the shape [1]: 1 is not provably N = 4",
        ),
        (
            op.Relu(tensor("x", shape=(3, ...))),
            "(float[4] a) => (float[4] c) { c = Relu(a) }",
            "'a' has the shape [4]: 4 is not provably 3",
        ),
        (
            op.Relu(tensor("x", dtype="float16")),
            "(float[4] a) => (float[4] c) { c = Relu(a) }",
            "'a' is float32; x must be one of float16",
        ),
        (
            op.Clip(x, const("low")),
            "(float[4] a) => (float[4] c) { c = Clip(a) }",
            "the Clip that makes 'c' has 1 input, the pattern wants 2 (x, low)",
        ),
        (
            op.Clip(x),
            "(float[4] a) => (float[4] c) <float lo = {0}> { c = Clip(a, lo) }",
            "the Clip that makes 'c' has 2 inputs, the pattern wants 1 (x)",
        ),
        (
            op.Softmax(x, axis=0),
            "(float[4,4] a) => (float[4,4] c) { c = Softmax(a) }",
            "axis of the Softmax that makes 'c' is -1 (the default); 0 is wanted",
        ),
        (
            op.Softmax(x, axis=attr("axis", where=lambda axis: axis == 0)),
            "(float[4,4] a) => (float[4,4] c) { c = Softmax<axis = 1>(a) }",
            "axis of the Softmax that makes 'c' is 1; a value that meets the rule's condition is wanted",
        ),
        (
            op.Relu(tensor("x", where=lambda value: False)),
            "(float[4] a) => (float[4] c) { c = Relu(a) }",
            "the condition of x does not hold of 'a'",
        ),
        (
            op.Exp(op.Relu(op.Neg(x))),
            "(float[4] a) => (float[4] c) { r = Relu(a)  c = Exp(r) }",
            "'a' is an input of its graph, not made by a Neg",
        ),
        (
            op.Exp(op.Relu(op.Neg(x))),
            "(float[4] a) => (float[4] c) { n = Abs(a)  r = Relu(n)  c = Exp(r) }",
            "'n' is made by an Abs, not by a Neg",
        ),
        (
            op.Abs(op.TopK(x, y).out(1)),
            "(float[4] a) => (float[2] c, int64[2] d) <int64[1] k = {2}> { p, q = TopK(a, k)  c = Abs(p)  d = Abs(q) }",
            "another output of the TopK, 'p', is read by the Abs that makes 'c'",
        ),
        (
            product(x, y, z),
            "(float[4] a, float[4] b) => (float[4] c, float[4] p) { p = Mul(a, b)  c = Mul(p, b) }",
            "the Mul that makes 'c' is not the end of a chain of Mul with 3 operands whose inner results nobody else reads",
        ),
        (
            op.Concat(each(op.Relu(x))),
            "(float[4] a) => (float[8] c) { r = Relu(a)  c = Concat<axis = 0>(r, a) }",
            "not every further input of the Concat that makes 'c' matches *Relu(x), or there is none",
        ),
    ],
)
def test_reasons(pattern: object, text: str, why: str) -> None:
    asked = rule_of(pattern)  # type: ignore[arg-type]  # patterns of several classes
    found = explain(asked, model(text))
    assert why in [one.reason for one in found]


def test_nothing_to_begin_with() -> None:
    [none] = explain(CONV, model("(float[4] a) => (float[4] c) { c = Relu(a) }"))
    assert none.node is None and none.reason == "no node is a BatchNormalization"
    text = "(float[1,2,3] a, float[2] s) => (float[1,2,3] c) { c = BatchNormalization(a, s, s, s, s) }"
    assert explain(CONV, model(text))[0].reason == "no node is a BatchNormalization with an input that a Conv makes"


def test_versions() -> None:
    text = "(float[4] a) => (float[4] c) { c = Relu(a) }"
    old = rule_of(op.Relu(x), since=13, until=17)
    for opset, nearest in ((11, 13), (18, 17)):
        why = f"the rule is for opset 13 to 17 of the default domain; the model's is {opset}; optimize with --opset {nearest}"
        assert reason(old, text, opset) == why
    assert reason(rule_of(op.Relu(x)), text, 6).startswith("rules know the opsets 7 to")
    assert reason(rule_of(op.Relu(x)), text, 6).endswith("the model's is 6; convert it to 7 first, with onnx.version_converter")
    newer = newest_opset() + 1
    assert reason(rule_of(op.Relu(x)), text, newer).endswith(f"the model's is {newer}"), "what is not known cannot be converted"
    flat = "(float[2,3,4] a) => (float[2,3,4] c) { c = Softmax<axis = 1>(a) }"
    why = "at opset 11, says what the newest spelling of Softmax cannot say; optimize with --opset 14"
    assert reason(rule_of(op.Softmax(x)), flat, 11).endswith(why)
    asked = explain(rule_of(domain("own").Look(x), since=2), parse_text(f'<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g {OWN}'))
    assert asked[0].reason == "the rule is for opset 2 and newer of own; the model's is 1"


OWN = "(float[4] a) => (float[4] c) { c = own.Look(a) }"
BUILT = [
    (lambda m, x: m.op.Gelu(x), 17, "Gelu does not exist at opset 17", 20),
    (lambda m, x: m.op.GroupNormalization(x, x, x, num_groups=1), 19, "GroupNormalization is deprecated at opset 19", 21),
    (lambda m, x: m.op.Shape(x, start=1), 14, "Shape of opset 14 has no attribute start (here 1)", 15),
    (lambda m, x: m.op.Pad(x, x, mode="wrap"), 18, "Pad of opset 18 has no mode='wrap'", 19),
    (lambda m, x: m.op.Pad(x, x), 10, "Pad takes pads as an attribute before opset 11, and %a is not constant", 11),
    (lambda m, x: m.op.ConvInteger(x), 17, "ConvInteger of opset 17 has 2 to 4 inputs, not 1", None),
    (lambda m, x: m.domain("ai.onnx.ml").Gelu(x), 17, "the model does not import ai.onnx.ml", None),
]


@pytest.mark.parametrize(("build", "opset", "why", "since"), BUILT)
def test_what_an_opset_cannot_say_names_the_first_that_can(
    build: Callable[[Match, Value], Value], opset: int, why: str, since: int | None
) -> None:
    advice = "" if since is None else f"; optimize with --opset {since}"
    asked = rule(op.Relu(x))(build)
    assert reason(asked, "(float[4] a) => (float[4] c) { c = Relu(a) }", opset) == f"{why}{advice}"


def test_function_that_redefines_an_operator_and_attribute_from_a_caller() -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    g (float[2,3] a) => (float[2,3] c) { c = local.f<axis = 1>(a) }
    <domain: "local", opset_import: ["" : 20]>
    f <axis> (a) => (c) { c = Softmax<axis: int = @axis>(a) }
    """
    found = explain(rule_of(op.Softmax(x, axis=1)), parse_text(text))
    assert found[0].reason == "axis of the Softmax that makes 'c' is given by the caller of the function: nothing is known of it"


def test_the_furthest_attempt_comes_first() -> None:
    text = """(float[4,5] a, float[5,3] b, float[2,5,3] e, float[3] c) => (float[2,4,3] y, float[4,3] z) {
        s = MatMul(a, e)  y = Add(s, c)
        t = MatMul(a, b)  u = Sigmoid(t)  v = Add(t, c)  z = Mul(u, v)
        w = MatMul(a, b)  q = Add(w, c)
    }"""
    found = explain(GEMM, model(text))
    assert [(one.node.output.name if one.node else None, one.part, one.applies) for one in found] == [
        ("q", "", False), ("y", "w", False), ("v", "MatMul(x, w)", False),
    ]  # fmt: skip


def test_of_alternatives_the_furthest() -> None:
    asked = rule_of(op.Relu(any_of(op.Neg(op.Neg(op.Neg(x))), op.Abs(x))))
    text = "(float[4] a) => (float[4] c) { e = Exp(a)  n = Neg(e)  m = Neg(n)  c = Relu(m) }"
    assert reason(asked, text) == "'e' is made by an Exp, not by a Neg"


def test_of_roots_that_are_missing() -> None:
    asked = rule_of(op.Relu(x), op.Neg(x))
    assert reason(asked, "(float[4] a) => (float[4] c) { c = Relu(a) }") == "'a' is not read by a further Neg in the same graph"


ADVICE = "does it return what it makes, or m.no(reason)?"


@rule(op.Relu(op.Neg(x)))
def picky(m: Match, x: Value) -> Value | Declined | None:
    """Relu(Neg(x))  ->  nothing"""
    return None if x.rank == 2 else m.no("the rank of {} is {}, not 3", x, x.rank) if x.rank != 3 else x


@pytest.mark.parametrize(
    ("shape", "why"),
    [("4", "the rank of %a is 1, not 3"), ("4,4", f"all matches, but the rule's function gave None: {ADVICE}"), ("4,4,4", "it applies")],
)
def test_what_the_rule_itself_says(shape: str, why: str) -> None:
    graph = model(f"(float[{shape}] a) => (float[{shape}] c) {{ n = Neg(a)  c = Relu(n) }}")
    [found] = explain(picky, graph)
    assert (found.reason, found.applies, found.part) == (why, why == "it applies", "")
    assert found.step >= LAST


def test_a_driver_brings_its_own_attempt() -> None:
    graph = model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Relu(n) }")

    def attempt(roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: object) -> Declined:
        return Declined("the type of {} would change", (roots[0].output,))

    assert explain(picky, graph, attempt)[0].reason == "the type of %c would change"


def test_optional_input() -> None:
    asked = rule_of(op.Conv(x, const("w"), opt(const("b"))))
    text = "(float[1,3,4,4] a, float[2] b) => (float[1,2,4,4] c) <float[2,3,1,1] w = {1,2,3,4,5,6}> { c = Conv(a, w, b) }"
    assert reason(asked, text) == "'b' is an input of its graph; b must be a constant"


def test_an_explanation_prints_as_a_sentence() -> None:
    [found] = explain(rule_of(op.Relu(tensor("x", rank=2))), model("(float[4] a) => (float[4] c) { c = Relu(a) }"))
    assert str(found) == "the-rule at the Relu that makes 'c': 'a' has the shape [4]; x must have rank 2 (in x)"
