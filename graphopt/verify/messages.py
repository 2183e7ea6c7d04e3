"""Messages of models: walking, renaming, and taking out what nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import onnx
import onnx.shape_inference
from onnx import GraphProto, ModelProto, NodeProto, TypeProto

from graphopt.io.walking import graphs_of, nodes_in, subgraphs


def copied(model: ModelProto) -> ModelProto:
    """A copy of a message."""
    made = ModelProto()
    made.CopyFrom(model)
    return made


def keep(messages: Any, is_wanted: Callable[[Any], bool]) -> None:  # Any: protobuf ships no types
    """Take all others out of a repeated field, at once: to remove them one by one compares each with all before it."""
    kept = [each for each in messages if is_wanted(each)]
    if len(kept) < len(messages):
        del messages[:]
        messages.extend(kept)


def reads(node: NodeProto) -> set[str]:
    """The names that a node reads, and that the graphs inside it mention: more than they capture, since they may be their own."""
    found = set(node.input)
    for inner in graphs_of(node):
        found.update(port.name for port in inner.output)
        for each in inner.node:
            found |= reads(each)
    found.discard("")
    return found


def captures(node: NodeProto) -> set[str]:
    """The names that a node reads, and that the graphs inside it read of those around it."""
    found = reads(node)
    for inner in graphs_of(node):
        found -= {port.name for port in inner.input} | {stored.name for stored in inner.initializer}
        for each in nodes_in(inner):
            found -= set(each.output) | {port.name for held in graphs_of(each) for port in held.input}
    return found | {name for name in node.input if name}


def alive(nodes: Iterable[NodeProto], wanted: Iterable[str]) -> list[bool]:
    """Of nodes in an order that runs: whether each makes something that is wanted, or that such a node reads."""
    needed, found = set(wanted), []
    for node in reversed(list(nodes)):
        found.append(not needed.isdisjoint(node.output))
        if found[-1]:
            needed |= reads(node)
    return found[::-1]


def renamed(graph: GraphProto, old: str, new: str) -> None:
    """Call a value something else, wherever it is made and read."""
    for node in nodes_in(graph):
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def types_of(model: ModelProto) -> dict[str, TypeProto]:
    """The types of the values of the main graph, as far as the inference of onnx goes."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        graph = model.graph  # not inferable as it is: what is declared has to do
    return {port.name: port.type for port in (*graph.input, *graph.value_info, *graph.output)}


def tidied(model: ModelProto) -> ModelProto:
    """Without what nobody reads any more, and with output types as inference finds them. Changes what it is given."""
    drop_unread(model)
    graph = model.graph
    for inner in (graph, *subgraphs(graph)):
        del inner.value_info[:]
        for port in inner.output if inner is not graph else ():
            port.ClearField("type")  # a subgraph need not say; what it said may no longer be so
    ports = [port for port in graph.output if port.type.HasField("tensor_type")]
    ranks = [len(port.type.tensor_type.shape.dim) for port in ports]
    for port in ports:
        port.type.tensor_type.ClearField("shape")
    types = types_of(model)
    for port, rank in zip(ports, ranks, strict=True):
        if port.name in types and types[port.name].tensor_type.HasField("shape"):
            port.type.CopyFrom(types[port.name])
        else:
            for _ in range(rank):
                port.type.tensor_type.shape.dim.add()
    return model


def drop_unread(model: ModelProto) -> None:
    """Take out nodes, initializers, inputs and functions that nothing needs."""
    graph = model.graph
    kept = alive(graph.node, (port.name for port in graph.output))
    waiting = iter(kept)
    keep(graph.node, lambda node: next(waiting))
    read = {name for node in graph.node for name in reads(node)} | {port.name for port in graph.output}
    keep(graph.initializer, lambda stored: stored.name in read)
    keep(graph.sparse_initializer, lambda sparse: sparse.values.name in read)
    keep(graph.input, lambda port: port.name in read)
    drop_uncalled(model)


def drop_uncalled(model: ModelProto) -> None:
    """Take out local functions that nothing calls, and those that only these call."""
    bodies = {(function.domain, function.name): function for function in model.functions}
    waiting = [(node.domain, node.op_type) for node in nodes_in(model.graph)]
    called = set()
    while waiting:
        key = waiting.pop()
        if key in bodies and key not in called:
            called.add(key)
            waiting += [(node.domain, node.op_type) for node in nodes_in(bodies[key])]
    keep(model.functions, lambda function: (function.domain, function.name) in called)
