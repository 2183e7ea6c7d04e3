"""Bounds beside a QuantizeLinear, and numbers far out of its range: the same bits before and after the passes that move it.

Of an infinity in float16, and of 2^31 steps and more in blocks along an axis that is not the last, onnxruntime makes the least integer
(and, of their negatives, the greatest where the zero point is negative).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphopt import optimize
from graphopt.ir.tensor import Array
from graphopt.passes import propagate_quantize_up
from graphopt.patterns import quantized_bounds, requantization
from tests.quantization.calls import Random

SHAPE = (2, 4, 6)
BLOCK = 2
PASSES = {
    "clip": ("absorb-clip-into-quantize", "move-clip-after-quantize", "propagate-quantize-up"),
    "relu": ("absorb-relu-into-quantize", "move-relu-after-quantize", "propagate-quantize-up"),
    "min": ("propagate-quantize-up",),
    "pool": ("propagate-quantize-up",),
    "chain": ("merge-quantization-chain",),
    "turn": ("propagate-quantize-up",),
}


@dataclass(frozen=True)
class Drawn:
    """A model of one step before a QuantizeLinear, and numbers for it."""

    step: str
    model: onnx.ModelProto
    feeds: dict[str, Array]
    saturates: bool
    is_exempt: bool


def drawn(seed: int) -> Drawn:
    random = np.random.default_rng(seed)
    step = str(random.choice(list(PASSES)))
    half, kind = bool(random.random() < 0.4), str(random.choice(["uint8", "int8"]))
    granularity, axis = str(random.choice(["tensor", "axis", "block"])), int(random.integers(3))
    if granularity == "block" and step == "pool":
        axis = 1  # the last is pooled
    floats = np.dtype(np.float16 if half else np.float32)
    scale = random.choice([0.25, 0.1, 0.5], entries(granularity, axis)).astype(floats)
    if random.random() < 0.3:
        scale = np.full(scale.shape, scale.reshape(-1)[0])
    zeros = [random.choice([np.iinfo(kind).min, 7, 40], scale.shape).astype(kind) for _ in range(2)]
    if step == "relu" or random.random() < 0.5:  # one for all, so that what depends on it is found for each index
        zeros = [np.full(scale.shape, zero.reshape(-1)[0]) for zero in zeros]
    bounds = random.choice([3.0, 30_000.0])
    stored = {"s": scale, "z": zeros[0], "other": zeros[1], "low": np.array(-bounds, floats), "high": np.array(bounds, floats)}
    nodes = {
        "clip": [helper.make_node("Clip", ["x", "low", "high"], ["t"])],
        "relu": [helper.make_node("Relu", ["x"], ["t"])],
        "min": [helper.make_node("Min", ["x", "w"], ["t"])],
        "pool": [helper.make_node("MaxPool", ["x"], ["t"], kernel_shape=[3], pads=[1, 1])],
        "turn": [helper.make_node("Transpose", ["x"], ["t"], perm=[2, 1, 0])],
        "chain": [quantizing("Quantize", "x", "q", granularity, axis), quantizing("Dequantize", "q", "t", granularity, axis)],
    }[step]
    nodes.append(quantizing("Quantize", "t", "y", granularity, axis, "other" if step == "chain" else "z"))
    shape = SHAPE[::-1] if step == "turn" else SHAPE
    feeds: dict[str, Array]
    with np.errstate(over="ignore"):
        feeds = {name: numbers(random, float(scale.reshape(-1)[0]), shape).astype(floats) for name in ("x", "w")[: 1 + (step == "min")]}
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, element, shape) for name in feeds],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), SHAPE)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    is_exempt = zeros[0].tobytes() == zeros[1].tobytes() if step == "chain" else step == "relu" and not zeros[0].any()
    is_exempt = is_exempt or (step == "turn" and granularity != "block")
    return Drawn(step, model, feeds, not half and (granularity != "block" or axis == 2), is_exempt)


def entries(granularity: str, axis: int) -> tuple[int, ...]:
    """The shape of scales."""
    blocks = tuple(size // BLOCK if index == axis else size for index, size in enumerate(SHAPE))
    return {"tensor": (), "axis": (SHAPE[axis],), "block": blocks}[granularity]


def quantizing(what: str, x: str, y: str, granularity: str, axis: int, zero: str = "z") -> onnx.NodeProto:
    attributes: dict[str, Any] = {}
    if granularity != "tensor":
        attributes = {"axis": axis} | ({"block_size": BLOCK} if granularity == "block" else {})
    return helper.make_node(f"{what}Linear", [x, "s", zero], [y], **attributes)


def numbers(random: Random, scale: float, shape: tuple[int, ...]) -> Array:
    """Around the range, and from 2^31 steps to infinity on both sides of it."""
    far = [sign * step for step in (2.0**31 * scale, 2.0**33 * scale, 65504.0, np.inf) for sign in (1, -1)]
    made: Array = np.where(random.random(shape) < 0.3, random.choice(far, shape), random.integers(-400, 400, shape) * scale)
    return made


def run(model: onnx.ModelProto, feeds: dict[str, Array]) -> Array:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    found: Array = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
    return found


def sweep(seeds: range) -> tuple[Counter[tuple[str, bool]], list[str]]:
    """How often each step was rewritten, by whether its QuantizeLinear saturates; and which rewrites changed what is computed.

    Not counted is where it does not matter: a chain of equal parameters, a Relu at the zero point 0, a Transpose of no blocks.
    """
    fired, wrong = Counter[tuple[str, bool]](), []
    for seed in seeds:
        one = drawn(seed)
        wanted = run(one.model, one.feeds)
        for name in PASSES[one.step]:
            after = optimize(one.model, pipeline=name)
            if [node.op_type for node in after.graph.node] != [node.op_type for node in one.model.graph.node]:
                fired[one.step, one.saturates] += not one.is_exempt
                if run(after, one.feeds).tobytes() != wanted.tobytes():
                    wrong.append(f"{one.step} {seed}: {name}")
    return fired, wrong


def test_the_same_bits_far_out_of_range() -> None:
    fired, wrong = sweep(range(200))
    assert not wrong
    assert all(fired[step, True] for step in PASSES if step != "turn")  # turned blocks of the last axis are of another
    assert not any(fired[step, False] for step in PASSES)


def test_these_numbers_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard each step is computed wrong somewhere."""
    for module in (propagate_quantize_up, quantized_bounds, requantization):
        monkeypatch.setattr(module, "unsaturated", lambda by, rank: "")
    _, wrong = sweep(range(200))
    assert {text.split()[0] for text in wrong} == set(PASSES)
