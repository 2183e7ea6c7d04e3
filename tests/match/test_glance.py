"""What a glance tells of a node: it refuses what a matcher refuses, and never what one accepts."""

from __future__ import annotations

from typing import Any

import pytest

from graphopt import io
from graphopt.errors import GraphoptError
from graphopt.infer import infer_model
from graphopt.ir import Model, Node
from graphopt.match import Pattern, any_of, const, each, op, opt, product, rest, tensor
from graphopt.match.compiler import compile_rule
from graphopt.match.glance import PATIENCE, GlancingMatcher, may_match
from graphopt.match.index import governs
from graphopt.match.structure import openings
from graphopt.pipeline.registry import installed
from tests.match.graphs import model, rule_of
from tests.sweeps.models import bundled

x, y, z = tensor("x"), tensor("y"), tensor("z")

GRAPH = """(float[2,4] a, int64[4] i, float[2,4] q = {1, 1, 1, 1, 1, 1, 1, 1}) => (float[2,4] d, float[4,2] t, float[1,2,4] e)
    <float two = {2}, float[2,4] w = {1, 2, 3, 4, 5, 6, 7, 8}> {
    n = Neg(a)  r = Relu(n)  m = Mul(w, r)  p = Mul(m, two)  s = Add(p, q)  d = Sub(two, s)  t = Transpose<perm = [1, 0]>(d)
    k = Constant<value = int64[1] {0}>()  e = Unsqueeze(d, k)
}"""


@pytest.mark.parametrize(
    ("pattern", "node", "expected"),
    [
        (op.Relu(op.Neg(x)), "r", True),
        (op.Relu(op.Abs(x)), "r", False),
        (op.Relu(op.Abs(x) | op.Neg(x)), "r", True),
        (op.Mul(op.Relu(x), y), "m", True),  # either order
        (op.Mul(op.Relu(x), op.Relu(y)), "m", True),  # one input for both: a matcher finds that out
        (op.Mul(op.Relu(x), op.Neg(y)), "m", False),
        (op.Mul(x, const("c")), "m", True),
        (op.Add(x, const("c")), "s", False),  # a caller may override q
        (op.Mul(x, 2.0), "p", True),
        (op.Mul(x, 3.0), "p", False),
        (op.Sub(2.0, x), "d", True),
        (op.Sub(x, 2.0), "d", False),  # this order only
        (op.Add(tensor("x", dtype="float64"), y), "s", False),
        (op.Transpose(x, perm=(1, 0)), "t", True),
        (op.Transpose(x, perm=(0, 1)), "t", False),
        (op.Transpose(x, perm=lambda perm: False), "t", True),
        (op.Neg(x, y), "n", False),
        (op.Sub(x), "d", False),
        (op.Sub(x, rest("others")), "d", True),
        (op.Sub(x, y, opt(z)), "d", True),
        (op.Sub(each(op.Add(x, y))), "d", True),
        (op.Unsqueeze(op.Sub(x, y), const("axes")), "e", True),
        (op.Unsqueeze(op.Add(x, y), const("axes")), "e", False),
        (product(x, y, op.Neg(z)), "p", True),
        (product(x, y, z), "s", False),
        (any_of(op.Relu(x)), "d", False),
    ],
)
def test_what_a_glance_tells(pattern: Pattern, node: str, expected: bool) -> None:
    nodes = {made.output.name: made for made in model(GRAPH).graph}
    (((root,),),) = openings([pattern])
    assert may_match(root, nodes[node]) is expected


def test_attributes_that_are_inputs_now() -> None:
    """Below opset 13 the axes are an attribute: no input of the node is a constant."""
    (node,) = model("(float[2] a) => (float[1,2] b) { b = Unsqueeze<axes = [0]>(a) }", opset=11).graph
    (((root,),),) = openings([op.Unsqueeze(x, const("axes"))])
    assert may_match(root, node)


def test_who_looks_often_compiles() -> None:
    asked = rule_of(op.Relu(op.Abs(x)))
    (((root,),),) = openings(asked.patterns)
    matcher = GlancingMatcher(asked, 0, root)
    (_, relu) = model("(float[2] a) => (float[2] b) { n = Neg(a)  b = Relu(n) }").graph
    for _ in range(PATIENCE):
        assert matcher(relu, lambda *found: True) is None
    assert not asked.compiled
    assert matcher(relu, lambda *found: True) is None and asked.compiled


def test_a_glance_refuses_nothing_that_matches() -> None:
    """All rules at all nodes of the models that come with the tests."""
    matched = refused = 0
    for name, proto in bundled():
        try:
            read = io.load(proto)
        except GraphoptError:
            continue
        infer_model(read)
        for rule_name, at, found, glanced in _looks(read):
            assert glanced or not found, f"{name}: {rule_name} matches at {at!r}"
            matched += found
            refused += not glanced
    assert matched > 1000 and refused > 5000


def _looks(read: Model) -> list[tuple[str, Node, bool, bool]]:
    looks = []
    opsets = read.graph.opsets
    roots: dict[str, list[Any]] = {}
    for known in installed().rules().values():
        for opening, ((root, *_), *_) in enumerate(openings(known.rule.patterns)):
            if governs(known.rule, root, opsets):
                roots.setdefault(root.op, []).append((known.rule, opening, root))
    for node in read.nodes():
        for rule, opening, root in roots.get(node.op, ()):
            found = compile_rule(rule, opening=opening)(node, lambda *found: True)
            looks.append((rule.name, node, bool(found), may_match(root, node)))
    return looks
