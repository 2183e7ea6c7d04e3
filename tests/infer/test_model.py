"""Whole models: what is declared is trusted at the inputs only; loops, branches and functions are looked into."""

from __future__ import annotations

import onnx
from onnx import parser

import graphopt.io
from graphopt.infer import infer_model, infer_node
from graphopt.ir import Dim, DType, Model, SequenceType, TensorType, Value
from tests.infer.inferring import Warnings, inferred

N = Dim.symbol("N")


def value(model: Model, name: str) -> Value:
    for graph in model.graphs():
        for made in [*graph.inputs, *(output for node in graph for output in node.outputs)]:
            if made.name == name:
                return made
    raise AssertionError(name)


def printed(model: Model, name: str) -> str:
    return str(value(model, name).type)


HEAD = '<ir_version: 10, opset_import: ["" : 20, "custom" : 1, "local" : 1]>'


def test_types_follow_from_the_inputs() -> None:
    model = inferred(HEAD + """ g (float[N, 3] x, float[3, 4] w) => (float[N, 4] y) { t = MatMul(x, w)
        y = Relu(t) }""")
    assert value(model, "t").type == value(model, "y").type
    assert value(model, "t").shape == (N, 4)


def test_stale_declarations_are_dropped_with_a_warning() -> None:
    warnings = Warnings()
    model = inferred(HEAD + """ g (float[8, 3] x) => (float[N, 3] y) <float[2, 3] t, float[2, 3] u> { t = Relu(x)
        u = Neg(t)
        y = Abs(u) }""", warnings)
    assert [printed(model, name) for name in "tuy"] == ["float32[8, 3]"] * 3
    assert len(warnings.messages) == 2
    assert "float32[2, 3]" in warnings.messages[0]
    assert "float32[8, 3]" in warnings.messages[0]


def test_declared_sizes_refine_nothing_that_onnx_computes() -> None:
    """The static size of an exporter's dummy input may still stand in value_info."""
    model = inferred(HEAD + """ g (float[N, 3] x, int64[2] s) => (y) <float[1, 3] t> { t = Reshape(x, s)
        y = Relu(t) }""")
    assert printed(model, "t") == printed(model, "y") == "float32[?t.0, ?t.1]"


def test_unknown_operators_keep_what_is_declared_without_symbols() -> None:
    model = inferred(HEAD + """ g (float[N, 3] x) => (y) <float[N, 5] t, float[unk__0, 5] u> { t, u, v = custom.Op(x)
        y = Add(t, u) }""")
    assert printed(model, "t") == "float32[?t.0, 5]"
    assert printed(model, "y") == "float32[?y.0, 5]"
    assert value(model, "v").type is None


def test_unknown_sizes_get_symbols_that_are_provably_equal_downstream() -> None:
    model = inferred(HEAD + """ g (float[N, 3] x, float[?, 3] z) => (b, c) { a = NonZero(x)
        b = Neg(a)
        c = Relu(z) }""")
    assert value(model, "a").type == value(model, "b").type
    assert printed(model, "a") == "int64[2, ?a.1]"
    assert printed(model, "c") == "float32[?z.0, 3]"


def test_branches_are_joined() -> None:
    model = inferred(HEAD + """ g (bool c, float[N, 3] x, float[2, 3] z) => (y, k) {
        y, k = If (c) <then_branch = t () => (a, i) { a = Relu(x)
            i = NonZero(x) }, else_branch = e () => (b, j) { b = Neg(z)
            j = NonZero(z) }> }""")
    assert printed(model, "a") == "float32[N, 3]"
    assert printed(model, "y") == "float32[?y.0, 3]"
    assert printed(model, "i") == "int64[2, ?]"  # a branch's names may occur in the other branch as well
    assert printed(model, "k") == "int64[2, ?k.1]"


def test_a_loop_may_change_what_it_carries() -> None:
    model = inferred(HEAD + """ g (int64 n, bool c, float[1, 3] x, float[N] s) => (y, t, z) {
        y, t, z = Loop (n, c, x, s) <body = b (int64 i, bool d, float[1, 3] a, float[N] r) => (bool e, float g, float h, float k) {
            e = Identity(d)
            g = Concat <axis = 0> (a, a)
            h = Relu(r)
            k = ReduceSum <keepdims = 0> (h) }> }""")
    assert printed(model, "a") == "float32[?, 3]"
    assert printed(model, "y") == "float32[?y.0, 3]"
    assert printed(model, "t") == "float32[N]"
    assert printed(model, "z") == "float32[?z.0]"
    assert printed(model, "i") == "int64[]"


