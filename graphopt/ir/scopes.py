"""Names that are used in a graph and again inside it."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Value

NOTHING: frozenset[str] = frozenset()


def part_names(editor: Editor) -> None:
    """Give values inside a graph names of their own where the graph around it uses the same names, before or after.

    ONNX lets a subgraph use a name that the graph around it makes only later. Once a pass moves that one forward (a Constant that becomes
    an initializer is visible everywhere), or lets a node inside read it, the two would be taken for each other. Names that only
    subgraphs side by side share stay. Linear in the values of subgraphs and of the graphs around them.
    """
    for graph in (editor.model.graph, *(function.graph for function in editor.model.functions.values())):
        _part(graph, NOTHING, editor)


def _part(graph: Graph, around: frozenset[str], editor: Editor) -> None:
    if around:
        for value in list(values_of(graph)):
            if value.name in around:
                editor.rename(value, editor.model.fresh_name(value.name))
    visible: frozenset[str] | None = None
    for node in graph:
        if node.attributes and (subgraphs := node.subgraphs):
            if visible is None:
                visible = around.union(value.name for value in values_of(graph) if value.name)
            for inner in subgraphs:
                _part(inner, visible, editor)


def values_of(graph: Graph) -> Iterator[Value]:
    """What a graph makes: its inputs, its initializers, and what its nodes give."""
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs
