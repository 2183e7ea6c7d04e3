"""Slice backwards to an end of 2^31 - 1 or more: onnx's text gives nothing, onnxruntime everything. It was folded to nothing."""

from __future__ import annotations

import onnx.parser
import pytest

import graphopt

HEAD = '<ir_version: 8, opset_import: ["" : 14]> g '


def optimized(start: int, end: int, step: int) -> list[str]:
    text = f"""(float[4] x) => (int64[n] y) <int64[3] w = {{1, 2, 3}}, int64[1] s = {{{start}}}, int64[1] e = {{{end}}}, int64[1] a = {{0}},
        int64[1] k = {{{step}}}> {{ y = Slice(w, s, e, a, k) }}"""
    return [node.op_type for node in graphopt.optimize(onnx.parser.parse_model(HEAD + text)).graph.node]


@pytest.mark.parametrize(("start", "end"), [(-1, 2**63 - 1), (2, 2**31 - 1), (-9, -(2**63))])
def test_it_is_not_folded(start: int, end: int) -> None:
    assert optimized(start, end, -1) == ["Slice"]


@pytest.mark.parametrize(("start", "end", "step"), [(-1, -(2**63), -1), (2, 0, -1), (0, 2**63 - 1, 1), (-9, 9, 2)])
def test_other_ends_are(start: int, end: int, step: int) -> None:
    assert optimized(start, end, step) == []
