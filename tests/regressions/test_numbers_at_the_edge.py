"""Numbers at the edge of their types: they stopped the whole run, or came out as others."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

import graphopt
from graphopt import io
from graphopt.errors import GraphoptError
from graphopt.passes.eliminate_redundant_index import EliminateRedundantIndex
from graphopt.passes.eliminate_space_depth_pair import EliminateSpaceDepthPair
from graphopt.passes.eliminate_zero_bias import EliminateZeroBias
from graphopt.passes.fuse_consecutive_pads import FuseConsecutivePads
from graphopt.passes.fuse_instance_norm import FuseInstanceNorm
from graphopt.passes.simplify_expand import SimplifyExpand
from tests.passes.models import before_and_after, needs_onnxruntime, ops, parse, run

TILES = """<ir_version: 10, opset_import: ["" : 20]>
g (float[0] x) => (float[0] y) <int64[1] a = {4611686018427387904}> { t = Tile(x, a) y = Tile(t, a) }"""
PADS = """<ir_version: 10, opset_import: ["" : 20]>
g (float[N] x) => (float[M] y) <int64[2] a = {0, 9223372036854775807}> { t = Pad(x, a) y = Pad(t, a) }"""
NORMALIZED = """<ir_version: 10, opset_import: ["" : 20]>
g (float[1, 2, 2, 2] x) => (float[1, 2, 2, 2] y)
<float[2] one = {1, 1}, float[2] zero = {0, 0}, float[1, 2, 1, 1] c = {%s, 2}> { t = InstanceNormalization(x, one, zero) y = Mul(t, c) }"""


def test_repeats_and_pads_that_an_int64_cannot_hold_stay_apart() -> None:
    for text, step in ((TILES, SimplifyExpand()), (PADS, FuseConsecutivePads())):
        model = parse(text)
        assert run(model, step) == 0
        assert len(ops(model.graph)) == 2


@needs_onnxruntime
@pytest.mark.parametrize(("factor", "fuses"), [("3e38", False), ("inf", False), ("3", True)])
def test_a_scale_whose_quotient_overflows_stays_behind_the_normalization(factor: str, fuses: bool) -> None:
    feeds = {"x": np.full((1, 2, 2, 2), 1.5, np.float32)}
    before, after, model = before_and_after(onnx.parser.parse_model(NORMALIZED % factor), feeds, FuseInstanceNorm(), by_onnxruntime=True)
    assert ops(model.graph) == ["InstanceNormalization", *([] if fuses else ["Mul"])]
    np.testing.assert_array_equal(before[0], after[0])


@pytest.mark.parametrize("kind", ["float16", "double"])
def test_the_bounds_that_clip_has_by_itself_have_no_older_spelling_but_in_float32(kind: str) -> None:
    text = '<ir_version: 8, opset_import: ["" : 13]> g (%s[2] x) => (%s[2] y) <%s low = {0}> { y = Clip(x, low) }'
    with pytest.raises(GraphoptError, match="Clip without max has the bounds of float32 before opset 11"):
        graphopt.optimize(onnx.parser.parse_model(text % (kind, kind, kind)), opset=10)
    older = graphopt.optimize(onnx.parser.parse_model(text % ("float", "float", "float")), opset=10)
    assert [attribute.name for node in older.graph.node for attribute in node.attribute] == ["min"]


def test_bounds_that_cross_mean_nothing_below_opset_13() -> None:
    text = """<ir_version: 8, opset_import: ["" : 13]>
    g (float[2] x) => (float[2] y) <float low = {2}, float high = {1}> { y = Clip(x, low, high) }"""
    with pytest.raises(GraphoptError, match="its min must not be above its max"):
        graphopt.optimize(onnx.parser.parse_model(text), opset=10, only=["convert-opset"])


def test_a_range_that_doubles_cannot_count_is_not_folded() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g () => (int64[N] y) <int64 a = {9223372036854775800}, int64 b = {9223372036854775803}, int64 one = {1}> { y = Range(a, b, one) }"""
    assert ops(io.load(graphopt.optimize(onnx.parser.parse_model(text))).graph) == ["Range"]
    small = text.replace("9223372036854775800", "5").replace("9223372036854775803", "8")
    assert ops(io.load(graphopt.optimize(onnx.parser.parse_model(small))).graph) == []


@pytest.mark.parametrize(
    "text",
    [
        "(float[1, 4, 2, 2] x) => (float[a, b, c, d] y) { s = SpaceToDepth<blocksize = 0>(x) y = DepthToSpace<blocksize = 0>(s) }",
        "(float[4] x) => (float[N] y) <int64 i = {1}> { y = GatherND(x, i) }",
    ],
)
def test_invalid_nodes_end_nothing(text: str) -> None:
    model = parse(f'<ir_version: 10, opset_import: ["" : 20]> g {text}')
    before = ops(model.graph)
    for step in (EliminateSpaceDepthPair(), EliminateRedundantIndex()):
        run(model, step)
    assert ops(model.graph) == before


def test_what_a_local_function_calls_a_move_is_not_looked_through() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float[1, 1, 4] x, float[1, 1, 1] w) => (float[1, 1, M] y) <float[1] none = {0}>
    { b = Identity(none) y = Conv(x, w, b) }
    %s"""
    plain = parse(text % "")
    assert run(plain, EliminateZeroBias()) == 1
    other = text % '<domain: "", opset_import: ["" : 20]> Identity (a) => (c) { one = Constant<value_float = 1.0>() c = Add(a, one) }'
    assert run(parse(other), EliminateZeroBias()) == 0
