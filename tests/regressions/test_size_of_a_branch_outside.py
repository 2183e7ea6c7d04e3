"""Of three equal sizes the first went, the second was made in a branch, and the third became a reader of the second: no valid model."""

from __future__ import annotations

import onnx.parser

import graphopt

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[S] x, int64 n) => (float[A] y, int64[1] z, int64 k) <int64[1] zero = {0}, int64 last = {-1}, int64 one = {1}> {
    matrix = Unsqueeze(x, zero)
    shape = Shape(matrix)
    size = Gather(shape, one)
    first = Shape(x)
    again = Gather(first, last)
    is_long = Greater(again, one)
    y = If(is_long) <
        then_branch = one_branch () => (float[B] u) { second = Shape(x) u = ConstantOfShape(second) },
        else_branch = other_branch () => (float[C] v) { v = Mul(x, x) }
    >
    third = Shape<start = 1, end = 2>(matrix)
    z = Neg(third)
    k = Add(size, n)
}
"""


def test_what_a_branch_made_is_forgotten_where_it_ends() -> None:
    source = onnx.parser.parse_model(TEXT)
    for pipeline in ("simplify-shape-arithmetic", "level1"):
        graphopt.optimize(source, pipeline=pipeline, verify_each=True)  # which checks that everything is made before it is read
