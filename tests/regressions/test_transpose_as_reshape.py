"""Transpose became a Reshape that fails when a dimension that 0 copies is 0; a perm of the wrong length broke the pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

import graphopt

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[{shape}] x) => (float[a, b, c, d] y) {{ y = Transpose <perm = [{perm}]> (x) }}'


@pytest.mark.parametrize("sizes", [(0, 5), (3, 0), (0, 0), (2, 3)])
def test_an_empty_batch_goes_through(sizes: tuple[int, int]) -> None:
    """The shape [0, -1, 1, 4] has no meaning for (0, 1, 5, 4): -1 may be anything."""
    optimized = graphopt.optimize(parser.parse_model(TEXT.format(shape="N, 1, M, 4", perm="0, 2, 1, 3")))
    x: npt.NDArray[np.float32] = np.ones((sizes[0], 1, sizes[1], 4), np.float32)
    (y,) = ReferenceEvaluator(optimized).run(None, {"x": x})
    np.testing.assert_array_equal(y, x.transpose(0, 2, 1, 3))


def test_one_unknown_dimension_that_moves_is_still_a_reshape() -> None:
    optimized = graphopt.optimize(parser.parse_model(TEXT.format(shape="1, M, 1, 4", perm="1, 0, 2, 3")))
    assert [node.op_type for node in optimized.graph.node] == ["Reshape"]


def test_a_perm_that_does_not_fit_is_left_alone() -> None:
    source = parser.parse_model(TEXT.format(shape="1, 4", perm="0, 2, 1, 3"))
    assert graphopt.optimize(source).graph.node == source.graph.node
