"""What the engine refuses by itself, whatever a rule asks for: each guard of the driver says no and why, and nothing is edited."""

from __future__ import annotations

import pytest

from graphopt.infer import infer_model
from graphopt.io import parse_text
from graphopt.ir import DType, Editor, Node, Value
from graphopt.match import Match, Rule, op, rule, tensor
from graphopt.rewrite import apply_rules
from tests.rewrite.test_driver import Journal, operators, run

x, y = tensor("x"), tensor("y")


@rule(op.Neg(x))
def to_another_type(m: Match, x: Value) -> Value:
    """Neg(x)  ->  Cast(x), of another element type"""
    return m.op.Cast(x, to=int(DType.float64))


@rule(op.Add(x, y))
def first_operand(m: Match, x: Value, y: Value) -> Value:
    """Add(x, y)  ->  x, which may have to grow"""
    return x


@rule(op.Relu(x))
def to_gelu(m: Match, x: Value) -> Value:
    """Relu(x)  ->  Gelu(x), which there is from opset 20 on"""
    return m.op.Gelu(x)


@rule(op.Abs(x))
def to_relu(m: Match, x: Value) -> Value:
    """Abs(x)  ->  Relu(x), which takes integers from opset 14 on"""
    return m.op.Relu(x)


@rule(op.Neg(x))
def to_not(m: Match, x: Value) -> Value:
    """Neg(x)  ->  Not(x), which takes booleans only"""
    return m.op.Not(x)


@rule(op.Exp(x))
def to_raw_gelu(m: Match, x: Value) -> Value:
    """Exp(x)  ->  Gelu(x), built past the builder that knows the opset"""
    m.made.append(Node("Gelu", (x,)))
    return m.made[0].output


@rule(op.Log(x))
def to_raw_reduce(m: Match, x: Value) -> Value:
    """Log(x)  ->  ReduceMax(x, axes), whose axes are an attribute below opset 18"""
    m.made.append(Node("ReduceMax", (x, m.constant([0], DType.int64))))
    return m.made[0].output


@rule(op.MaxPool(x, kernel_shape=[1, 1]))
def pool_of_one(m: Match, x: Value) -> Value:
    """MaxPool<kernel_shape = [1, 1]>(x)  ->  x, without the second output"""
    return x


@pytest.mark.parametrize(
    ("asked", "text", "opset", "why"),
    [
        (to_another_type, "(float[2] a) => (float[2] c) { c = Neg(a) }", 20, "the element type would change from float32 to float64"),
        (first_operand, "(float[1,3] a, float[2,1] b) => (float[2,3] c) { c = Add(a, b) }", 20, "not provably the same"),
        (first_operand, "(float[N] a, float[M] b) => (float[K] c) { c = Add(a, b) }", 20, "not provably the same"),
        (to_gelu, "(float[2] a) => (float[2] c) { c = Relu(a) }", 19, "Gelu"),
        (to_raw_gelu, "(float[2] a) => (float[2] c) { c = Exp(a) }", 19, "opset 19 has no Gelu; optimize with --opset 20"),
        (to_raw_reduce, "(float[2] a) => (float[2] c) { c = Log(a) }", 17,
         "a ReduceMax of opset 17 takes no 2 inputs; optimize with --opset 18"),
        (to_relu, "(int8[2] a) => (int8[2] c) { c = Abs(a) }", 12, "Relu-6 takes no tensor(int8) as X; optimize with --opset 14"),
        (to_not, "(float[2] a) => (float[2] c) { c = Neg(a) }", 20, "Not-1 takes no tensor(float) as X"),
        (pool_of_one, "(float[1,1,2,2] a) => (float[1,1,2,2] c, int64[1,1,2,2] i) { c, i = MaxPool<kernel_shape = [1, 1]>(a) }", 20,
         "output 'Indices' of the MaxPool (%i) is read"),
    ],
    ids=["element type", "broadcast", "symbolic broadcast", "opset", "opset, past the builder", "inputs, past the builder",
         "operand type of another opset", "operand type", "optional output"],
)  # fmt: skip
def test_a_guard_refuses(asked: Rule, text: str, opset: int, why: str) -> None:
    journal = Journal()
    model = run(text, asked, observer=journal, opset=opset)
    assert operators(model) == [asked.patterns[0].op]  # type: ignore[union-attr]  # each root is a call
    assert not journal.applications
    assert [reason for reason in journal.reasons if why in reason], journal.reasons


def test_a_constant_that_cannot_be_stored_is_refused() -> None:
    """A function holds no initializers, and a Constant node of opset 8 holds floats alone."""
    @rule(op.Neg(x), dtype="int32")
    def from_zero(m: Match, x: Value) -> Value:
        return m.op.Sub(m.constant([0], DType.int32), x)

    journal = Journal()
    model = parse_text("""<ir_version: 8, opset_import: ["" : 8, "own" : 1]>
        g (int32[1] a) => (int32[1] c) { c = own.minus(a) }
        <domain: "own", opset_import: ["" : 8]> minus (a) => (c) { c = Neg(a) }""")
    infer_model(model)
    [function] = model.functions.values()
    assert apply_rules(function.graph, [from_zero], Editor(model), journal) == 0
    assert journal.reasons == ["Constant-1 gives no tensor(int32) as output"]
