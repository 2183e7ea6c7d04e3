"""A Loop that went with the only Shape of its result: the driver still visited what its body held, and broke."""

from __future__ import annotations

import onnx
import onnx.parser

import graphopt

TEXT = """
<ir_version: 8, opset_import: ["" : 20]>
g (float[N,4] x, int64 k) => (float[N,2,2] y) <int64[1] zero = {0}, int64[2] pair = {2, 2}, int64[1] rest = {-1}, bool go = {1}> {
    h = Loop(k, go, x) <
        body = body (int64 i, bool d, float[N,4] h0) => (bool e, float[N,4] o) {
            s0 = Shape(x) n0 = Gather(s0, zero) t0 = Concat<axis = 0>(n0, rest) r = Reshape(h0, t0) o = Add(r, x) e = Identity(d)
        }
    >
    s = Shape(h)
    m = Gather(s, zero)
    t = Concat<axis = 0>(m, pair)
    y = Reshape(x, t)
}
"""


def test_the_loop_is_gone() -> None:
    for pipeline in ("materialize-shapes", "level1"):
        optimized = graphopt.optimize(onnx.parser.parse_model(TEXT), pipeline=pipeline, verify_each=True)
        assert [node.op_type for node in optimized.graph.node] == ["Reshape"]
