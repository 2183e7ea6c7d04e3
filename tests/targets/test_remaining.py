"""What a runtime leaves of Q and DQ is foretold as it comes, with the reason."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from graphopt import io
from graphopt.infer.model import infer_model
from graphopt.ir import Model
from graphopt.pipeline.registry import installed
from graphopt.runtimes.remaining import Outlook, outlook
from tests.runtimes import IS_BEFORE_TARGETS
from tests.targets.models import CASES, model


def foretold(loaded: Model, target: str = "onnxruntime-cpu-x64") -> Outlook:
    infer_model(loaded)
    return outlook(loaded, installed().target_named(target).wants)


@pytest.mark.parametrize("name", CASES)
def test_what_remains_and_why(name: str) -> None:
    case = CASES[name]
    found = {one.name: one for one in foretold(io.load(model(case))).remaining}
    assert set(found) == set(case.left)
    for left, reason in case.left.items():
        assert reason in found[left].reason, str(found[left])
    assert {one.helps for one in found.values()} - {""} == case.advised


@pytest.mark.skipif(IS_BEFORE_TARGETS, reason="what older runtimes fuse differs")
@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_leaves_the_same(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="it is the truth here")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    runtime.InferenceSession(model(CASES[name]).SerializeToString(), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert {node.name for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")} == set(CASES[name].left)


def test_nothing_is_changed() -> None:
    for case in CASES.values():
        loaded = io.load(model(case))
        infer_model(loaded)
        before = io.print_text(loaded)
        foretold(loaded)
        assert io.print_text(loaded) == before


def test_subgraphs_are_looked_at_by_themselves() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (bool which, uint8[4] x) => (float[4] y) <float s = {0.5}, uint8 z = {0}> {
        d = DequantizeLinear(x, s, z)
        y = If (which) <
            then_branch = t () => (float[4] a) { a = Sin(d) },
            else_branch = e () => (float[4] b) { q = QuantizeLinear(d, s, z) b = DequantizeLinear(q, s, z) }
        >
    }"""
    found = foretold(io.parse_text(text)).remaining
    assert [(one.name, one.is_boundary) for one in found] == [("d", False), ("q", False), ("b", True)]


def test_shapes_are_read_of_integers_but_not_fused() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (uint8[N] x) => (int64[1] y) <float s = {0.5}, uint8 z = {0}> {
        d = DequantizeLinear(x, s, z) y = Shape(d) }"""
    (found,) = foretold(io.parse_text(text)).remaining
    assert str(found).endswith("in floats: the runtime fuses no Shape; propagate-dequantize-down would help")


def test_on_arm_int8_is_fine() -> None:
    loaded = io.load(model(CASES["conv_of_int8"]))
    assert foretold(loaded, "onnxruntime-cpu-arm64").remaining == []
