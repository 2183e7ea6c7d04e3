"""A name that a subgraph uses and the graph around it too: after a pass moved the outer one, the inner one was taken for it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

import graphopt

# What stands before the If and after it; the branch has a `t` of its own.
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x, bool c) => (float[2] y, float[2] {output}) {{
    {before}
    y = If (c) <
        then_branch = a () => (float[2] r) {{ t = {inner}  u = Exp(x)  r = Add(u, t) }},
        else_branch = b () => (float[2] q) {{ q = Identity(x) }}
    >
    {after}
}}
"""


@pytest.mark.parametrize(
    ("before", "after", "output", "inner"),
    [
        # lift-constants makes an initializer of the outer t, which the branch then sees: "shape differs in dimension 0"
        ("", "t = Constant <value = float[2] {1.0, 2.0}> ()  w = Mul(x, t)", "w", "Constant <value = float[1] {5.0}> ()"),
        # eliminate-identity gives the name of the output t to k, which stands before the If
        ("k = Exp(x)", "t = Identity(k)", "t", "Neg(x)"),
    ],
)
def test_a_name_that_is_made_later_outside_does_not_hide_the_one_inside(before: str, after: str, output: str, inner: str) -> None:
    source = parser.parse_model(MODEL.format(before=before, after=after, output=output, inner=inner))
    onnx.checker.check_model(source, full_check=True)
    optimized = graphopt.optimize(source)
    onnx.checker.check_model(optimized, full_check=True)
    same(source, optimized)


def test_a_node_inside_that_gives_way_to_one_outside_reads_that_one() -> None:
    """eliminate-common-subexpressions let u = Exp(x) inside give way to the outer t, which the inner t then hid: Add(t, t)."""
    hiding = MODEL.format(before="t = Exp(x)  w = Neg(t)", after="", output="w", inner="Neg(x)")
    plain = MODEL.format(before="o = Exp(x)  w = Neg(o)", after="", output="w", inner="Neg(x)")
    optimized = graphopt.optimize(parser.parse_model(hiding))  # onnx forbids hiding a name made before; it is not computed wrongly
    onnx.checker.check_model(optimized, full_check=True)
    same(parser.parse_model(plain), optimized)


def test_names_that_only_branches_share_stay() -> None:
    text = MODEL.format(before="", after="w = Neg(x)", output="w", inner="Neg(x)").replace("q = Identity(x)", "t = Exp(x)  q = Neg(t)")
    optimized = graphopt.optimize(parser.parse_model(text), pipeline="eliminate-dead-nodes")
    assert optimized == parser.parse_model(text)


def same(one: onnx.ModelProto, other: onnx.ModelProto) -> None:
    """Both give the same bits."""
    for chosen in (True, False):
        feeds = {"x": np.array([1.0, 2.0], np.float32), "c": np.array(chosen)}
        for a, b in zip(ReferenceEvaluator(one).run(None, feeds), ReferenceEvaluator(other).run(None, feeds), strict=True):
            np.testing.assert_array_equal(a, b)
