"""An output whose element type is declared falsely is the model's fault, and said so; it was called a bug of graphopt's."""

from __future__ import annotations

import pytest
from onnx import parser

import graphopt
from graphopt.errors import ModelError


def test_a_falsely_declared_output_is_the_models_fault() -> None:
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        g (float[2] x) => (int64[2] y) { y = Relu(x) }""")
    with pytest.raises(ModelError, match=r"the outputs were y \(int64\), they are y \(float32\); correct the declaration"):
        graphopt.optimize(model)
