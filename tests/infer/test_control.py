"""Branches that are decided, loops whose length is known, sequences that are seen to be made; and what nodes are complained of."""

from __future__ import annotations

import pytest

from graphopt.ir import Model
from tests.infer import inferring
from tests.infer.inferring import Warnings

HEAD = '<ir_version: 10, opset_import: ["" : 20, "custom" : 1]>'


def inferred(text: str, warnings: Warnings | None = None) -> Model:
    return inferring.inferred(HEAD + text, warnings)


def outputs(text: str) -> list[str]:
    return [str(value.type) for value in inferred(text).graph.outputs]


BRANCHES = """then_branch = t () => (a) { a = Relu(x) }, else_branch = e () => (b) { b = Neg(z) }"""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("c = Constant <value = bool {1}> ()", "float32[N, 3]"),
        ("c = Constant <value = bool {0}> ()", "float32[2]"),
        ("c = Identity (d)", "float32"),
        ("r = Size (z) k = Constant <value_int = 2> () c = Equal (r, k)", "float32[N, 3]"),
    ],
)
def test_a_decided_branch_is_taken(condition: str, expected: str) -> None:
    assert outputs(f" g (bool d, float[N, 3] x, float[2] z) => (y) {{ {condition} y = If (c) <{BRANCHES}> }}") == [expected]


def looped(count: str, condition: str = "", goes_on: str = "f = Identity (e)", declared: str = "float") -> str:
    """The type of a loop's scan output, of which the body declares something."""
    begins = "c" if condition else ""
    (type,) = outputs(f""" g (float[N, 3] x, bool d, int64 k) => (y) {{ {count} {condition}
        y = Loop (m, {begins}) <body = b (int64 i, bool e) => (bool f, {declared} s) {{ {goes_on} s = Relu (x) }}> }}""")
    return type


NEVER_ENDS = "c = Constant <value = bool {1}> ()"
SIZE = "s = Shape <start = 0, end = 1> (x) m = Squeeze (s)"


@pytest.mark.parametrize(
    ("count", "condition", "goes_on", "expected"),
    [
        ("m = Constant <value_int = 4> ()", NEVER_ENDS, "f = Identity (e)", "float32[4, N, 3]"),
        ("m = Constant <value_int = -4> ()", NEVER_ENDS, "f = Identity (e)", "float32"),
        ("m = Constant <value_int = 4> ()", NEVER_ENDS, "f = Constant <value = bool {1}> ()", "float32[4, N, 3]"),
        ("m = Constant <value_int = 4> ()", "", "f = Identity (e)", "float32[4, N, 3]"),
        ("m = Constant <value_int = 4> ()", NEVER_ENDS, "z = Constant <value_int = 2> () f = Less (i, z)", "float32[?y.0, N, 3]"),
        ("m = Constant <value_int = 4> ()", "c = Identity (d)", "f = Identity (e)", "float32"),
        ("m = Constant <value_int = 4> ()", "c = Constant <value = bool {0}> ()", "f = Not (e)", "float32"),
        ("m = Identity (k)", NEVER_ENDS, "f = Identity (e)", "float32"),
        (SIZE, NEVER_ENDS, "f = Identity (e)", "float32"),
    ],
)
def test_a_loop_that_never_stops_early_is_as_long_as_it_is_told(count: str, condition: str, goes_on: str, expected: str) -> None:
    assert looped(count, condition, goes_on) == expected


@pytest.mark.parametrize(
    ("count", "declared", "expected"),
    [
        ("m = Constant <value_int = -4> ()", "float[A, 3]", "float32[0, ?y.1, 3]"),
        ("m = Identity (k)", "float[A, 3]", "float32[?y.0, ?y.1, 3]"),
        ("m = Identity (k)", "float[A, B]", "float32[?y.0, ?y.1, ?y.2]"),
        ("m = Identity (k)", "float[A, 5]", "float32[?y.0, ?y.1, ?y.2]"),  # it is declared falsely
        ("m = Identity (k)", "float[A]", "float32"),
        (SIZE, "float[A, 3]", "float32[N, ?y.1, 3]"),
        ("m = Constant <value_int = 2> ()", "float[A, 5]", "float32[2, N, 3]"),
    ],
)
def test_of_a_loop_that_may_not_run_at_all_the_declared_numbers_are_known(count: str, declared: str, expected: str) -> None:
    assert looped(count, NEVER_ENDS, declared=declared) == expected


def test_elements_of_sequences_are_those_that_were_put_in() -> None:
    text = """ g (float[N, 3] x, float[5, 3] z) => (a, b, c, d, e) { k = Constant <value_int = 1> () s = SequenceConstruct (x, z)
        a = SequenceAt (s, k) parts = Constant <value = int64[2] {2, 3}> () t = SplitToSequence (z, parts) b = SequenceAt (t, k)
        two = Constant <value_int = 2> () u = SplitToSequence (x, two) c = SequenceAt (u, k)
        four = Constant <value_int = 5> () v = SplitToSequence (z, four) d = SequenceAt (v, k)
        w = SplitToSequence <axis = 1, keepdims = 0> (x) e = SequenceAt (w, k) }"""
    assert outputs(text) == ["float32[5, 3]", "float32[3, 3]", "float32[?c.0, 3]", "float32[5, 3]", "float32[N]"]


def test_nodes_that_cannot_be_right_are_named() -> None:
    warnings = Warnings()
    model = inferred(""" g (float[2, 3] x, float[4, 5] z, string[2] s) => (y, v, w, q) { y = MatMul (x, z) v = Relu (y)
        w = custom.Op (x) q = NonZero (w) }""", warnings)
    (message,) = warnings.messages
    assert message.startswith("%y = MatMul(%x, %z)")
    assert "nothing is known of what it gives" in message
    assert model.graph.outputs[0].type is None


def test_only_a_few_nodes_are_named() -> None:
    warnings = Warnings()
    inferred(" g (float[2, 3] x, float[4, 5] z) => (y0) { " + " ".join(f"y{i} = MatMul (x, z)" for i in range(40)) + " }", warnings)
    assert len(warnings.messages) == 5
    assert "further" in warnings.messages[-1]
