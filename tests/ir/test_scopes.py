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


def test_an_editor_files_the_calls_of_operators_also_inside_what_is_inserted_and_erased() -> None:
    model, editor, _, branch = with_branch()
    graph = model.graph
    assert [node.op for node in editor.calls(graph, ("Neg", "Relu", "If"))] == ["Relu", "If", "Neg"]
    added = editor.insert(Node("Abs", (graph.inputs[0],)), graph, before=graph.exit.next)
    assert editor.calls(graph, ("Abs", "Relu")) == [added, *editor.calls(graph, ("Relu",))]
    owner = branch.owner
    assert owner is not None
    editor.redirect(owner.output, added.output)
    editor.erase(owner)
    assert editor.calls(graph, ("If", "Neg")) == []
    assert list(graph.walk()) == [graph]
