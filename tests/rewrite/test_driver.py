"""The driver reaches the fixpoint, in every graph, and says what it did; nothing is edited before a rule has decided."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphopt.errors import InternalError
from graphopt.infer import infer_model
from graphopt.io import parse_text, print_text
from graphopt.ir import Editor, Model, Node, Value, verify
from graphopt.match import Match, Rule, attr, op, rest, rule, tensor
from graphopt.observe.observer import Observer
from graphopt.rewrite import apply_rules

x, y = tensor("x"), tensor("y")


class Journal(Observer):
    """What the driver told, in order."""

    def __init__(self, allowed: int = 1 << 30) -> None:
        self.allowed = allowed
        self.applications: list[tuple[str, tuple[str, ...]]] = []
        self.reasons: list[str] = []

    def may_apply(self, source: str, node: Node) -> bool:
        return len(self.applications) < self.allowed

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self.applications.append((source, tuple(each.op for each in replacement)))

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        self.reasons.append(why())


def run(text: str, *rules: Rule, observer: Observer | None = None, opset: int = 20) -> Model:
    """The model after the rules ran to their fixpoint, its laws checked."""
    model = parse_text(f'<ir_version: 10, opset_import: ["" : {opset}]>\ng {text}')
    infer_model(model)
    apply_rules(model.graph, rules, Editor(model), observer or Observer())
    verify(model)
    return model


def operators(model: Model) -> list[str]:
    """The operators of the main graph, in order."""
    return [node.op for node in model.graph]


@rule(op.Neg(op.Neg(x)))
def neg_neg(m: Match, x: Value) -> Value:
    """Neg(Neg(x))  ->  x"""
    return x


@rule(op.Abs(op.Abs(x)))
def abs_abs(m: Match, x: Value) -> Value:
    """Abs(Abs(x))  ->  Abs(x)"""
    return m.op.Abs(x)


@rule(op.Abs(x))
def abs_to_relu_sum(m: Match, x: Value) -> Value:
    """Abs(x)  ->  Relu(x) + Relu(-x)"""
    return m.op.Add(m.op.Relu(x), m.op.Relu(m.op.Neg(x)))


def test_a_rewrite_that_makes_room_for_another_is_followed_by_it() -> None:
    model = run("(float[2] x) => (float[2] y) { a = Neg(x) b = Abs(a) c = Abs(b) d = Neg(c) e = Neg(d) y = Neg(e) }", neg_neg, abs_abs)
    assert operators(model) == ["Neg", "Abs", "Neg"]


def test_a_long_chain_collapses_in_one_run() -> None:
    chain = " ".join(f"v{i + 1} = Abs(v{i})" for i in range(400))
    journal = Journal()
    model = run(f"(float[2] v0) => (float[2] y) {{ {chain} y = Relu(v400) }}", abs_abs, observer=journal)
    assert operators(model) == ["Abs", "Relu"]
    assert len(journal.applications) == 399


def test_new_nodes_take_the_names_and_the_metadata_of_what_they_replace() -> None:
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    model = parse_text(head + " g (float[2] x) => (float[2] y) { [one] a = Abs(x) [two] b = Abs(a) y = Neg(b) }")
    infer_model(model)
    first, second, _ = model.graph
    first.metadata["where"], second.metadata["what"] = "layer 1", "second"
    apply_rules(model.graph, [abs_abs], Editor(model), Observer())
    made, _ = model.graph
    assert (made.name, made.output.name, made.rule) == ("two", "b", "abs-abs")
    assert made.metadata == {"where": "layer 1", "what": "second"}
    assert set(made.replaces) == {"one", "two"}


def test_an_observer_may_forbid_the_next_rewrite() -> None:
    journal = Journal(allowed=1)
    model = run("(float[2] x) => (float[2] y) { a = Abs(x) b = Abs(a) y = Abs(b) }", abs_abs, observer=journal)
    assert operators(model) == ["Abs", "Abs"] and len(journal.applications) == 1


def test_rules_run_in_subgraphs_and_never_take_nodes_from_outside() -> None:
    text = """(float[2] x, bool c) => (float[2] y) {
        a = Neg(x)
        y = If (c) <
            then_branch = t () => (float[2] p) { b = Neg(x) p = Neg(b) },
            else_branch = e () => (float[2] q) { q = Neg(a) }
        > }"""
    model = run(text, neg_neg)
    assert operators(model) == ["Neg", "If"]
    _, branching = model.graph
    then_branch, else_branch = branching.subgraphs
    assert [node.op for node in then_branch] == ["Identity"]  # p must be made inside
    assert [node.op for node in else_branch] == ["Neg"]


def test_an_identity_that_names_an_output_is_not_replaced_by_itself_for_ever() -> None:
    @rule(op.Identity(x), keeps_type=True)
    def gone(m: Match, x: Value) -> Value:
        return x

    journal = Journal()
    model = run("(float[2] x) => (float[2] y) { a = Identity(x) y = Identity(a) }", gone, observer=journal)
    assert operators(model) == ["Identity"]
    assert any("is an output of its graph" in reason for reason in journal.reasons)


def test_a_rule_whose_operator_is_made_by_another_rule_follows_it() -> None:
    @rule(op.Sub(op.Relu(x), op.Relu(op.Neg(x))))
    def parts_to_whole(m: Match, x: Value) -> Value:
        return x

    @rule(op.Max(x, 0.0))
    def max_to_relu(m: Match, x: Value) -> Value:
        return m.op.Relu(x)

    text = "(float[2] x) => (float[2] y) { n = Neg(x) a = Max(x, zero) b = Max(n, zero) y = Sub(a, b) }"
    model = run(text.replace("{", "<float zero = {0}> {", 1), parts_to_whole, max_to_relu)
    assert operators(model) == ["Identity"]
    assert parts_to_whole.compiled


def test_a_rule_is_not_compiled_where_the_model_has_not_all_its_operators() -> None:
    @rule(op.Neg(op.Relu(op.Abs(x))))
    def never(m: Match, x: Value) -> Value:
        return x

    run("(float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }", never)
    assert not never.compiled


def test_rules_that_undo_each_other_are_named() -> None:
    @rule(op.Neg(x))
    def to_mul(m: Match, x: Value) -> Value:
        return m.op.Sub(m.constant(0.0, x.dtype), x)

    @rule(op.Sub(0.0, x))
    def to_neg(m: Match, x: Value) -> Value:
        return m.op.Neg(x)

    with pytest.raises(InternalError, match=r"to-mul, to-neg|to-neg, to-mul"):
        run("(float[2] x) => (float[2] y) { y = Neg(x) }", to_mul, to_neg)


def test_what_a_rule_builds_and_does_not_return_is_not_put_in() -> None:
    @rule(op.Neg(x))
    def wasteful(m: Match, x: Value) -> Value:
        m.op.Exp(x)
        return m.op.Sub(m.constant(0.0, x.dtype), x)

    assert operators(run("(float[2] x) => (float[2] y) { y = Neg(x) }", wasteful)) == ["Sub"]


def test_several_roots_are_replaced_together() -> None:
    @rule(op.Relu(x), op.Abs(x))
    def both(m: Match, x: Value) -> tuple[Value, Value]:
        return m.op.Add(x, x), m.op.Sub(x, x)

    model = run("(float[2] x) => (float[2] y, float[2] z) { y = Relu(x) z = Abs(x) }", both)
    assert operators(model) == ["Add", "Sub"] and model.graph.output_names == ("y", "z")


def test_several_roots_are_left_alone_where_the_replacement_could_not_stand() -> None:
    @rule(op.Add(x, y), op.Sub(x, tensor("z")))
    def both(m: Match, x: Value, y: Value, z: Value) -> tuple[Value, Value]:
        return m.op.Mul(x, y), m.op.Mul(x, z)

    journal = Journal()
    model = run("(float[2] x, float[2] y) => (float[2] s) { a = Add(x, y) z = Neg(a) s = Sub(x, z) }", both, observer=journal)
    assert operators(model) == ["Add", "Neg", "Sub"]
    assert any("is made only after" in reason for reason in journal.reasons)


def test_a_second_root_that_appears_late_is_still_found() -> None:
    @rule(op.Relu(x), op.Exp(x))
    def pair(m: Match, x: Value) -> tuple[Value, Value]:
        return m.op.Sigmoid(x), m.op.Tanh(x)

    @rule(op.Exp(op.Neg(op.Neg(x))))
    def uncover(m: Match, x: Value) -> Value:
        return m.op.Exp(x)

    model = run("(float[2] x) => (float[2] y, float[2] z) { y = Relu(x) a = Neg(x) b = Neg(a) z = Exp(b) }", pair, uncover)
    assert sorted(operators(model)) == ["Sigmoid", "Tanh"]


def test_an_operator_that_a_local_function_redefines_is_left_to_it() -> None:
    model = parse_text("""<ir_version: 10, opset_import: ["" : 20, "ai.onnx" : 20]>
        g (float[2] x) => (float[2] y) { a = Neg(x) y = Neg(a) }
        <domain: "", opset_import: ["" : 20]>
        Neg (x) => (y) { y = Exp(x) }""")
    infer_model(model)
    assert apply_rules(model.graph, [neg_neg], Editor(model), Observer()) == 0


def test_variadic_operands_are_handed_over_in_order() -> None:
    @rule(op.Concat(rest("parts"), axis=attr("axis")))
    def turned(m: Match, parts: tuple[Value, ...], axis: int) -> Value:
        return m.op.Concat(*parts[::-1], axis=axis) if parts[0].name == "a" else m.op.Concat(*parts, axis=axis)  # once only

    journal = Journal(allowed=1)
    model = run("(float[2] a, float[2] b) => (float[4] y) { y = Concat<axis = 0>(a, b) }", turned, observer=journal)
    assert "Concat <axis: int = 0> (b, a)" in print_text(model)


def test_initializers_that_only_the_matched_nodes_read_are_dropped() -> None:
    """`both` is read elsewhere, `fed` is an input as well, a quantization annotation names `said`, `idle` was unread before."""

    @rule(op.Sub(op.Add(x, y), y))
    def forget(m: Match, x: Value, y: Value) -> Value:
        return m.op.Abs(x)

    names = ("gone", "both", "fed", "said", "idle")
    held = ", ".join(f"float[2] {name} = {{1, 2}}" for name in names)
    pairs = " ".join(f"t_{name} = Add(x, {name}) y_{name} = Sub(t_{name}, {name})" for name in names if name != "idle")
    outputs = ", ".join(f"float[2] y_{name}" for name in names if name != "idle")
    model = parse_text(f"""<ir_version: 10, opset_import: ["" : 20]>
        g (float[2] x, float[2] fed) => ({outputs}, float[2] z) <{held}> {{ {pairs} z = Neg(both) }}""")
    model.annotating.add("said")
    infer_model(model)
    journal = Journal()
    assert apply_rules(model.graph, [forget], Editor(model), journal) == 4
    verify(model)
    assert list(model.graph.initializers) == ["both", "fed", "said", "idle"]
    assert journal.applications == [("forget", ("Abs",))] * 4
