"""Passes that move quantization: random models give the same bits before and after."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from graphopt import optimize
from graphopt.ir.tensor import Array
from tests.quantization.random_graphs import random_model

PASSES = (
    "cancel-dequantize-quantize", "merge-quantization-chain", "propagate-dequantize-down", "propagate-quantize-up",
    "drop-quantization-around-movement",
)  # fmt: skip
PIPELINE = f"fixpoint({', '.join(PASSES)}, eliminate-dead-nodes)"


def run(model: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made: list[Array] = session.run(None, feeds)
    return made


def check(seed: int, pipeline: str) -> Counter[str] | None:
    """Compare a random model before and after; which operators it lost (or got: below 0), None where it cannot be run."""
    model, feeds = random_model(seed)
    try:
        wanted = run(model, feeds)
    except Exception:  # whatever onnxruntime raises for what it lacks a kernel for at an old opset
        return None
    after = optimize(model, pipeline=pipeline)
    made = run(after, feeds)
    assert [port.name for port in after.graph.output] == [port.name for port in model.graph.output]
    for port, one, other in zip(model.graph.output, made, wanted, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes(), (seed, port.name)
    lost = Counter(node.op_type for node in model.graph.node)
    lost.subtract(Counter(node.op_type for node in after.graph.node))
    return lost


def sweep(seeds: range, pipeline: str = PIPELINE) -> tuple[int, int, Counter[str]]:
    ran, changed, lost = 0, 0, Counter[str]()
    for seed in seeds:
        found = check(seed, pipeline)
        if found is not None:
            ran += 1
            changed += any(found.values())
            lost.update(found)
    return ran, changed, lost


def test_a_hundred_models() -> None:
    ran, changed, lost = sweep(range(100))
    assert ran > 60 and changed > 20 and lost["QuantizeLinear"] > 0


def test_there_is_an_end() -> None:
    """What the passes leave, none of them changes again."""
    for seed in range(200, 230):
        model, _ = random_model(seed)
        after = optimize(model, pipeline=PIPELINE)
        for name in PASSES:
            again = optimize(after, pipeline=name)
            assert [node.output for node in again.graph.node] == [node.output for node in after.graph.node], (seed, name)


def test_back_to_node_units() -> None:
    ran, changed, _ = sweep(range(40), f"{PIPELINE}, materialize-node-units, eliminate-dead-nodes")
    assert ran > 20 and changed > 5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_models(part: int) -> None:
    ran, changed, lost = sweep(range(1000 + 1400 * part, 1000 + 1400 * (part + 1)))
    print(ran, changed, lost)  # the figures are what the sweep is run for
    assert ran >= 1000
    assert np.sign(changed)
