"""The networkx picture of a graph: what its nodes and edges are, and that networkx's algorithms say sensible things of it."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import networkx as nx
import pytest

from graphopt.interop import to_networkx
from graphopt.io import load, parse_text
from graphopt.ir import Graph, Node, Value
from tests.interop.agreement import disagreements
from tests.interop.kinds import kinds as kinds_of_models

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


DATA = Path(__file__).parent.parent / "data"
MODELS = [*sorted((DATA / "cases").rglob("*.onnx")), *sorted((DATA / "io").glob("*.onnx"))]
KINDS = dict(kinds_of_models())


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


def test_the_picture_agrees_with_every_bundled_model() -> None:
    found = {path.parent.name + "/" + path.name: disagreements(load(path, check_external=False)) for path in MODELS}
    assert len(found) > 90
    assert not {name: said for name, said in found.items() if said}


@pytest.mark.parametrize("name", KINDS)
def test_the_picture_agrees_with_every_kind_of_model(name: str) -> None:
    assert disagreements(load(KINDS[name])) == []


def test_generations_are_the_ranks_of_a_drawing() -> None:
    """Each rank is as far from the sources as its farthest node, so every edge of a drawing leads downwards."""
    picture = to_networkx(graph_of(RESIDUAL))
    ranks = [[label(node) for node in rank] for rank in nx.topological_generations(picture)]
    assert ranks == [["x", "spare", "w", "unread"], ["Mul"], ["Exp"], ["Neg"], ["Add"], ["Add"], ["exit"]]


def test_a_drawing_order_that_networkx_finds_is_one_that_runs() -> None:
    graph = graph_of(CAPTURING)
    picture = to_networkx(graph)
    places: dict[object, int] = {node: -place for place, node in enumerate(picture)}  # the last first, where that may be
    order = {node: place for place, node in enumerate(nx.lexicographical_topological_sort(picture, key=places.__getitem__))}
    for node in graph:
        for value in node.inputs:
            assert value is None or value.producer is None or order[value.producer] < order[node]


def test_what_lies_between_two_nodes_is_a_partition_that_can_be_cut_out() -> None:
    """Descendants and ancestors come as sets of Nodes: all between a and y, with nothing that leads out and in again."""
    graph = graph_of(RESIDUAL)
    picture = to_networkx(graph)
    nodes: list[Node | Value] = [*graph]
    mul, *_, add, last = nodes
    after, before = nx.descendants(picture, mul), nx.ancestors(picture, last)
    between = after & before
    assert [label(node) for node in graph if node in between] == ["Exp", "Neg", "Add"]
    assert add in between
    view = picture.subgraph(between)
    assert nx.is_weakly_connected(view)
    assert [label(node) for node in nx.topological_sort(view)] == ["Exp", "Neg", "Add"]


def test_paths_can_be_weighted() -> None:
    """By what a caller thinks a node costs; without weights a path counts its edges."""
    picture = to_networkx(graph_of("g (float[3] x) => (float[3] y) { a = Exp(x) b = Neg(x) c = Neg(b) y = Add(a, c) }"))
    cost = {"Exp": 9}
    for _, reader, data in picture.edges(data=True):
        data["cost"] = cost.get(label(reader), 1)
    assert [label(node) for node in nx.dag_longest_path(picture)] == ["x", "Neg", "Neg", "Add", "exit"]
    assert [label(node) for node in nx.dag_longest_path(picture, weight="cost")] == ["x", "Exp", "Add", "exit"]


def test_the_example_in_the_documentation_runs() -> None:
    tried = doctest.testmod(importlib.import_module("graphopt.interop.networkx"))
    assert tried.attempted >= 4
    assert tried.failed == 0
