"""Walking over messages: the graphs inside nodes, and all nodes."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto


def graphs_of(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs that the attributes of a node hold."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def subgraphs(graph: GraphProto | FunctionProto) -> Iterator[GraphProto]:
    """The graphs inside a graph or a function, outer before inner."""
    for node in graph.node:
        for inner in graphs_of(node):
            yield inner
            yield from subgraphs(inner)


def nodes_in(graph: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """The nodes of a graph or a function, and of all graphs inside it."""
    for inner in (graph, *subgraphs(graph)):
        yield from inner.node


def all_nodes(model: ModelProto) -> list[NodeProto]:
    """Every node of a model, those of subgraphs and functions among them."""
    return [node for body in _bodies(model) for node in nodes_in(body)]


def all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """The main graph, and every graph inside it and inside functions."""
    yield model.graph
    for body in _bodies(model):
        yield from subgraphs(body)


def _bodies(model: ModelProto) -> list[GraphProto | FunctionProto]:
    return [model.graph, *model.functions]
