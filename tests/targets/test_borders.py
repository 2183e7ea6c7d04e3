"""Where floats come in and go out of a graph, and where they only cross the border of a subgraph; who keeps a DQ and a Q in a row."""

from __future__ import annotations

import onnx.parser
import pytest

import graphopt
from graphopt.infer.model import infer_model
from graphopt.passes.targets import TARGETS
from graphopt.pipeline.registry import installed
from graphopt.runtimes.lint import findings
from graphopt.runtimes.remaining import Remaining, outlook

X64, TENSORRT, OPENVINO = "onnxruntime-cpu-x64", "tensorrt", "openvino"
HEAD = '<ir_version: 10, opset_import: ["" : 21]> '
PARAMETERS = "<float s = {0.5}, int8 z = {0}, uint8 u = {0}>"
every_target = pytest.mark.parametrize("target", [target.name for target in TARGETS])


def left(signature: str, body: str, target: str = X64) -> dict[str, Remaining]:
    """What a runtime leaves, by the names of what it makes."""
    loaded = graphopt.load(onnx.parser.parse_model(f"{HEAD} {signature} {PARAMETERS} {{ {body} }}"))
    infer_model(loaded)
    wants = installed().target_named(target).wants
    found = outlook(loaded, wants)
    told = {one.name for one in findings(loaded, wants, found)}
    assert {one.name for one in found.remaining if one.culprit is None and not one.is_boundary} <= told
    assert not {one.name for one in found.remaining if one.is_boundary} & told
    return {one.name: one for one in found.remaining}


def branches(then: str, other: str, before: str = "") -> str:
    """An If whose branches return %a and %b."""
    then, other = f"t () => (float[4] a) {{ {then} }}", f"e () => (float[4] b) {{ {other} }}"
    return f"{before} y = If (which) < then_branch = {then}, else_branch = {other} >"


@every_target
def test_a_value_that_only_a_subgraph_reads_is_no_output(target: str) -> None:
    body = branches("a = Sin(d)", "b = Cos(d)", "d = DequantizeLinear(x, s, z)")
    (found,) = left("g (bool which, int8[4] x) => (float[4] y)", body, target).values()
    assert (found.reason, found.is_boundary) == ("%d is read inside a subgraph, in floats", False)


@every_target
def test_a_value_that_is_made_around_a_subgraph_is_no_input(target: str) -> None:
    body = branches("q = QuantizeLinear(h, s, z) a = DequantizeLinear(q, s, z)", "b = Cos(h)", "h = Sin(x)")
    found = left("g (bool which, float[4] x) => (float[4] y)", body, target)
    assert (found["q"].reason, found["q"].is_boundary) == ("%h is made outside this subgraph, in floats", False)
    assert (found["a"].reason, found["a"].is_boundary) == ("%a is an output of this subgraph, in floats", True)


@every_target
def test_an_input_that_a_subgraph_quantizes_is_one(target: str) -> None:
    body = branches("q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z)", "b = Cos(x)")
    found = left("g (bool which, float[4] x) => (float[4] y)", body, target)["q"]
    assert (found.reason, found.is_boundary) == ("%x is an input of a graph around this subgraph, in floats", True)


def test_an_input_of_a_body_is_one() -> None:
    body = """y = Loop (n, which, x) < body = t (int64 i, bool c, float[4] p) => (bool k, float[4] a) {
        k = Identity(c) q = QuantizeLinear(p, s, z) a = DequantizeLinear(q, s, z) } >"""
    found = left("g (int64 n, bool which, float[4] x) => (float[4] y)", body)
    assert [(one.reason, one.is_boundary) for one in found.values()] == [
        ("%p is an input of this subgraph, in floats", True),
        ("%a is an output of this subgraph, in floats", True),
    ]


