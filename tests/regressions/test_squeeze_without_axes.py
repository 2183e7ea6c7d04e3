"""Squeeze with an empty list of axes: onnx's text removes nothing, onnxruntime every extent of 1. Nothing may be concluded from it."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

import graphopt

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g '


def optimized(text: str) -> list[str]:
    """The operators that are left."""
    source = parser.parse_model(HEAD + text)
    onnx.checker.check_model(source)
    return [node.op_type for node in graphopt.optimize(source).graph.node]


def test_the_shape_behind_it_is_not_known() -> None:
    """Shape became [1, 3]; Reshape to it, and Expand to it, were dropped or failed in onnxruntime."""
    text = "(float[1, 3] x) => (int64[n] y) <int64[0] none = {}> { t = Squeeze(x, none)  y = Shape(t) }"
    assert optimized(text) == ["Squeeze", "Shape"]


def test_it_is_not_folded() -> None:
    text = "(float[3] x) => (float[n, 3] y) <int64[0] none = {}, float[1, 3] w = {1.0, 2.0, 3.0}> { t = Squeeze(w, none)  y = Add(x, t) }"
    assert optimized(text) == ["Squeeze", "Add"]


@pytest.mark.parametrize(("first", "second"), [("Unsqueeze", "Squeeze"), ("Squeeze", "Unsqueeze")])
def test_a_pair_of_it_stays(first: str, second: str) -> None:
    text = f"(float[1, 3] x) => (float[m, n] y) <int64[0] none = {{}}> {{ t = {first}(x, none)  y = {second}(t, none) }}"
    assert "Squeeze" in optimized(text)


def test_without_an_extent_of_1_it_is_known() -> None:
    text = "(float[2, 3] x) => (int64[2] y) <int64[0] none = {}> { t = Squeeze(x, none)  y = Shape(t) }"
    assert optimized(text) == []
