"""Edits of what nodes and graphs take and give: outputs that nobody reads, inputs that nobody needs."""

from __future__ import annotations

from graphopt.errors import InternalError
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node, Value


def leave_out_output(node: Node, index: int) -> None:
    """Leave out an optional output that nobody reads; those that follow keep their place, the last ones go altogether.

    Raises InternalError when somebody reads it.
    """
    _must_be_unread(node.outputs[index])
    kept = list(node.outputs)
    kept[index] = Value()
    while len(kept) > 1 and not kept[-1].name:
        kept.pop()
    _set_outputs(node, kept)


def remove_output(node: Node, index: int) -> None:
    """Take an output that nobody reads out of a node; those that follow move up. For nodes whose bodies say what they give."""
    _must_be_unread(node.outputs[index])
    _set_outputs(node, [value for value in node.outputs if value.index != index])


def remove_input(editor: Editor, node: Node, slot: int) -> None:
    """Take an input slot out of a node; those that follow move up."""
    editor.set_input(node, slot, None)
    node.inputs = (*node.inputs[:slot], *node.inputs[slot + 1 :])
    node.changed = True


def remove_graph_input(graph: Graph, value: Value) -> None:
    """Take an input that nobody reads out of a graph, with its default if it has one."""
    _must_be_unread(value)
    graph.inputs = [held for held in graph.inputs if held is not value]
    if value.overridable:
        del graph.initializers[value.name]
    value.graph, value.overridable = None, False


def add_graph_input(graph: Graph, value: Value) -> None:
    """Let a caller give an initializer of a graph; what is stored is the default."""
    value.overridable = True
    graph.inputs.append(value)


def remove_graph_output(editor: Editor, graph: Graph, index: int) -> None:
    """Let a subgraph return one value less."""
    remove_input(editor, graph.exit, index)


def _set_outputs(node: Node, values: list[Value]) -> None:
    node.outputs = tuple(values)
    for index, value in enumerate(values):
        value.producer, value.index = node, index
    node.changed = True


def _must_be_unread(value: Value) -> None:
    if value.users:
        raise InternalError(f"{value!r} cannot go: it is read")
