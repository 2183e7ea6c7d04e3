"""One edit that is as big as a model: all of it gives way to what another model holds."""

from __future__ import annotations

from graphopt.ir.graph import Graph
from graphopt.ir.model import Function, Model


def take_over(model: Model, other: Model) -> None:
    """Let a model hold what another one holds, which is used up.

    The main graph stays the object that it is, and so do the functions that both have; the nodes and values are the other's. What a caller
    froze stays frozen. An `Editor` that the model had before knows nothing of it: make a new one. Linear in the nodes of both.
    """
    model.functions = {key: _kept(model.functions.get(key), function) for key, function in other.functions.items()}
    _fill(model.graph, other.graph)
    for graph in model.graphs():
        graph.model = model
    model.opsets.clear()
    model.opsets.update(other.opsets)
    model.ir_version, model.origin, model.trains = other.ir_version, other.origin, other.trains
    model.annotating, model.positive, model.doubted, model.copies = other.annotating, other.positive, other.doubted, other.copies
    model.names |= other.names


def _kept(known: Function | None, new: Function) -> Function:
    if known is None:
        return new
    known.opsets, known.attributes, known.defaults, known.origin = new.opsets, new.attributes, new.defaults, new.origin
    _fill(known.graph, new.graph)
    return known


def _fill(graph: Graph, source: Graph) -> None:
    """Move what `source` holds to `graph`, whose own nodes stand nowhere afterwards."""
    for node in list(graph):
        node.graph = None
    graph.exit.graph = None
    for node in (*source, source.exit):
        node.graph = graph
    graph.name, graph.origin, graph.inputs, graph.initializers = source.name, source.origin, source.inputs, source.initializers
    graph.exit, graph.size, graph.owners = source.exit, source.size, source.owners
    graph.output_names = source.output_names
    for value in (*graph.inputs, *graph.initializers.values()):
        value.graph = graph
