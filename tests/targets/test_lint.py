"""`graphopt.lint`: what a runtime refuses, computes wrong or leaves in floats, one finding for each node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import graphopt
from graphopt.errors import SpecError
from graphopt.infer.model import infer_model
from graphopt.pipeline.registry import installed
from graphopt.runtimes.lint import Finding, findings
from tests.runtimes import IS_BEFORE_TARGETS
from tests.targets.models import CASES, model

X64, TENSORRT, OPENVINO = "onnxruntime-cpu-x64", "tensorrt", "openvino"
HEAD = '<ir_version: 10, opset_import: ["" : 21]> '


def untried(proto: onnx.ModelProto, target: str) -> list[Finding]:
    """What is found, with all that might help; `graphopt.lint` tries that first."""
    loaded = graphopt.load(proto)
    infer_model(loaded)
    return findings(loaded, installed().target_named(target).wants)


def told(text: str, target: str) -> list[tuple[str, str, str, str]]:
    """Kind, name, a reason and the pass that helps."""
    proto = onnx.parser.parse_model(HEAD + text)
    return [(one.kind, one.name, one.reason, one.helps) for one in untried(proto, target)]


def test_one_finding_for_each_node_in_their_order() -> None:
    found = graphopt.lint(model(CASES["int8_that_two_read"]), target=X64)
    assert [(one.kind, one.node.op, one.name) for one in found] == [("float", "Conv", "m"), ("float", "Sin", "t"), ("float", "Add", "u")]
    assert str(found[0]) == "float: Conv 'm': its result goes to Add 'u' in floats"
    (one,) = untried(model(CASES["conv_of_int8"]), X64)
    assert str(one) == "float: Conv 'm': its first input is int8, which runs on integers as uint8 only; convert-int8-to-uint8 would help"


def test_nothing_to_say() -> None:
    assert graphopt.lint(model(CASES["conv"]), target=X64) == []
    assert told("g (float[4] x) => (float[4] y) { y = Relu(x) }", TENSORRT) == []


def test_floats_that_come_in_and_go_out_are_no_finding() -> None:
    assert graphopt.lint(model(CASES["int8_between_one_pair"]), target=X64) == []


def test_every_kind_of_source(tmp_path: Path) -> None:
    proto = model(CASES["no_kernel"])
    onnx.save(proto, tmp_path / "m.onnx")
    loaded = graphopt.load(proto)
    for source in (proto, proto.SerializeToString(), tmp_path / "m.onnx", str(tmp_path / "m.onnx"), loaded):
        assert [one.name for one in graphopt.lint(source, target=X64)] == ["m"]


def test_an_unknown_target() -> None:
    with pytest.raises(SpecError, match=r"no target is called 'tensort'; did you mean 'tensorrt'\?"):
        graphopt.lint(model(CASES["conv"]), target="tensort")


# ---- what onnxruntime fuses and then fails on

FAILS = {
    "int8 moved below a Reshape by the runtime": (
        """g (int8[4,4] x) => (float[16] y) <float s = {0.5}, int8 j = {3}, int64[1] all = {-1}> {
            d = DequantizeLinear(x, s, j) m = Reshape(d, all) y = Sin(m) }""",
        "d", "convert-int8-to-uint8",
    ),
    "Add of parameters per axis": (
        """g (uint8[2,2] x) => (uint8[2,2] y) <float[2] s = {0.5, 0.25}, uint8[2] z = {0, 0}, float t = {1}, uint8 k = {0}> {
            d = DequantizeLinear(x, s, z) e = DequantizeLinear(x, t, k) m = Add(d, e) y = QuantizeLinear(m, t, k) }""",
        "m", "",
    ),
    "a weight with parameters along the summed axis": (
        """g (uint8[2,2] x) => (float[2,3] y)
            <float[2] s = {0.5, 0.25}, int8[2] i = {0, 0}, float t = {1}, uint8 k = {0}, int8[2,3] w = {1,2,3,4,5,6}> {
            d = DequantizeLinear(x, t, k) e = DequantizeLinear <axis = 0> (w, s, i) y = MatMul(d, e) }""",
        "y", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILS)
def test_what_it_fails_on(name: str) -> None:
    text, node, helps = FAILS[name]
    assert [(kind, at, advice) for kind, at, _, advice in told(text, X64) if kind == "refused"] == [("refused", node, helps)]


@pytest.mark.skipif(IS_BEFORE_TARGETS, reason="older runtimes take some of them")
@pytest.mark.parametrize("name", FAILS)
def test_it_fails_indeed(name: str) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="it is the truth here")
    proto = onnx.parser.parse_model(HEAD + FAILS[name][0])
    (given,) = proto.graph.input
    shape = [size.dim_value for size in given.type.tensor_type.shape.dim]
    feed = {given.name: np.zeros(shape, np.int8 if given.type.tensor_type.elem_type == onnx.TensorProto.INT8 else np.uint8)}
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match="ONNXRuntimeError"):  # they have no common class
        runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


def test_a_bias_whose_scale_is_overlooked() -> None:
    text = """g (uint8[2,2] x) => (uint8[2,2] y)
        <float s = {0.5}, uint8 z = {0}, int8 i = {0}, int8[2,2] w = {1,2,3,4}, int32[2] b = {5,6}, float wrong = {0.5}, int32 n = {0}> {
        d = DequantizeLinear(x, s, z) v = DequantizeLinear(w, s, i) a = DequantizeLinear(b, wrong, n) m = Gemm(d, v, a)
        y = QuantizeLinear(m, s, z) }"""
    ((kind, node, reason, _),) = told(text, X64)
    assert (kind, node) == ("wrong", "m")
    assert "computes something else" in reason


def test_no_kernel_for_the_type() -> None:
    text = """g (float[4] x) => (float[6] y) <float s = {0.5}, uint16 z = {0}, int64[2] p = {1, 1}> {
        q = QuantizeLinear(x, s, z) m = Pad(q, p) y = DequantizeLinear(m, s, z) }"""
    assert told(text, X64) == [("refused", "m", "the runtime has no Pad of uint16", "materialize-node-units")]


# ---- TensorRT and OpenVINO

ANEW = "; quantize the model anew, with int8 and zero point 0"
QUANTIZED = """g (float[4] x) => (float[4] y) <float s = {{0.5}}, {type} z = {{{zero}}}> {{
    q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }}"""


@pytest.mark.parametrize(
    ("type", "zero", "reason", "helps"),
    [
        ("uint8", 128, "it holds an activation in uint8, not float4e2m1 or float8e4m3fn or int8", "convert-uint8-to-int8"),
        ("uint8", 0, f"it holds an activation in uint8, not float4e2m1 or float8e4m3fn or int8{ANEW}", ""),
        ("int8", 3, f"its zero point is not 0{ANEW}", ""),
    ],
)
def test_tensorrt_wants_int8_around_0(type: str, zero: int, reason: str, helps: str) -> None:
    found = told(QUANTIZED.format(type=type, zero=zero), TENSORRT)
    assert found == [("refused", "q", reason, helps), ("refused", "y", reason, helps)]
    assert told(QUANTIZED.format(type=type, zero=zero), OPENVINO) == []


def test_tensorrt_takes_int8_around_0() -> None:
    assert told(QUANTIZED.format(type="int8", zero=0), TENSORRT) == []


def test_tensorrt_refuses_operators_on_integers_and_integer_biases() -> None:
    text = """g (uint8[2,2] x, uint8[2,2] w) => (int32[2,2] y, float[2] b) <int32[2] i = {1,2}, float s = {0.5}> {
        y = MatMulInteger(x, w) c = Cast <to = 1> (i) a = DequantizeLinear(i, s) b = Add(a, c) }"""
    assert told(text, TENSORRT) == [
        ("refused", "y", "the runtime has no operators on integers but Q and DQ", "convert-qoperator-to-qdq"),
        ("refused", "a", "it dequantizes int32: a bias must be stored in floats", ""),
        ("float", "b", "its input 1 (%c) is a float constant, not dequantized", ""),
    ]


@pytest.mark.parametrize("target", [TENSORRT, OPENVINO])
def test_what_needs_no_q_and_dq_around_it(target: str) -> None:
    text = """g (float[4] x) => (int8[4] y, int64[1] n, int64 m) <float s = {0.5}, int8 z = {0}> {
        q = QuantizeLinear(x, s, z) y = Identity(q) n = Shape(q) m = Size(q) }"""
    assert told(text, target) == []


@pytest.mark.parametrize("target", [TENSORRT, OPENVINO])
def test_q_and_dq_stand_around_every_operator(target: str) -> None:
    text = """g (float[4] x) => (float[2,2] y) <float s = {0.5}, int8 z = {0}, int64[2] t = {2, 2}> {
        q = QuantizeLinear(x, s, z) m = Reshape(q, t) y = DequantizeLinear(m, s, z) }"""
    assert told(text, target) == [("float", "m", "it reads int8 and has no Q and DQ around it", "materialize-node-units")]
