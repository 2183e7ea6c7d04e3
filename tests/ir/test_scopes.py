"""Values that cross the borders of graphs: captured, returned by a branch though made outside, replaced from outside."""

from __future__ import annotations

from graphopt.ir import Node, verify
from tests.ir.graphs import with_branch


def test_a_branch_may_return_a_value_of_the_graph_around_it_which_is_then_replaced() -> None:
    model, editor, relu, branch = with_branch()
    (inner,) = branch
    editor.set_outputs(branch, [relu.output])
    editor.erase(inner)
    twin = editor.insert(Node("Abs", relu.inputs), model.graph, relu)
    editor.replace(relu.output, twin.output)
    editor.erase(relu)
    assert branch.output_names == (twin.output.name,)
    verify(model)


def test_what_a_subgraph_captures_is_redirected_with_all_other_readers() -> None:
    model, editor, relu, branch = with_branch()
    editor.replace(relu.output, model.graph.inputs[0])
    editor.erase(relu)
    (inner,) = branch
    assert inner.inputs == (model.graph.inputs[0],)
    verify(model)


def test_the_operators_that_an_editor_knows_include_those_inside_what_is_inserted() -> None:
    model, editor, _, _ = with_branch()
    assert editor.operators >= {"Relu", "If", "Neg"}
    editor.insert(Node("Abs", (model.graph.inputs[0],)), model.graph)
    assert "Abs" in editor.operators