def test_scan_slices_and_stacks() -> None:
    model = inferred(HEAD + """ g (float[4] s, float[N, 4] x) => (t, y) {
        t, y = Scan <num_scan_inputs = 1, body = b (float[4] p, float[4] q) => (float[4] r, float[4] u) {
            r = Add(p, q)
            u = Identity(r) }> (s, x) }""")
    assert printed(model, "q") == "float32[4]"
    assert printed(model, "t") == "float32[4]"
    assert printed(model, "y") == "float32[N, 4]"


FUNCTION = """ <domain: "local", opset_import: ["" : 20]> Twice (a) => (b) { c = Add(a, a)
    b = Relu(c) }"""


def test_functions_have_the_type_that_all_callers_agree_on() -> None:
    model = inferred(HEAD + """ g (float[N, 3] x, float[5, 3] z) => (y, w) { y = local.Twice(x)
        w = local.Twice(z) }""" + FUNCTION)
    assert printed(model, "y") == "float32[N, 3]"
    assert printed(model, "w") == "float32[5, 3]"
    assert printed(model, "c") == printed(model, "a") == "float32[?, 3]"
    call = next(iter(model.graph))
    assert infer_node(call) == (value(model, "b").type,)


def test_functions_may_be_nested_and_never_called() -> None:
    model = inferred(HEAD + " g (float[N] x) => (y) { y = local.Outer(x) }" + """
    <domain: "local", opset_import: ["" : 20, "local" : 1]> Outer (p) => (q) { q = local.Twice(p) }
    <domain: "local", opset_import: ["" : 20]> Unused (u) => (v) { v = Relu(u) }""" + FUNCTION)
    assert printed(model, "y") == printed(model, "q") == printed(model, "c") == "float32[N]"
    assert value(model, "v").type is None


def test_sequences_are_followed() -> None:
    model = inferred(HEAD + """ g (float[N, 3] x) => (y) { s = SequenceConstruct(x, x)
        i = Constant <value_int = 0> ()
        y = SequenceAt(s, i) }""")
    assert value(model, "s").type == SequenceType(TensorType(DType.float32, (N, 3)))
    assert printed(model, "y") == "float32[N, 3]"


def test_an_opset_that_onnx_does_not_know_leaves_what_is_declared() -> None:
    model = inferred('<ir_version: 10, opset_import: ["" : 99]> g (float[2] x) => (float[2] y) { y = Relu(x) }')
    assert printed(model, "y") == "float32[2]"


def test_inferring_twice_changes_nothing() -> None:
    text = HEAD + """ g (float[?, 3] x, int64[2] s) => (y) <float[7, 5] t> { t = custom.Op(x)
        u = Add(t, x)
        y = Reshape(u, s) }"""
    model = inferred(text)
    first = [made.type for node in model.graph for made in node.outputs]
    infer_model(model)
    assert [made.type for node in model.graph for made in node.outputs] == first


def test_signature_stays_as_declared() -> None:
    """What a caller sees is written as it was, whatever was inferred."""
    message = parser.parse_model(HEAD + " g (float[?, 3] x) => (float[9, 3] y) { y = Relu(x) }")
    model = graphopt.io.load(message)
    infer_model(model, Warnings())
    written: onnx.ModelProto = graphopt.io.to_proto(model)
    assert written.graph.input[0] == message.graph.input[0]
    assert written.graph.output[0] == message.graph.output[0]


def test_long_chains_are_linear() -> None:
    """Deep graphs need no recursion, and nothing is asked of onnx for common operators."""
    body = "\n".join(f"v{i + 1} = {'Relu' if i % 2 else 'Neg'}(v{i})" for i in range(5000))
    model = inferred(f"{HEAD} g (float[N] v0) => (v5000) {{ {body} }}")
    assert value(model, "v5000").type == value(model, "v0").type




def test_an_operand_that_has_to_be_there_and_is_not_is_a_warning() -> None:
    warnings = Warnings()
    model = inferred(f"{HEAD} g (float[1] c) => (float[1] y) {{ y = Sub(, c) }}", warnings)
    assert value(model, "y").type is None or printed(model, "y")
    assert any("has an empty string" in message for message in warnings.messages)
