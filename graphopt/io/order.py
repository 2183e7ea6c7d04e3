"""The order of nodes, for models that do not come in one that runs."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import onnx

from graphopt.errors import ModelError
from graphopt.io.origin import Body
from graphopt.io.walking import graphs_of


def in_order(body: Body, where: str, is_visible: Callable[[str], bool]) -> list[onnx.NodeProto]:
    """The nodes of a graph so that each comes after what it reads; those that may stay in place keep their order.

    `is_visible` knows the names from outside. Raises ModelError when a name is made nowhere or nodes wait for each other.
    """
    nodes = list(body.node)
    given = _given(body)
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waits: list[set[int]] = []
    readers: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        before: set[int] = set()
        for name, reader in _reads(node).items():
            if name in maker:
                before.add(maker[name])
            elif name not in given and not is_visible(name):
                raise undefined(where, reader, name)
        waits.append(before)
        for other in before:
            readers[other].append(index)
    counts = [len(before) for before in waits]
    ready = [index for index, count in enumerate(counts) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader_index in readers[index]:
            counts[reader_index] -= 1
            if not counts[reader_index]:
                heappush(ready, reader_index)
    if len(order) < len(nodes):
        raise _cycle(where, nodes, waits, maker, set(range(len(nodes))) - set(order))
    return [nodes[index] for index in order]


def undefined(where: str, reader: str, name: str) -> ModelError:
    """A name is read that nothing makes."""
    return ModelError(f"{where}: {reader} reads {name!r}, which no node makes and which is neither an input nor an initializer there")


def describe(node: onnx.NodeProto) -> str:
    """How messages call a node: its operator, and its name or what it makes."""
    if node.name:
        return f"the {node.op_type} node {node.name!r}"
    return f"the {node.op_type} node that makes {next((name for name in node.output if name), '')!r}"


def _cycle(where: str, nodes: list[onnx.NodeProto], waits: list[set[int]], maker: dict[str, int], stuck: set[int]) -> ModelError:
    seen: list[int] = []
    here = min(stuck)
    while here not in seen:
        seen.append(here)
        here = min(waits[here] & stuck)
    ring = seen[seen.index(here) :]
    name = next(name for name in _reads(nodes[ring[0]]) if maker.get(name) == (ring + ring)[1])
    shown = ", ".join(describe(nodes[index]) for index in ring[:4])
    return ModelError(f"{where}: {describe(nodes[ring[0]])} reads {name!r}, which is made from its own output; in a ring: {shown}")


def _given(body: Body) -> set[str]:
    if isinstance(body, onnx.FunctionProto):
        return set(body.input)
    names = {value.name for value in body.input}
    names.update(tensor.name for tensor in body.initializer)
    names.update(sparse.values.name for sparse in body.sparse_initializer)
    return names


def _reads(node: onnx.NodeProto) -> dict[str, str]:
    """Each name that a node reads, itself or from its subgraphs, and who reads it."""
    reads = {name: describe(node) for name in node.input if name}
    for graph in graphs_of(node):
        made = _given(graph)
        inner: dict[str, str] = {}
        for each in graph.node:
            for name, reader in _reads(each).items():
                inner.setdefault(name, reader)
            made.update(each.output)
        for value in graph.output:
            inner.setdefault(value.name, f"the output of graph {graph.name!r}")
        for name, reader in inner.items():
            if name not in made:
                reads.setdefault(name, reader)
    return reads