@every_target
def test_a_value_that_nobody_reads_is_no_output(target: str) -> None:
    (found,) = left("g (int8[4] x) => (int8[4] y)", "d = DequantizeLinear(x, s, z) y = Identity(x)", target).values()
    assert (found.reason, found.helps, found.is_boundary) == ("nobody reads %d", "eliminate-dead-nodes", False)


def test_a_relu_of_a_value_from_around_a_subgraph() -> None:
    body = branches("r = Relu(h) q = QuantizeLinear(r, s, u) e = DequantizeLinear(q, s, u) a = Add(e, r)", "b = Cos(h)", "h = Sin(x)")
    found = left("g (bool which, float[4] x) => (float[4] y)", body)["q"]
    assert found.reason == "it quantizes what Relu 'r' computes on floats: %h is made outside this subgraph"


def test_what_a_unit_lacks_at_the_border_of_a_subgraph() -> None:
    add = "c = Add(d, h) q = QuantizeLinear(c, s, z) a = DequantizeLinear(q, s, z)"
    body = branches(f"d = DequantizeLinear(x, s, z) {add}", "b = Cos(h)", "h = Sin(f)")
    signature = "g (bool which, int8[4] x, float[4] f) => (float[4] y)"
    assert left(signature, body)["d"].why == "its input 1 (%h) is made outside this subgraph, not dequantized in it"
    body = branches("a = Cos(c)", "b = Cos(c)", "d = DequantizeLinear(x, s, z) c = Add(d, d) v = QuantizeLinear(c, s, z)")
    found = left("g (bool which, int8[4] x) => (int8[4] v, float[4] y)", body)
    assert found["v"].why == "its result %c is quantized and read inside a subgraph as well"


# ---- a DQ and a Q with the same parameters in a row

PAIR = "d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) "
READERS = {
    "one": ("g (int8[4] x) => (int8[4] y)", f"{PAIR} y = Max(q, z)"),
    "two": ("g (int8[4] x) => (int8[4] y, int8[4] v)", f"{PAIR} y = Max(q, z) v = Min(q, z)"),
    "an output": ("g (int8[4] x) => (int8[4] y, int8[4] q)", f"{PAIR} y = Max(q, z)"),
    "a subgraph": (
        "g (bool which, int8[4] x) => (float[4] y)", branches("a = DequantizeLinear(q, s, z)", "b = DequantizeLinear(q, s, z)", PAIR),
    ),
    "nobody": ("g (int8[4] x) => (int8[4] y)", f"{PAIR} y = Max(x, z)"),
}  # fmt: skip
WHO = {
    "two": "%q has several readers",
    "an output": "%q is an output of the graph as well",
    "a subgraph": "%q is read inside a subgraph",
    "nobody": "nobody reads %q",
}


@pytest.mark.parametrize("readers", READERS)
def test_who_keeps_a_pair_that_the_runtime_would_cancel(readers: str) -> None:
    found = left(*READERS[readers])
    if readers == "one":
        assert found == {}
    else:
        assert found["q"].reason.endswith(f"they undo each other, but {WHO[readers]}")
        assert found["d"].reason.endswith(f"they undo each other, but {WHO[readers]}")


@pytest.mark.parametrize("target", [TENSORRT, OPENVINO])
@pytest.mark.parametrize("readers", READERS)
def test_a_runtime_that_cancels_no_pair(readers: str, target: str) -> None:
    found = left(*READERS[readers], target)
    assert all(found[name].reason.endswith("they undo each other, but the runtime leaves such pairs") for name in "dq")


def test_readers_of_a_pair_that_went_are_counted() -> None:
    pairs = " ".join(f"d{n} = DequantizeLinear(q, s, z) q{n} = QuantizeLinear(d{n}, s, z) y{n} = Max(q{n}, z)" for n in (1, 2))
    found = left("g (int8[4] x) => (int8[4] y1, int8[4] y2)", f"{PAIR} {pairs}")
    assert found["q"].reason.endswith("they undo each other, but %q has several readers")
