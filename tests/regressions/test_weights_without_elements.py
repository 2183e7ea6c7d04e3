"""Weights of no channels are multiplied and added up like all others: there is just nothing to do."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import graphopt

BN = "y = BatchNormalization(t, scale, shift, mean, var)"
MODELS = {
    "Gemm of no columns": f"float[1,0] x) => (float[1,K] y) <float[K,0] w, P> {{ t = Gemm<transB = 1>(x, w)  {BN} }}",
    "Conv of no inputs": f"float[1,0,4,4] x) => (float[1,K,4,4] y) <float[K,0,1,1] w, P> {{ t = Conv(x, w)  {BN} }}",
    "scaled Conv": "float[1,0,4,4] x) => (float[1,K,4,4] y) <float[K,0,1,1] w, float c = {2}> { t = Conv(x, w)  y = Mul(t, c) }",
    "scaled ConvTranspose": (
        "float[1,0,4,4] x) => (float[1,K,4,4] y) <float[0,K,1,1] w, float c = {2}> { t = ConvTranspose(x, w)  y = Mul(t, c) }"
    ),
}


@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("text", MODELS.values(), ids=MODELS)
def test_nothing_to_multiply(text: str, channels: int) -> None:
    ones = ", ".join(f"float[{channels}] {name} = {{{', '.join(['1'] * channels)}}}" for name in ("scale", "shift", "mean", "var"))
    body = text.replace("P>", f"{ones}>").replace("K", str(channels)).replace("] w", "] w = {}")
    before = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g ({body}')
    after = graphopt.optimize(before)
    assert isinstance(after, onnx.ModelProto)
    assert len(after.graph.node) == 1
    onnx.checker.check_model(after, full_check=True)
    if channels and "Gemm" in text:
        x = np.zeros((1, 0), np.float32)
        expected, found = (list(ReferenceEvaluator(model).run(None, {"x": x})) for model in (before, after))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)  # a unit in the last place of the 1 that is taken away
