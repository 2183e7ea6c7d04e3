"""Rules that ran to their fixpoint look, when asked again, only at what changed since, as far as their patterns reach."""

from __future__ import annotations

import pytest

from graphopt.infer import infer_model
from graphopt.io import parse_text
from graphopt.ir import Attribute, DType, Editor, Model, Node, TensorType, Value
from graphopt.match import Match, attr, op, rule, tensor
from graphopt.observe.observer import Observer
from graphopt.rewrite import apply_rules

asked: list[str] = []


def noted(value: Value) -> bool:
    """Yes to every value, whose name is kept."""
    asked.append(value.name)
    return True


x = tensor("x", where=noted)


@rule(op.Neg(op.Neg(x)))
def neg_neg(m: Match, x: Value) -> Value:
    """Neg(Neg(x))  ->  x"""
    return x


TEXT = """<ir_version: 10, opset_import: ["" : 20]>
g (float[2] v, bool c) => (float[2] y, float[2] z, float[2] w) {
   a = Abs(v)
   b = Neg(a)
   y = Relu(b)
   d = Neg(v)
   e = Abs(d)
   z = Neg(e)
   w = If(c) <then_branch = t () => (p) { n = Neg(v) r = Abs(n) p = Neg(r) }, else_branch = f () => (q) { q = Abs(v) }>
}"""


def settled() -> tuple[Model, Editor, int]:
    """A model in which the rule had nothing to do, and when."""
    model = parse_text(TEXT)
    infer_model(model)
    editor = Editor(model)
    assert apply_rules(model.graph, [neg_neg], editor, Observer()) == 0
    asked.clear()
    return model, editor, editor.index.now


def node_of(model: Model, name: str) -> Node:
    """What makes the value of a name."""
    return next(node for node in model.nodes() for value in node.outputs if value.name == name)


def test_nothing_is_looked_at_when_nothing_changed() -> None:
    model, editor, then = settled()
    assert apply_rules(model.graph, [neg_neg], editor, Observer(), since=then) == 0
    assert asked == []


@pytest.mark.parametrize(("between", "operand"), [("e", "v"), ("r", "v")])  # in the main graph, in a branch
def test_what_comes_to_lie_side_by_side_is_found(between: str, operand: str) -> None:
    model, editor, then = settled()
    gone = node_of(model, between)
    assert gone.inputs[0] is not None
    editor.replace(gone.output, gone.inputs[0])
    editor.erase(gone)
    assert apply_rules(model.graph, [neg_neg], editor, Observer(), since=then) == 1
    assert asked == [operand]


def test_a_new_node_is_found() -> None:
    model, editor, then = settled()
    inner = node_of(model, "b")
    made = editor.insert(Node("Neg", inner.outputs), model.graph, before=node_of(model, "y"))
    editor.set_type(made.output, inner.output.type)
    editor.set_input(node_of(model, "y"), 0, made.output)
    assert apply_rules(model.graph, [neg_neg], editor, Observer(), since=then) == 1
    assert asked == ["a"]


def test_what_became_known_of_an_operand_counts() -> None:
    @rule(op.Relu(tensor("x", rank=1)))
    def relu_to_abs(m: Match, x: Value) -> Value:
        return m.op.Abs(x)

    model, editor, _ = settled()
    operand = node_of(model, "b").output
    operand.type = TensorType(DType.float32)
    assert apply_rules(model.graph, [relu_to_abs], editor, Observer()) == 0
    then = editor.index.now
    editor.set_type(operand, TensorType(DType.float32, (2,)))
    assert apply_rules(model.graph, [relu_to_abs], editor, Observer(), since=then) == 1


def test_an_attribute_that_was_set_counts() -> None:
    @rule(op.LeakyRelu(tensor("x"), alpha=attr("alpha", where=lambda alpha: alpha == 0.0)))
    def leaky_to_relu(m: Match, x: Value) -> Value:
        return m.op.Relu(x)

    model, editor, _ = settled()
    node = editor.insert(Node("LeakyRelu", model.graph.inputs[:1], attributes={"alpha": Attribute.of(0.5)}), model.graph)
    editor.set_type(node.output, model.graph.inputs[0].type)
    assert apply_rules(model.graph, [leaky_to_relu], editor, Observer()) == 0
    then = editor.index.now
    editor.set_attribute(node, "alpha", 0.0)
    assert apply_rules(model.graph, [leaky_to_relu], editor, Observer(), since=then) == 1


def test_a_reader_that_went_away_counts() -> None:
    @rule(op.Abs(tensor("x", where=lambda value: len(value.users) == 1)))
    def abs_to_relu(m: Match, x: Value) -> Value:
        return m.op.Relu(x)

    model, editor, _ = settled()
    operand = node_of(model, "d").output
    reader = editor.insert(Node("Exp", (operand,)), model.graph)
    apply_rules(model.graph, [abs_to_relu], editor, Observer())
    assert node_of(model, "e").op == "Abs"
    then = editor.index.now
    editor.erase(reader)
    assert apply_rules(model.graph, [abs_to_relu], editor, Observer(), since=then) == 1
    assert node_of(model, "e").op == "Relu"
