"""-1 in the shape of a Reshape, where another size is 0 when the model runs: what it stood for came out otherwise, or not at all."""

from __future__ import annotations

import onnx.parser
import pytest

import graphopt
from tests.passes.all_sizes import operators, simplified
from tests.runtimes import HAS_OLD_RUNTIME

HEAD = '<ir_version: 8, opset_import: ["" : 20]> g '
HELD = (
    "int64 i = {0}, int64[1] c = {4}, int64[1] zero = {0}, int64[1] two = {2}, int64[1] one = {1}, int64[1] rest = {-1}, "
    "int64[2] flat = {-1, 1}"
)


@pytest.mark.parametrize(
    "nodes",
    [
        # With allowzero onnxruntime goes on: (0, 4, 5) to (0, 20). Without, and with 0 for the first size, it fails.
        "n = Shape<start = 0, end = 1>(x) t = Concat<axis = 0>(n, rest) y = Reshape<allowzero = 1>(x, t)",
        "n = Shape<start = 2>(x) t = Concat<axis = 0>(rest, n) y = Reshape<allowzero = 1>(x, t)",
        "n = Shape<start = 2>(x) t = Concat<axis = 0>(rest, c, n) y = Reshape<allowzero = 1>(x, t)",
        # What -1 comes out as then hangs on the shape between.
        "n = Shape<start = 0, end = 1>(x) t = Concat<axis = 0>(n, rest) a = Reshape(x, flat) y = Reshape<allowzero = 1>(a, t)",
        # N is not 0, as the Gather says; N - 2 may be.
        """g = Gather(x, i) k = ReduceSum<keepdims = 0>(g) a = Slice(x, one, rest, zero) m = Shape<start = 2>(x)
        t = Concat<axis = 0>(rest, two, two, m) u = Reshape(a, t) y = Add(u, k)""",
    ],
)
def test_it_runs_as_before(nodes: str) -> None:
    simplified(f"{HEAD} (float[N,4,M] x) => (float[] y) <{HELD}> {{ {nodes} }}")


def test_a_zero_that_copies_what_is_not_there() -> None:
    """The second Reshape has no run that succeeds; looking for what its 0 copies was an IndexError."""
    text = f"{HEAD} (float[2,3] x) => (float[] y) <{HELD}, int64[2] r = {{6, 0}}> {{ a = Reshape(x, rest) y = Reshape(a, r) }}"
    assert operators(graphopt.optimize(onnx.parser.parse_model(text))) == ["Reshape", "Reshape"]


@pytest.mark.skipif(HAS_OLD_RUNTIME, reason="older runtimes refuse it when the model runs as well")
def test_folding_does_not_show_a_shape_that_nothing_loads() -> None:
    """ONNX forbids 0 and -1 in one constant shape with allowzero; computed when the model runs, onnxruntime takes it."""
    text = f"""{HEAD} (float[N,4] x) => (float[] y) <{HELD}> {{
        t = Concat<axis = 0>(zero, rest) u = Reshape<allowzero = 1>(x, t) y = ReduceSum<keepdims = 0>(u) }}"""
    assert "Concat" in operators(graphopt.optimize(onnx.parser.parse_model(text)))
    simplified(text)


def test_folding_does_not_show_a_shape_that_cannot_be() -> None:
    """A branch that is never taken may hold a Reshape that has no result; the model loads all the same."""
    text = f"""{HEAD} (float[2,3] x, bool b) => (float[] y) <{HELD}> {{
        y = If (b) <then_branch = yes () => (float[] p) {{ p = ReduceSum<keepdims = 0>(x) }},
                    else_branch = no () => (float[] q) {{
                        t = Concat<axis = 0>(c, two) u = Reshape(x, t) q = ReduceSum<keepdims = 0>(u) }}> }}"""
    model = graphopt.load(onnx.parser.parse_model(text))
    graphopt.optimize(model)
    assert any(node.op == "Concat" for node in model.nodes())
