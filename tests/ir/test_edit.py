"""The edits keep use counts, names and order, and tell the listener; `verify` would notice if they did not."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from graphopt.errors import InternalError
from graphopt.ir import Editor, Model, Node, Tensor, verify
from graphopt.schema.older import constant
from tests.ir.graphs import Journal, add_input, relu_chain, with_branch


def test_outputs_are_uses() -> None:
    model, _, (first, last) = relu_chain(2)
    assert last.output.users == {model.graph.exit: 1}
    assert last.output.is_output and not first.output.is_output
    verify(model)


def test_captures_are_uses() -> None:
    model, _, relu, branch = with_branch()
    (reader,) = relu.output.users
    assert reader.graph is branch
    assert relu.output.is_captured
    verify(model)


def test_a_detached_node_reads_nothing() -> None:
    model, _, (node,) = relu_chain(1)
    Node("Neg", (node.output,))
    assert list(node.output.users) == [model.graph.exit]


def test_erase_refuses_a_node_that_is_read() -> None:
    _, editor, (first, _) = relu_chain(2)
    with pytest.raises(InternalError, match="still read"):
        editor.erase(first)


def test_erase_forgets_what_the_subgraphs_captured() -> None:
    model, editor, relu, branch = with_branch()
    editor.set_outputs(model.graph, [relu.output])
    assert branch.owner is not None
    editor.erase(branch.owner)
    assert list(relu.output.users) == [model.graph.exit]
    verify(model)


def test_events_are_counted_one_for_one() -> None:
    model, editor, (first, second) = relu_chain(2)
    journal = editor.listener = Journal()
    new = editor.insert(Node("Neg", (first.output,)), model.graph, second)
    editor.set_input(second, 0, new.output)
    editor.set_attribute(new, "alpha", 0.5)
    assert journal.events == ["inserted Neg", "rewired Relu[0]", "reattributed Neg.alpha"]


def test_a_node_that_reads_a_value_twice_counts_two_slots() -> None:
    model, editor, (relu,) = relu_chain(1)
    node = editor.insert(Node("Add", (relu.output, relu.output)), model.graph)
    assert relu.output.users[node] == 2
    editor.set_input(node, 1, model.graph.inputs[0])
    assert relu.output.users[node] == 1
    editor.erase(node)
    assert node not in relu.output.users
    verify(model)


def test_replace_hands_an_outputs_name_to_the_new_producer() -> None:
    model, editor, (first, last) = relu_chain(2)
    name = last.output.name
    editor.replace(last.output, first.output)
    assert first.output.name == name and model.graph.outputs == (first.output,)
    editor.erase(last)
    verify(model)


def test_replace_keeps_an_outputs_name_by_an_identity_when_an_input_takes_its_place() -> None:
    model, editor, (node,) = relu_chain(1)
    name = node.output.name
    editor.replace(node.output, model.graph.inputs[0])
    editor.erase(node)
    (keeper,) = model.graph
    assert keeper.op == "Identity" and keeper.output.name == name
    verify(model)


def test_replace_gives_other_readers_the_value_itself_not_the_identity() -> None:
    model, editor, (node,) = relu_chain(1)
    reader = editor.insert(Node("Neg", (node.output,)), model.graph)
    editor.set_outputs(model.graph, [node.output, reader.output])
    editor.replace(node.output, model.graph.inputs[0])
    assert reader.inputs == (model.graph.inputs[0],)
    editor.erase(node)
    verify(model)


def test_two_outputs_that_become_one_value_keep_both_names() -> None:
    model, editor, (node,) = relu_chain(1)
    twin = editor.insert(Node("Relu", (model.graph.inputs[0],)), model.graph)
    editor.set_outputs(model.graph, [node.output, twin.output])
    names = model.graph.output_names
    editor.replace(twin.output, node.output)
    editor.erase(twin)
    assert tuple(value.name for value in model.graph.outputs) == names
    verify(model)


def test_an_output_listed_twice_stays_one_value() -> None:
    model, editor, (first, last) = relu_chain(2)
    editor.set_outputs(model.graph, [last.output, last.output])
    editor.replace(last.output, first.output)
    editor.erase(last)
    assert model.graph.outputs == (first.output, first.output)
    verify(model)


def test_constants_become_initializers_where_the_graph_may_hold_them() -> None:
    model, editor, _ = relu_chain(1)
    value = editor.add_constant(model.graph, Tensor.of(np.ones(3, np.float32)), "w")
    assert model.graph.initializers == {"w": value} and value.const is not None
    verify(model)


def test_constants_become_nodes_before_ir_version_4() -> None:
    model, editor, (node,) = relu_chain(1)
    model.ir_version = 3
    value = editor.add_constant(model.graph, Tensor.of(np.ones(3, np.float32)), "w", node)
    assert value.producer is not None and value.producer.op == "Constant" and value.const is not None
    assert not model.graph.initializers
    verify(model)


def test_an_inserted_node_brings_the_constants_that_nothing_owns() -> None:
    model, editor, (node,) = relu_chain(1)
    held = constant(Tensor.of(np.ones(3, np.float32)), "w")
    assert held.is_detached
    editor.insert(Node("Mul", (node.output, held)), model.graph)
    assert model.graph.initializers == {"w": held} and not held.is_detached
    verify(model)


def test_an_overridable_initializer_is_no_constant_until_frozen() -> None:
    model, editor, _ = relu_chain(1)
    value = editor.add_constant(model.graph, Tensor.of(1.0), "w")
    value.overridable = True
    model.graph.inputs.append(value)
    assert value.const is None and value.is_input and value.is_initializer
    editor.freeze(value)
    assert value.const is not None and not value.is_input
    verify(model)


def test_fresh_names_never_collide() -> None:
    model = Model()
    assert [model.fresh_name("a"), model.fresh_name("a"), model.fresh_name("a_1")] == ["a", "a_1", "a_1_1"]


@pytest.mark.parametrize("where", ["same place, before", "same place, after", "anywhere"])
def test_positions_stay_in_order_however_nodes_are_inserted(where: str) -> None:
    model, editor, nodes = relu_chain(3)
    draw = random.Random(0)
    x = model.graph.inputs[0]
    for _ in range(3000):
        before = nodes[1] if where == "same place, before" else nodes[0].next if where == "same place, after" else draw.choice(nodes)
        nodes.append(editor.insert(Node("Neg", (x,)), model.graph, before))
    verify(model)
    order = list(model.graph)
    assert all(model.graph.precedes(a, b) for a, b in itertools.pairwise(order))
    assert len(model.graph) == len(order) == 3003
    assert list(reversed(model.graph)) == order[::-1]


def test_iterating_survives_edits() -> None:
    model, editor, nodes = relu_chain(5)
    seen = []
    for node in model.graph:
        seen.append(node)
        if node is nodes[1]:
            editor.replace(nodes[2].output, nodes[1].output)
            editor.erase(nodes[2])
    assert seen == [nodes[0], nodes[1], nodes[3], nodes[4]]


def test_unread_nodes_go_with_what_only_they_read() -> None:
    model = Model()
    graph, editor = model.graph, Editor(model)
    x = add_input(graph, "x")
    c, d = (editor.add_constant(graph, Tensor.of(np.float32(value))) for value in (1, 2))
    first, second = editor.insert(Node("Add", (x, c)), graph), editor.insert(Node("Neg", (x,)), graph)
    third = editor.insert(Node("Sum", (first.output, second.output, d)), graph)
    editor.erase_unread([second, first])
    assert all(node.graph is graph for node in (first, second, third))
    editor.erase_unread([first, third])
    assert [*graph] == [second] and not graph.initializers
    editor.erase_unread([editor.insert(Node("Exp", (second.output,)), graph)], lambda node: node is second)
    assert not [*graph]
    verify(model)


def test_a_constant_is_dropped_once_nobody_reads_it() -> None:
    for ir_version in (3, 10):
        model = Model(ir_version=ir_version)
        graph, editor = model.graph, Editor(model)
        c = editor.add_constant(graph, Tensor.of(np.float32(1)))
        reader = editor.insert(Node("Neg", (c,)), graph)
        editor.drop_constant(c)
        assert c.is_initializer or c.producer in [*graph]
        editor.drop_constant(reader.output)
        editor.erase(reader)
        editor.drop_constant(c)
        assert not [*graph] and not graph.initializers


def test_renaming_an_initializer_keeps_its_place() -> None:
    model, editor, _ = relu_chain(1)
    a, b = (editor.add_constant(model.graph, Tensor.of(float(i)), n) for i, n in enumerate("ab"))
    editor.rename(a, model.fresh_name("c"))
    assert list(model.graph.initializers.items()) == [("c", a), ("b", b)]
    verify(model)


def test_a_dropped_initializer_leaves_its_name_and_place() -> None:
    model, editor, _ = relu_chain(1)
    a, b, c = (editor.add_constant(model.graph, Tensor.of(float(i)), n) for i, n in enumerate("abc"))
    editor.drop_initializer(a, c)
    assert list(model.graph.initializers.items()) == [("a", c), ("b", b)]
    assert (a.graph, c.name) == (None, "a")
    verify(model)


def test_only_one_listener_hears_and_it_hears_subgraphs() -> None:
    _, editor, relu, branch = with_branch()
    journal = editor.listener = Journal()
    editor.insert(Node("Abs", (relu.output,)), branch)
    assert journal.events == ["inserted Abs"]


def test_an_input_of_another_model_is_noticed() -> None:
    model, _, _ = relu_chain(1)
    stranger = add_input(Model().graph, "stranger")
    Editor(model).insert(Node("Neg", (stranger,)), model.graph)
    with pytest.raises(InternalError, match="before it is made, or out of its scope"):
        verify(model)
