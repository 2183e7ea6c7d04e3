"""What became known by an edit flows downstream, as far as types are not those of all rounds or all callers."""

from __future__ import annotations

from typing import Any

import pytest

from graphopt import io
from graphopt.infer import elements, infer_model, infer_node, update
from graphopt.infer.update import update_types
from graphopt.ir import Dim, DType, Editor, Model, Node, Shape, TensorType, Value
from graphopt.pipeline.base import Context

HEAD = '<ir_version: 10, opset_import: ["" : 20, "own" : 1]>\ng '
N = Dim.symbol("N")


def loaded(text: str) -> Model:
    model = io.parse_text(HEAD + text)
    infer_model(model)
    return model


def value(model: Model, name: str) -> Value:
    """The value of this name, wherever it is made."""
    for graph in model.graphs():
        for found in (*graph.inputs, *(made for node in graph for made in node.outputs)):
            if found.name == name:
                return found
    raise KeyError(name)


def learn(model: Model, name: str, *shape: Any, dtype: DType = DType.float32) -> int:
    """Say what an edit found out of a value, and infer again what its readers make; returns how many values became better known."""
    known, editor = value(model, name), Editor(model)
    editor.set_type(known, TensorType(dtype, tuple(Dim.symbol(size) if isinstance(size, str) else size for size in shape)))
    return update_types(known.users, editor)


def shape(model: Model, name: str) -> Shape | None:
    return value(model, name).shape


def test_downstream_as_far_as_it_says_more() -> None:
    model = loaded("""(float[N,M] x, int64[2] s) => (float[A,B] y, float[C] z) {
        a = Reshape(x, s) b = Relu(a) c = Neg(b) y = Exp(c) k = Shape(y) t = Cast<to = 1>(k) z = Relu(t) }""")
    assert learn(model, "a", "N", 3) == 4  # b, c, y, and what k holds; its type and those behind it were known
    assert shape(model, "y") == (N, 3) and elements(value(model, "k")) == (N, 3) and shape(model, "z") == (2,)
    assert learn(model, "a", "N", 3) == 0


def test_a_size_of_its_own_is_found_out_and_another_is_kept() -> None:
    """`?a.0` stood for it; where only one of two is known, the other keeps its symbol."""
    model = loaded("(float[N,M] x, int64[2] s) => (float[A,B] y) { a = Reshape(x, s) y = Relu(a) }")
    other = Dim.symbol("?a.1")
    assert shape(model, "y") == (Dim.symbol("?a.0"), other)
    known, editor = value(model, "a"), Editor(model)
    editor.set_type(known, TensorType(DType.float32, (4, other)))
    assert update_types(known.users, editor) == 1
    assert shape(model, "y") == (4, other)


def test_into_branches_and_out_of_them() -> None:
    model = loaded("""(float[N,M] x, int64[2] s, bool c) => (float[A,B] y) {
        a = Reshape(x, s)
        w = If(c) <
            then_branch = one () => (float[] u) { u1 = Relu(a) u = If(c) <
                then_branch = inner () => (float[] p) { p = Exp(u1) }, else_branch = other () => (float[] q) { q = Neg(u1) }
            > },
            else_branch = two () => (float[] v) { v = Neg(a) }
        >
        y = Relu(w) }""")
    assert learn(model, "a", 2, 3) == 7  # u1, p, q, u, v, w, y
    assert [shape(model, name) for name in ("u1", "p", "u", "v", "w", "y")] == [(2, 3)] * 6


def test_what_a_branch_returns_without_a_node() -> None:
    model = loaded("""(float[N,M] x, int64[2] s, bool c) => (float[A,B] y) {
        a = Reshape(x, s)
        y = If(c) < then_branch = one () => (float[] u) { u = Relu(x) }, else_branch = two () => (float[] a) { } > }""")
    editor = Editor(model)
    node = value(model, "y").producer
    assert node is not None
    branch = node.subgraphs[1]
    editor.set_outputs(branch, [value(model, "a")])
    learn(model, "a", "N", "M")
    assert shape(model, "y") == (N, Dim.symbol("M"))


