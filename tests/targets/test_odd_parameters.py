"""Parameters that runtimes do not fuse, or that no kernel takes: a foretelling says so and does not fail on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto, numpy_helper

import graphopt
from graphopt.infer.model import infer_model
from graphopt.ir.tensor import Array
from graphopt.passes.targets import TARGETS
from graphopt.pipeline.registry import installed
from graphopt.runtimes.remaining import Outlook, outlook
from tests.runtimes import IS_BEFORE_TARGETS

X64 = "onnxruntime-cpu-x64"
HEAD = '<ir_version: 10, opset_import: ["" : 21]> '
every_target = pytest.mark.parametrize("target", [target.name for target in TARGETS])


def foretold(proto: ModelProto, target: str) -> Outlook:
    loaded = graphopt.load(proto)
    infer_model(loaded)
    return outlook(loaded, installed().target_named(target).wants)


def conv_with_bias(activations: int, weights: int) -> ModelProto:
    """A Conv whose input, weight and bias are dequantized, with so many scales of the input and of the weight."""
    text = f"""{HEAD} g (uint8[1,{activations},4,4] x) => (uint8[1,{weights},4,4] y) <float s = {{0.5}}, uint8 z = {{0}}> {{
        d = DequantizeLinear <axis = 1> (x, ds, dz) v = DequantizeLinear <axis = 0> (w, ws, wz) a = DequantizeLinear <axis = 0> (b, bs, bz)
        m = Conv(d, v, a) y = QuantizeLinear(m, s, z) }}"""
    proto = onnx.parser.parse_model(text)
    arrays: dict[str, Array] = {
        "ds": np.full(activations, 0.5, np.float32), "dz": np.zeros(activations, np.uint8),
        "ws": np.full(weights, 0.5, np.float32), "wz": np.zeros(weights, np.int8), "w": np.ones((weights, activations, 1, 1), np.int8),
        "bs": np.full(weights, 0.25, np.float32), "bz": np.zeros(weights, np.int32), "b": np.ones(weights, np.int32),
    }  # fmt: skip
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    for node in proto.graph.node:
        node.name = node.output[0]
    return proto


@every_target
@pytest.mark.parametrize(("activations", "weights"), [(3, 5), (3, 3), (3, 1), (0, 5)])
def test_a_bias_below_an_input_with_parameters_per_axis(activations: int, weights: int, target: str) -> None:
    found = foretold(conv_with_bias(activations, weights), target)
    assert {one.name for one in found.remaining} == set("dvay")
    assert all("parameters per axis" in one.reason for one in found.remaining)


@pytest.mark.skipif(IS_BEFORE_TARGETS, reason="what older runtimes fuse differs")
@pytest.mark.parametrize(("activations", "weights"), [(3, 5), (3, 3), (3, 1), (1, 5)])
def test_onnxruntime_leaves_the_same(activations: int, weights: int, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="it is the truth here")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    proto = conv_with_bias(activations, weights)
    runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    left = {node.name for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    assert left == {one.name for one in foretold(proto, X64).remaining}


@every_target
@pytest.mark.parametrize("bounds", ["float low = {0}, float[2] high = {6, 6}", "float low = {0}, float[0] high = {}"])
def test_a_bound_that_is_not_one_number(bounds: str, target: str) -> None:
    text = f"""{HEAD} g (uint8[4] x) => (uint8[4] y) <float s = {{0.5}}, uint8 z = {{0}}, {bounds}> {{
        d = DequantizeLinear(x, s, z) m = Clip(d, low, high) y = QuantizeLinear(m, s, z) }}"""
    left = [one.node.outputs[0].name for one in foretold(onnx.parser.parse_model(text), target).remaining]
    assert left == ([] if target == "openvino" else ["d", "y"])


@pytest.mark.filterwarnings("error")
def test_the_greatest_float_as_bound() -> None:
    text = f"""{HEAD} g (uint8[1,2,4,4] x) => (uint8[1,2,4,4] y) <float s = {{0.5}}, uint8 z = {{0}}, int8 i = {{0}},
        int8[2,2,1,1] w = {{1,2,3,4}}, float low = {{0}}, float high = {{3.4028234e38}}> {{
        d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) m = Conv(d, v) r = Clip(m, low, high) y = QuantizeLinear(r, s, z) }}"""
    assert foretold(onnx.parser.parse_model(text), X64).remaining == []


@pytest.mark.filterwarnings("error")
def test_scales_whose_product_is_no_float() -> None:
    text = f"""{HEAD} g (uint8[4,4] x) => (uint8[4,4] y) <float s = {{1e30}}, uint8 z = {{0}}, int8 i = {{0}},
        int8[4,4] w = {{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}}, float[4] b = {{1,2,3,4}}> {{
        d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) m = Gemm(d, v, b) y = QuantizeLinear(m, s, z) }}"""
    foretold(onnx.parser.parse_model(text), X64)


@every_target
@pytest.mark.parametrize("operator", ["Conv", "Gemm", "MatMul"])
def test_an_operator_without_its_weight(operator: str, target: str) -> None:
    text = f"""{HEAD} g (uint8[4,4] x) => (float[4,4] y, uint8[4,4] u) <float s = {{0.5}}, uint8 z = {{0}}> {{
        d = DequantizeLinear(x, s, z) m = {operator}(d) y = Add(m, s) e = DequantizeLinear(x, s, z) n = {operator}(e)
        u = QuantizeLinear(n, s, z) }}"""
    foretold(onnx.parser.parse_model(text), target)  # no valid model, and none that must not be told about
