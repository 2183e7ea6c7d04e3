"""Sizes that are not 0 wherever a run succeeds: each claim where onnxruntime fails at 0, and no other."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

from graphopt import io
from graphopt.infer import elements, infer_model
from graphopt.ir import Dim, DType, Model, TensorType
from tests.passes.all_sizes import all_feeds, ran, session
from tests.passes.models import needs_onnxruntime
from tests.runtimes import HAS_OLD_RUNTIME

HEAD = '<ir_version: 10, opset_import: ["" : 20, "own" : 1]>\ng '
HELD = (
    "int64 first = {0}, int64 last = {-1}, int64[0] none = {}, int64[1] one = {1}, int64[1] three = {3}, int64[1] rest = {-1}, "
    "int64[2] copied = {0, -1}"
)
N_OF_X, M_OF_X = "n = Shape<start = 0, end = 1>(x) ", "m = Shape<start = 1, end = 2>(x) "


def message_of(inputs: str, nodes: str, functions: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(f"{HEAD} ({inputs}) => (float[] y) <{HELD}> {{ {nodes} }} {functions}")


def claims(message: onnx.ModelProto) -> set[str]:
    model = io.load(message)
    infer_model(model)
    return {name for name in model.positive if not name.startswith("?")}


FACTS = [
    # Reshape with -1 beside a size that is copied
    ("float[N,M] x", N_OF_X + "t = Concat<axis = 0>(n, rest) y = Reshape(x, t)", "N"),
    ("float[N,M] x", M_OF_X + "t = Concat<axis = 0>(rest, m) y = Reshape(x, t)", "M"),
    ("float[N,M] x", "y = Reshape(x, copied)", "N"),
    ("float[N,M] x", N_OF_X + "t = Concat<axis = 0>(rest, n) y = Reshape(x, t)", None),
    ("float[N,M] x", "y = Reshape(x, rest)", ""),
    ("float[N,M] x", N_OF_X + M_OF_X + "t = Concat<axis = 0>(n, m, rest) y = Reshape(x, t)", "N M"),
    # an entry at an axis that x lacks
    ("float[N,M] x", N_OF_X + M_OF_X + "t = Concat<axis = 0>(one, n, m) y = Reshape(x, t)", None),
    ("float[3,N] x", "n = Shape<start = 1>(x) t = Concat<axis = 0>(three, one, n) y = Reshape(x, t)", "N"),
    ("float[N,M] x", N_OF_X + M_OF_X + "t = Concat<axis = 0>(n, m) y = Reshape(x, t)", ""),
    # Gather of a constant index
    ("float[N,M] x", "y = Gather(x, first)", "N"),
    ("float[N,M] x", "y = Gather<axis = -1>(x, last)", "M"),
    ("float[N,M] x", "y = Gather(x, none)", ""),
    ("float[3,M] x", "y = Gather(x, first)", ""),
    # a size against what Reshape copies where that is 0: onnxruntime takes (5, 12) for (5, 0), which does not broadcast
    ("float[N,5] x, float[N,S] z", N_OF_X + "s = Shape<start = 1>(z) t = Concat<axis = 0>(n, s) r = Reshape(x, t) y = Add(r, z)", "S"),
    ("float[N,5] x, float[N,S] z", N_OF_X + "s = Shape<start = 1>(z) t = Concat<axis = 0>(n, s) r = Reshape(x, t) y = Mul(z, r)", "S"),
    ("float[N,1] x, float[N,S] z", N_OF_X + "s = Shape<start = 1>(z) t = Concat<axis = 0>(n, s) r = Reshape(x, t) y = Add(r, z)", ""),
    # with allowzero a 0 is a 0
    ("float[N,M] x", N_OF_X + "t = Concat<axis = 0>(n, rest) y = Reshape<allowzero = 1>(x, t)", ""),
    ("float[N,M] x", N_OF_X + M_OF_X + "t = Concat<axis = 0>(one, n, m) y = Reshape<allowzero = 1>(x, t)", ""),
]


@needs_onnxruntime
@pytest.mark.parametrize(("inputs", "nodes", "expected"), FACTS)
def test_claimed_where_a_run_would_fail(inputs: str, nodes: str, expected: str | None) -> None:
    """`expected` is None where more fails than is claimed: that is right as well, and nothing is lost but a rewrite."""
    message = message_of(inputs, nodes)
    found = claims(message)
    if expected is not None:
        assert sorted(found) == sorted(expected.split())
    model = session(message)
    names = {dim.dim_param for value in message.graph.input for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    succeeds: set[str] = set()  # the symbols with which some run succeeds though they are 0
    for feeds in all_feeds(message):
        sizes = {
            dim.dim_param: size
            for value in message.graph.input
            for dim, size in zip(value.type.tensor_type.shape.dim, feeds[value.name].shape, strict=True)
            if dim.dim_param
        }
        if ran(model, ["y"], feeds) is not None:
            succeeds.update(name for name in names if sizes[name] == 0)
    assert not found & succeeds
    if expected is not None and not (HAS_OLD_RUNTIME and "allowzero" in nodes):  # where -1 beside a 0 fails
        assert found == names - succeeds


@pytest.mark.parametrize(
    ("inputs", "nodes", "functions"),
    [
        ("float[N,M] x", "g = Gather(x, first) y = Relu(x)", ""),  # no output depends on it
        ("float[N,3] x", "g = Gather(x, first) a = Relu(g) s = Shape(a) y = ConstantOfShape(s)", ""),  # only its shape is read
        (
            "float[N,M] x, bool c",
            """y = If(c) < then_branch = a () => (float[] u) { u = Gather(x, first) },
                           else_branch = b () => (float[] v) { v = Gather(x, none) } >""",
            "",
        ),
        (
            "float[N,M] x, bool c, int64 k",
            """y = Loop(k, c, x) < body = a (int64 i, bool d, float[N,M] h) => (bool e, float[N,M] o) {
                   row = Gather(x, first) o = Add(h, row) e = Identity(d) } >""",
            "",
        ),
        (
            "float[N,M] x",
            "y = own.f(x)",
            '<domain: "own", opset_import: ["" : 20]> f (p) => (q) { i = Constant<value = int64 {0}>() q = Gather(p, i) }',
        ),
    ],
    ids=["dead", "shape only", "branch", "loop", "function"],
)
def test_not_claimed_of_what_may_not_run(inputs: str, nodes: str, functions: str) -> None:
    assert claims(message_of(inputs, nodes, functions)) == set()


def test_claimed_of_what_a_branch_reads() -> None:
    """The node runs before the If does, whichever branch that takes."""
    nodes = """g = Gather(x, first) y = If(c) < then_branch = a () => (float[] u) { u = Relu(g) },
                                              else_branch = b () => (float[] v) { v = Relu(x) } >"""
    assert claims(message_of("float[N,M] x, bool c", nodes)) == {"N"}


def test_a_fact_found_late_is_used_from_the_beginning() -> None:
    """Only the last node says that N is not 0; that [N, S] is the shape of the first Reshape's result hangs on it."""
    begin = N_OF_X + "s = Shape<start = 1>(z) t = Concat<axis = 0>(n, s) r = Reshape(w, t) "
    nodes = begin + "f = Gather(z, first) a = ReduceSum<keepdims = 0>(f) k = Shape(r) p = Relu(r) y = Add(p, a)"
    model = io.load(message_of("float[N,M] x, float[S,N] w, float[N,S] z", nodes))
    infer_model(model)
    assert "N" in model.positive
    assert not any(names & model.positive for names in model.doubted.values())
    made = {value.name: value for node in model.graph for value in node.outputs}
    assert str(made["p"].type) == "float32[N, S]" and elements(made["k"]) == made["p"].shape  # what follows from it knows as well
    known = {name: (value.type, value.contents) for name, value in made.items()}
    infer_model(model, again=True)
    assert known == {name: (value.type, value.contents) for name, value in made.items()}


def test_a_second_inference_ends_and_finds_the_same() -> None:
    for inputs, nodes, _ in FACTS:
        model = io.load(message_of(inputs, nodes))
        infer_model(model)
        first = known(model)
        infer_model(model, again=True)
        assert known(model) == first
        infer_model(model)
        assert known(model) == first


def known(model: Model) -> tuple[object, ...]:
    types = tuple(value.type for node in model.graph for value in node.outputs)
    return types, frozenset(model.positive), dict(model.copies)


def test_copies_are_remembered_by_the_symbol() -> None:
    nodes = N_OF_X + "s = Shape<start = 1>(z) t = Concat<axis = 0>(n, s) y = Reshape(x, t)"
    model = io.load(message_of("float[N,5] x, float[N,S] z", nodes))
    infer_model(model)
    assert model.copies == {"?y.1": Dim.symbol("S")}
    assert model.graph.outputs[0].type == TensorType(DType.float32, (Dim.symbol("N"), Dim.symbol("?y.1")))
