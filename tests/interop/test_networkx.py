"""The networkx picture of a graph: what its nodes and edges are, and that networkx's algorithms say sensible things of it."""

from __future__ import annotations

import doctest
import importlib

import networkx as nx

from graphopt.interop import to_networkx
from graphopt.io import parse_text
from graphopt.ir import Graph, Node, Value

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'
RESIDUAL = """g (float[N] x, float[3] spare) => (float[N] y, float[N] a) <float[1] w = {2}, float[1] unread = {3}> {
    a = Mul(x, w)
    b = Exp(a)
    c = Neg(b)
    d = Add(c, c)
    y = Add(d, a)
}"""
CAPTURING = """g (bool c, float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> {
    a = Neg(x)
    y = If (c) <
        then_branch = t () => (float[3] r) { s = Add(a, w) r = Mul(s, a) },
        else_branch = e () => (float[3] q) { q = If (c) <
            then_branch = n () => (float[3] u) { u = Sub(x, w) },
            else_branch = m () => (float[3] v) { v = Identity(w) }
        > }
    >
}"""


def graph_of(text: str) -> Graph:
    return parse_text(HEADER + text).graph


def label(node: Node | Value) -> str:
    return node.name if isinstance(node, Value) else node.op


def kinds(picture: nx.MultiDiGraph[Node | Value]) -> list[tuple[str, str]]:
    return [(label(node), data["kind"]) for node, data in picture.nodes(data=True)]


def edges(picture: nx.MultiDiGraph[Node | Value]) -> list[tuple[str, str, str, int | None]]:
    return [(label(maker), label(reader), data["value"].name, data["slot"]) for maker, reader, data in picture.edges(data=True)]


def test_the_longest_path_leads_from_an_input_to_the_outputs() -> None:
    path = nx.dag_longest_path(to_networkx(graph_of(RESIDUAL)))
    assert [label(node) for node in path] == ["x", "Mul", "Exp", "Neg", "Add", "Add", "exit"]


def test_nodes_come_in_running_order_and_say_their_kind() -> None:
    graph = graph_of(RESIDUAL)
    picture = to_networkx(graph)
    assert kinds(picture) == [
        ("x", "input"), ("spare", "input"), ("w", "initializer"), ("unread", "initializer"),
        ("Mul", "node"), ("Exp", "node"), ("Neg", "node"), ("Add", "node"), ("Add", "node"), ("exit", "exit"),
    ]  # fmt: skip
    assert list(picture)[4:] == [*graph, graph.exit]


def test_every_slot_is_an_edge_with_its_value() -> None:
    assert sorted(edges(to_networkx(graph_of(RESIDUAL))), key=str) == [
        ("Add", "Add", "d", 0), ("Add", "exit", "y", 0), ("Exp", "Neg", "b", 0), ("Mul", "Add", "a", 1), ("Mul", "Exp", "a", 0),
        ("Mul", "exit", "a", 1), ("Neg", "Add", "c", 0), ("Neg", "Add", "c", 1), ("w", "Mul", "w", 1), ("x", "Mul", "x", 0),
    ]  # fmt: skip


def test_what_everything_must_pass_is_a_dominator_on_the_way_back_from_the_outputs() -> None:
    graph = graph_of(RESIDUAL)
    picture = to_networkx(graph)
    mul, exp, *_ = graph
    dominators = nx.immediate_dominators(nx.DiGraph(picture).reverse(), graph.exit)
    assert dominators[graph.inputs[0]] is mul
    assert dominators[mul] is graph.exit  # an output itself, so nothing lies between on every path
    assert label(dominators[exp]) == "Neg"


def test_captures_are_edges_into_the_node_that_holds_the_subgraph() -> None:
    """One for every value, however deep and however often it is read; absent from the slots."""
    picture = to_networkx(graph_of(CAPTURING))
    assert edges(picture) == [
        ("c", "If", "c", 0), ("c", "If", "c", None), ("x", "Neg", "x", 0), ("x", "If", "x", None), ("w", "If", "w", None),
        ("Neg", "If", "a", None), ("If", "exit", "y", 0),
    ]  # fmt: skip
    assert nx.is_directed_acyclic_graph(picture)


def test_a_subgraph_alone_shows_what_it_captures_as_sources() -> None:
    graph = graph_of(CAPTURING)
    holder = list(graph)[-1]
    picture = to_networkx(holder.subgraphs[0])
    assert kinds(picture) == [
        ("a", "captured"), ("w", "captured"), ("Add", "node"), ("Mul", "node"), ("exit", "exit"),
    ]  # fmt: skip
    assert ("a", "Mul", "a", 1) in edges(picture)
    assert ("c", "captured") in kinds(to_networkx(holder.subgraphs[1]))


def test_an_absent_input_is_no_edge_and_an_overridable_initializer_an_input() -> None:
    text = "g (float[3] x, float m) => (float[3] y) <float m = {1}> { y = Clip(x, , m) }"
    picture = to_networkx(graph_of(text))
    assert edges(picture) == [("x", "Clip", "x", 0), ("m", "Clip", "m", 2), ("Clip", "exit", "y", 0)]
    assert kinds(picture) == [("x", "input"), ("m", "input"), ("Clip", "node"), ("exit", "exit")]


def test_the_example_in_the_documentation_runs() -> None:
    tried = doctest.testmod(importlib.import_module("graphopt.interop.networkx"))
    assert tried.attempted >= 4
    assert tried.failed == 0
