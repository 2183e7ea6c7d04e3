"""The folded convolution computes what convolution and normalization computed; where it would not, it is left alone.

Tolerance: float32 1e-5, float64 1e-12, relative and absolute: the terms of a dot product of at most 36 elements, rounded once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt import io
from graphopt.infer import infer_model
from graphopt.passes.fuse_conv_bn import FuseConvBn
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, run

FLOAT = onnx.TensorProto.FLOAT
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


def model(
    weights: npt.NDArray[Any], *, op_type: str = "Conv", channels: int = 4, has_bias: bool = True, opset: int = 20, epsilon: float = 1e-3,
    channels_in: int = 4, spatial: tuple[int, ...] = (5, 5), scale: float = 1.0, var: float | None = None, **attributes: Any,
) -> tuple[onnx.ModelProto, npt.NDArray[Any]]:  # fmt: skip
    """BatchNormalization of a convolution with these weights, and an input for it."""
    random = np.random.default_rng(7)
    dtype = weights.dtype
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    held = {
        "w": weights,
        "b": random.standard_normal(channels),
        "scale": random.uniform(0.5, 2, channels) * scale,
        "shift": random.standard_normal(channels),
        "mean": random.standard_normal(channels),
        "var": random.uniform(0.1, 3, channels) if var is None else np.full(channels, var),
    }
    if not has_bias:
        del held["b"]
    nodes = [
        helper.make_node(op_type, ["x", "w", "b"] if has_bias else ["x", "w"], ["t"], **attributes),
        helper.make_node("BatchNormalization", ["t", "scale", "shift", "mean", "var"], ["y"], epsilon=epsilon),
    ]
    rank = 2 + len(spatial)
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, [None, channels_in, *spatial])],
        [helper.make_tensor_value_info("y", kind, [None] * rank)],
        [numpy_helper.from_array(np.asarray(array, dtype), name) for name, array in held.items()],
    )  # fmt: skip
    message = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return message, random.standard_normal((2, channels_in, *spatial)).astype(dtype)


def random(*shape: int, dtype: Any = np.float32) -> npt.NDArray[Any]:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("opset", [*(pytest.param(old, marks=needs_onnxruntime) for old in (7, 9, 11, 13)), 14, 15, 18, 21, 22])
@pytest.mark.parametrize("has_bias", [False, True])
def test_conv_in_every_spelling(opset: int, has_bias: bool) -> None:
    message, x = model(random(4, 4, 3, 3), opset=opset, has_bias=has_bias, pads=[1, 1, 1, 1])
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConvBn(), by_onnxruntime=opset < 14)
    assert ops(optimized.graph) == ["Conv"]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "spatial", "attributes"),
    [
        (random(4, 2, 3, 3), (5, 5), {"group": 2, "strides": [2, 2]}),
        (random(4, 1, 3), (7,), {"group": 4, "dilations": [2]}),
        (random(4, 4, 1, 1, 1), (2, 3, 2), {}),
        (random(4, 4, 3, 3, dtype=np.float64), (5, 5), {"auto_pad": "SAME_UPPER"}),
    ],
    ids=["groups", "depthwise", "volume", "double"],
)
def test_conv_of_every_kind(weights: npt.NDArray[Any], spatial: tuple[int, ...], attributes: dict[str, Any]) -> None:
    message, x = model(weights, spatial=spatial, **attributes)
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConvBn())
    assert ops(optimized.graph) == ["Conv"]
    limit = TOLERANCE[weights.dtype]
    np.testing.assert_allclose(after, before, rtol=limit, atol=limit)


@needs_onnxruntime
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(
    ("weights", "attributes"),
    [
        (random(4, 4, 2, 2), {}),
        (random(4, 2, 3, 3), {"group": 2}),
        (random(4, 1, 2, 2), {"group": 4, "strides": [2, 2], "output_padding": [1, 1]}),
    ],
    ids=["plain", "groups", "depthwise"],
)
def test_convtranspose(weights: npt.NDArray[Any], attributes: dict[str, Any], has_bias: bool) -> None:
    """With output_padding some results are the bias alone, and still come out normalized."""
    message, x = model(weights, op_type="ConvTranspose", has_bias=has_bias, **attributes)
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConvBn(), by_onnxruntime=True)
    assert ops(optimized.graph) == ["ConvTranspose"]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


@needs_onnxruntime
def test_convtranspose_with_more_inputs_than_outputs() -> None:
    """(I, C/g) = (6, 1) in 2 groups: rows 0 to 2 make channel 0, rows 3 to 5 channel 1."""
    message, x = model(random(6, 1, 2, 2), op_type="ConvTranspose", channels=2, channels_in=6, group=2)
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConvBn(), by_onnxruntime=True)
    assert ops(optimized.graph) == ["ConvTranspose"]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def refusals(message: onnx.ModelProto) -> list[str]:
    """Why the rules leave a model alone."""
    told, loaded = Told(), io.load(message)
    infer_model(loaded)
    run(loaded, FuseConvBn(), observer=told)
    assert not told.made
    return [reason for _, reason in told.refused]


def test_weights_that_would_overflow() -> None:
    message, _ = model(random(4, 4, 1, 1).astype(np.float16), scale=2e4, var=1e-2)
    assert "not finite in float16" in refusals(message)[0]


def test_weights_that_would_lose_precision() -> None:
    message, _ = model(random(4, 4, 1, 1).astype(np.float16), scale=1e-4, var=1e4)
    assert refusals(message) == ["the new weights are too small for float16"]


def test_half_precision_where_it_fits() -> None:
    """Tolerance: two units of float16 at the size of the results (up to 8)."""
    message, x = model(random(4, 4, 1, 1).astype(np.float16))
    (before,), (after,), optimized = before_and_after(message, {"x": x}, FuseConvBn())
    assert ops(optimized.graph) == ["Conv"]
    np.testing.assert_allclose(after.astype(float), before.astype(float), rtol=4e-3, atol=2e-2)


def test_a_variance_of_zero_without_epsilon() -> None:
    message, _ = model(random(4, 4, 1, 1), var=0.0, epsilon=0.0)
    assert "not positive everywhere" in refusals(message)[0]


@pytest.mark.parametrize(("size", "fuses"), [(3, True), (65, False)])
def test_shared_weights_are_copied_only_when_small(size: int, fuses: bool) -> None:
    message, _ = model(random(4, 4, size, size), spatial=(70, 70))
    message.graph.node.append(helper.make_node("Conv", ["x", "w"], ["z"]))
    message.graph.output.append(helper.make_tensor_value_info("z", FLOAT, [None] * 4))
    loaded = io.load(message)
    infer_model(loaded)
    told = Told()
    assert run(loaded, FuseConvBn(), observer=told) == int(fuses)
    assert fuses or "is read elsewhere too, a copy would add" in told.refused[0][1]
    assert "w" in loaded.graph.initializers  # the other reader still has it


def test_training_spelled_by_outputs_below_opset_14() -> None:
    message, _ = model(random(4, 4, 1, 1), opset=9)
    message.graph.node[1].output.extend(["m", "v", "sm", "sv"])
    assert not ops_change(message)


def ops_change(message: onnx.ModelProto) -> bool:
    loaded = io.load(message)
    infer_model(loaded)
    return bool(run(loaded, FuseConvBn()))


def test_old_weights_go() -> None:
    """The fusion alone leaves nothing behind, except what an annotation names."""
    message, _ = model(random(4, 4, 3, 3))
    entry = message.graph.quantization_annotation.add(tensor_name="y").quant_parameter_tensor_names.add()
    entry.key, entry.value = "SCALE_TENSOR", "scale"
    loaded = io.load(message)
    run_pipeline(Pipeline.parse("fuse-conv-bn"), loaded)
    assert ops(loaded.graph) == ["Conv"]
    unread = [value.name for value in loaded.graph.initializers.values() if not value.users]
    assert unread == ["scale"]
    assert len(loaded.graph.initializers) == 3


def test_attributes_of_the_convolution_stay() -> None:
    message, _ = model(random(4, 2, 3, 3), group=2, strides=[2, 1], dilations=[1, 2], pads=[0, 1, 2, 1], kernel_shape=[3, 3])
    loaded = io.load(message)
    infer_model(loaded)
    run(loaded, FuseConvBn())
    node = next(iter(loaded.graph))
    assert {name: attribute.value for name, attribute in node.attributes.items()} == {
        "group": 2, "strides": (2, 1), "dilations": (1, 2), "pads": (0, 1, 2, 1), "kernel_shape": (3, 3),
    }  # fmt: skip
