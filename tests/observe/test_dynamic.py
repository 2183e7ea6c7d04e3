"""Why a node is still there, in a sentence that names what decides it; and the flag, if one exists, really removes it."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

import graphopt
from graphopt import io
from graphopt.infer import infer_model
from graphopt.observe.dynamic import Dependence, Remaining, remaining
from tests.api.models import operators

HEAD = '<ir_version: 10, opset_import: ["" : 20, "own" : 1, "com.microsoft" : 1]>\ng '
HELD = (
    "int64 i0 = {0}, int64 i1 = {1}, int64 i4 = {4}, int64 i9 = {9}, bool go = {1}, int64[1] one = {1}, int64[2] many = {5000, 5000}, "
    "float start = {0.0}"
)
PROVIDED = ", provided that the result is small, or the file may grow (-p 'level1, fold-constants{max-growth=1MiB}')"
FREEZE, REMOVES, NO_FLAG = "--freeze ", "would remove it", "no flag removes it"
OF_X = "the shape of %x"
BRANCHES = "< then_branch = a () => (float[N] u) { u = Relu(x) }, else_branch = b () => (float[N] v) { v = Neg(x) } >"
BODY = "< body = body (int64 j, bool d, float[N] h) => (bool e, float[N] o) { o = Add(h, h) e = Identity(d) } >"


def message_of(signature: str, nodes: str, functions: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(f"{HEAD} {signature} <{HELD}> {{ {nodes} }} {functions}")


def explained(message: onnx.ModelProto) -> list[Remaining]:
    """What is left of a model at level 1."""
    model = io.load(graphopt.optimize(message))
    infer_model(model)
    return remaining(model)


def said(signature: str, nodes: str, functions: str = "") -> list[str]:
    return [str(one) for one in explained(message_of(signature, nodes, functions))]


REMOVED = [
    (
        "(float[N,S] x, float[M] w) => (float[] y)",
        "s = Shape(x) t = Shape(w) u = Concat<axis = 0>(s, t) y = ConstantOfShape(u)",
        [
            f"Shape 's' reads {OF_X} (float32[N, S]), for Concat: it depends on the sizes N, S; --freeze N=...,S=... would remove it",
            "Shape 't' reads the shape of %w (float32[M]), for Concat: it depends on the size M; --freeze M=... would remove it",
            "ConstantOfShape 'y': how much it makes depends on the sizes M, N, S; --freeze M=...,N=...,S=... would remove it" + PROVIDED,
        ],
    ),
    (
        "(float[N,S] x) => (float[] y)",
        "s = Shape(x) n = Gather(s, one) t = Concat<axis = 0>(n, n) y = ConstantOfShape(t)",
        [
            "Shape 'Shape' reads the shape of %x (float32[N, S]), for Gather: it depends on the size S; --freeze S=... would remove it",
            "ConstantOfShape 'y': how much it makes depends on the size S; --freeze S=... would remove it" + PROVIDED,
        ],
    ),
    (
        "(float[N,S] x) => (int64 y)",
        "y = Size(x)",
        [f"Size 'y' reads {OF_X} (float32[N, S]), for the output: it depends on the sizes N, S; --freeze N=...,S=... would remove it"],
    ),
    (
        "(float[N,?] x) => (int64[1] y)",
        "y = Shape<start = 1>(x)",
        [f"Shape 'y' reads {OF_X} (float32[N, ?x.1]), for the output: it depends on the sizes N, x:1; {FREEZE}N=...,x:1=... {REMOVES}"],
    ),
    (
        "(float[N] x) => (float[] y)",
        f"s = Shape(x) n = Gather(s, i0) c = Greater(n, i4) y = If(c) {BRANCHES}",
        [
            "Shape 's' reads the shape of %x (float32[N]), for Gather: it depends on the size N; --freeze N=... would remove it",
            "If 'y': which branch it takes depends on the size N; --freeze N=... would remove it",
        ],
    ),
    (
        "(float[N] x) => (int64[] y)",
        "s = Shape(x) n = Gather(s, i0) y = Range(i0, n, i1)",
        [
            "Shape 's' reads the shape of %x (float32[N]), for Gather: it depends on the size N; --freeze N=... would remove it",
            "Range 'y': how much it makes depends on the size N; --freeze N=... would remove it" + PROVIDED,
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "nodes", "sentences"), REMOVED)
def test_the_flag_removes_the_node(signature: str, nodes: str, sentences: list[str]) -> None:
    """The node that reads this value is gone once these sizes are numbers; of two that are alike the other may stay."""
    message = message_of(signature, nodes)
    found = explained(message)
    assert [str(one) for one in found] == sentences
    for one in found:
        frozen = graphopt.optimize(message, freeze=dict.fromkeys(one.freeze, 3))
        left = [(node.op_type, list(node.input)) for node in frozen.graph.node]
        assert (one.node.op, [value.name for value in one.node.inputs if value is not None]) not in left
    everything = {size for one in found for size in one.freeze}
    assert not explained(graphopt.optimize(message, freeze=dict.fromkeys(everything, 3)))


STAYING = [
    (
        "(float[N,S] x) => (int64[] y, int64[] z)",
        "y = NonZero(x) z = Shape(y)",
        [
            "NonZero 'y': how much it finds depends on the values of x; no flag removes it",
            "Shape 'z' reads the shape of %y (int64[2, ?y.1]), for the output: it depends on what comes out of NonZero 'y'; " + NO_FLAG,
        ],
    ),
    ("(float[N] x, bool[N] c) => (float[] y)", "y = Compress(x, c)",
     ["Compress 'y': how much it finds depends on the values of c, x; no flag removes it"]),
    ("(float[N] x) => (float[] y)", "y = Unique(x)", ["Unique 'y': how much it finds depends on the values of x; no flag removes it"]),
    ("(float[1,N,4] x, float[1,2,N] z) => (int64[] y)", "y = NonMaxSuppression(x, z)",
     ["NonMaxSuppression 'y': how much it finds depends on the values of x, z; no flag removes it"]),
    ("(float[N] x, bool c) => (float[] y)", f"y = If(c) {BRANCHES}",
     ["If 'y': which branch it takes depends on the values of c; no flag removes it"]),
    ("(float[N] x, int64 k) => (float[] y)", f"y = Loop(k, go, x) {BODY}",
     ["Loop 'y': how often it runs depends on the values of k; no flag removes it"]),
    ("(float[N] x) => (float[] y)", f"y = Loop(i9, go, x) {BODY}",
     ["Loop 'y' may run 9 times; only a Loop of at most one round is inlined; no flag removes it"]),
    (
        "(float[3,N] x) => (float[] y, float[] z)",
        """y, z = Scan<num_scan_inputs = 1, body = body (float h, float[N] r) => (float o, float[N] w) {
            t = ReduceSum<keepdims = 0>(r) o = Add(h, t) w = Identity(r) }>(start, x)""",
        ["Scan 'y' goes along an axis; a Scan is kept whatever its length; no flag removes it"],
    ),
    ("(int64[2] x) => (float[] y)", "y = ConstantOfShape(x)",
     ["ConstantOfShape 'y': how much it makes depends on the values of x; no flag removes it"]),
    ("(int64 x) => (int64[] y)", "y = Range(i0, x, i1)", ["Range 'y': how much it makes depends on the values of x; no flag removes it"]),
    ("(float[2] x) => (float[] y)", "a = ConstantOfShape(many) y = Relu(a)",
     [("ConstantOfShape 'a': how much it makes is known, but stored it would make the file bigger, or no fold knows it; "
       "with -p 'level1, fold-constants{max-growth=1MiB}' it may be")]),
    ("(float[N] x) => (float[] y)", "r = RandomNormalLike(x) k = NonZero(r) y = Cast<to = 1>(k)",
     ["NonZero 'k': how much it finds depends on the values of x and what comes out of RandomNormalLike 'r'; no flag removes it"]),
    ("(float[N,S] x, int64[K] k) => (int64[] y)", "a = Reshape(x, k) y = Shape(a)",
     ["Shape 'y' reads the shape of %a (of unknown rank), for the output: it depends on the values of k, x; no flag removes it"]),
    ("(float[N,S] x, int64 k) => (int64[] y)", "s = Shape(x) n = Gather(s, i0) c = Add(n, k) y = Range(i0, c, i1)",
     ["Shape 's' reads the shape of %x (float32[N, S]), for Gather: it depends on the size N; --freeze N=... would remove it",
      "Range 'y': how much it makes depends on the size N and the values of k; no flag removes it"]),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "nodes", "sentences"), STAYING)
def test_no_flag_where_data_decides(signature: str, nodes: str, sentences: list[str]) -> None:
    assert said(signature, nodes) == sentences


def test_a_loop_goes_if_it_then_runs_once() -> None:
    message = message_of("(float[N] x) => (float[] y)", f"s = Shape(x) n = Gather(s, i0) y = Loop(n, go, x) {BODY}")
    _, loop = explained(message)
    assert str(loop) == (
        "Loop 'y': how often it runs depends on the size N; --freeze N=... would remove it, provided that it then runs at most once"
    )
    assert operators(graphopt.optimize(message, freeze={"N": 1})) == ["Add"]
    assert operators(graphopt.optimize(message, freeze={"N": 2})) == ["Loop"]


def test_in_functions_and_branches() -> None:
    """What a function's parameters hold its callers decide, and so the sizes that are not the same for all of them."""
    # Of this domain: other functions are inlined, and then it is known who calls.
    functions = """<domain: "com.microsoft", opset_import: ["" : 20]> f (p) => (q) { s = Shape(p) q = ConstantOfShape(s) }
                   <domain: "com.microsoft", opset_import: ["" : 20]> found (p) => (q) { k = NonZero(p) q = Cast<to = 1>(k) }"""
    signature = "(float[N] x, float[M] z) => (float[] y, float[] w, float[] v)"
    sentences = said(signature, "y = com.microsoft.f(x) w = com.microsoft.f(z) v = com.microsoft.found(x)", functions)
    assert len(sentences) == 3
    assert all("p of f" in sentence or "p of found" in sentence for sentence in sentences)
    assert all(sentence.endswith("no flag removes it") for sentence in sentences)


def test_order_is_that_of_the_nodes_and_inner_graphs_follow() -> None:
    message = message_of(
        "(float[N] x, bool c) => (float[] y, int64[] z)",
        """y = If(c) < then_branch = a () => (float[] u) { k = NonZero(x) u = Cast<to = 1>(k) },
                       else_branch = b () => (float[] v) { v = Relu(x) } > z = NonZero(x)""",
    )
    assert [(one.node.op, one.node.output.name) for one in explained(message)] == [("If", "y"), ("NonZero", "z"), ("NonZero", "k")]


def test_what_decides_is_written_in_one_order() -> None:
    assert str(Dependence()) == "nothing but constants"
    sizes, data = Dependence(sizes=frozenset({"b", "a"})), Dependence(inputs=frozenset({"x"}))
    assert str(sizes | data) == "the sizes a, b and the values of x"
    assert sizes & data == Dependence() and (sizes | data) & data == data


def test_nothing_is_left() -> None:
    assert said("(float[2] x) => (float[2] y)", "y = Relu(x)") == []