def test_never_into_loops() -> None:
    model = loaded("""(float[N,M] x, int64[2] s, int64 k, bool c) => (float[A,B] y, float[A2,B2] z) {
        a = Reshape(x, s)
        y = Loop(k, c, a) <body = body (int64 i, bool d, float[P,Q] h) => (bool e, float[P,Q] o) {
            inner = Relu(a) o = Add(h, inner) e = Identity(d)
        }>
        z = Relu(a) }""")
    before = shape(model, "inner"), shape(model, "h")
    learn(model, "a", 2, 3)
    assert (shape(model, "inner"), shape(model, "h")) == before  # `infer_model` finds them for all rounds together
    assert shape(model, "z") == (2, 3)
    infer_model(model, again=True)
    assert shape(model, "inner") == (2, 3)


def test_never_into_functions() -> None:
    model = loaded("""(float[N,M] x, int64[2] s) => (float[A,B] y, float[A2,B2] z) {
            a = Reshape(x, s) y = own.f(a) z = Relu(a) }
        <domain: "own", opset_import: ["" : 20]> f (p) => (q) { r = Relu(p) q = Neg(r) }""")
    before = value(model, "r").type
    learn(model, "a", 2, 3)
    assert value(model, "r").type == before and shape(model, "z") == (2, 3)
    function = next(iter(model.functions.values()))
    assert update_types(list(function.graph), Editor(model)) == 0


def test_nothing_is_lost() -> None:
    """What is told of a value beyond what its node says stays, in type and contents."""
    model = loaded("(float[N,M] x, int64[2] s) => (float[A,B] y) { a = Reshape(x, s) b = Relu(a) k = Shape(b) y = Neg(b) }")
    value(model, "y").type = TensorType(DType.float32, (N, 7))
    value(model, "k").contents = (5, None)
    assert learn(model, "a", "N", None) > 0
    assert shape(model, "y") == (N, 7)
    held = elements(value(model, "k"))
    assert held is not None and held[0] in (5, N) and held[1] is not None


def test_erased_nodes_and_the_end_are_passed_over() -> None:
    model = loaded("(float[N,M] x) => (float[N,M] y) { a = Relu(x) b = Neg(a) y = Neg(a) }")
    gone, editor = value(model, "b").producer, Editor(model)
    assert gone is not None
    editor.erase(gone)
    assert update_types([gone, model.graph.exit], editor) == 0


class Counted:
    """Counts the nodes that are inferred, and in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes: list[str] = []

        def counting(node: Node) -> Any:
            self.nodes.append(node.outputs[0].name)
            return infer_node(node)

        monkeypatch.setattr(update, "infer_node", counting)


def test_each_node_once_and_after_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ladder, of which each rung reads both ends of the one before: by depth first it would be 2 ** 50 visits."""
    rungs = " ".join(f"l{place + 1} = Add(l{place}, r{place}) r{place + 1} = Mul(r{place}, l{place})" for place in range(50))
    model = loaded(f"(float[N,M] x, int64[2] s) => (float[A,B] y) {{ l0 = Reshape(x, s) r0 = Relu(l0) {rungs} y = Add(l50, r50) }}")
    counted = Counted(monkeypatch)
    learn(model, "l0", 2, 3)
    assert len(counted.nodes) == len(set(counted.nodes)) == 102
    order = {node.outputs[0].name: node.position for node in model.graph}
    assert [order[name] for name in counted.nodes] == sorted(order[name] for name in counted.nodes)
    assert shape(model, "y") == (2, 3)


def test_what_says_no_more_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = " ".join(f"a{place + 1} = Relu(a{place})" for place in range(100))
    nodes = f"a = Reshape(x, s) k = Shape(a) a0 = ConstantOfShape(s) {chain} y = Neg(a100)"
    model = loaded(f"(float[N,M] x, int64[2] s) => (float[A,B] y) {{ {nodes} }}")
    counted = Counted(monkeypatch)
    learn(model, "a", 2, 3)
    assert counted.nodes == ["k"]


def test_the_runner_settles_what_an_edit_made_known() -> None:
    """A redirect to a better known value is noticed by the editor."""
    model = loaded("(float[2,3] x, int64[2] s) => (float[A,B] y) { a = Reshape(x, s) b = Relu(a) y = Neg(b) }")
    context = Context(model)
    context.editor.redirect(value(model, "a"), value(model, "x"))
    assert list(context.editor.unsettled) == [value(model, "b").producer]
    assert update_types(context.editor.unsettled, context.editor) == 2
    assert shape(model, "y") == (2, 3)
