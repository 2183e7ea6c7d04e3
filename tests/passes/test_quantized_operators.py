"""Quantized operators and float operators between QuantizeLinear and DequantizeLinear say the same, in both directions, in onnxruntime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

import graphopt
from graphopt.patterns.quantized_examples import models
from tests.passes.models import needs_onnxruntime
from tests.passes.test_insert_qdq import fused

TO_QDQ: Final = (
    "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax",
    "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConcat", "QLinearWhere", "MatMulInteger", "MatMulInteger of one scale",
    "ConvInteger", "ConvInteger of one scale", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
)  # fmt: skip
FROM_QDQ: Final = {
    "Conv": "QLinearConv", "MatMul": "QLinearMatMul", "Gemm": "QGemm", "Add": "QLinearAdd", "Mul": "QLinearMul",
    "Sigmoid": "QLinearSigmoid", "LeakyRelu": "QLinearLeakyRelu", "Softmax": "QLinearSoftmax", "AveragePool": "QLinearAveragePool",
    "GlobalAveragePool": "QLinearGlobalAveragePool", "Concat": "QLinearConcat", "Where": "QLinearWhere",
}  # fmt: skip
FEEDS: Final = 10
NUMBERS: Final = np.random.default_rng(8)
TO: Final = "convert-qoperator-to-qdq"
FROM: Final = "convert-qdq-to-qoperator{microsoft}"


def examples(name: str) -> list[onnx.ModelProto]:
    return [onnx.parser.parse_model(text) for text in models(name)()]


def with_other_numbers(source: onnx.ModelProto) -> onnx.ModelProto:
    """The model with other zero points and weights, and scales that are no powers of two."""
    message = onnx.ModelProto()
    message.CopyFrom(source)
    for tensor in message.graph.initializer:
        held = numpy_helper.to_array(tensor)
        if tensor.name in ("z", "u"):
            held = np.asarray(NUMBERS.integers(np.iinfo(held.dtype).min, np.iinfo(held.dtype).max + 1), held.dtype)
        elif tensor.name in ("v", "w", "h"):
            held = NUMBERS.integers(-128, 128, held.shape).astype(held.dtype)
        tensor.CopyFrom(numpy_helper.from_array(held, tensor.name))
    return message


def feeds_of(message: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:  # Any: as the inputs are
    """Numbers from the whole range of each type, at its ends above all, +-0 among the floats."""
    feeds: dict[str, npt.NDArray[Any]] = {}
    for port in message.graph.input:
        shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
        if dtype.kind == "f":
            feeds[port.name] = NUMBERS.choice([0, -0.0, 1, -1, 0.5, 3e3, NUMBERS.normal()], shape).astype(dtype)
        elif dtype.kind == "b":
            feeds[port.name] = NUMBERS.random(shape) < 0.5
        else:
            ends = np.iinfo(dtype)
            drawn = NUMBERS.integers(ends.min, ends.max + 1, shape)
            feeds[port.name] = np.where(NUMBERS.random(shape) < 0.2, NUMBERS.choice([ends.min, ends.max], shape), drawn).astype(dtype)
    return feeds


def session(message: onnx.ModelProto) -> Any:  # Any: onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(message.SerializeToString(), options, providers=["CPUExecutionProvider"])


def assert_alike(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    """Integers differ by one at most, floats in their last bits."""
    one, other = session(before), session(after)
    for _ in range(FEEDS):
        feeds = feeds_of(before)
        [expected], [found] = one.run(None, feeds), other.run(None, feeds)
        assert expected.dtype == found.dtype and expected.shape == found.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max(initial=0)))
        else:
            assert np.abs(expected.astype(np.int64) - found).max(initial=0) <= 1


def operators(message: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in message.graph.node)


@needs_onnxruntime
@pytest.mark.parametrize("name", TO_QDQ)
def test_quantized_operators_in_parts_compute_the_same(name: str) -> None:
    for example in examples(name):
        for source in (example, *(with_other_numbers(example) for _ in range(2))):
            result = graphopt.optimize(source, pipeline=TO)
            assert not {op for op in operators(result) if op.startswith(("Q", "MatMulInteger", "ConvInteger")) and op != "QuantizeLinear"}
            assert_alike(source, result)


@needs_onnxruntime
@pytest.mark.parametrize("name", FROM_QDQ)
def test_parts_as_quantized_operators_compute_the_same(name: str) -> None:
    for example in examples(name):
        for source in (example, *(with_other_numbers(example) for _ in range(2))):
            result = graphopt.optimize(source, pipeline=FROM)
            assert operators(result) == {FROM_QDQ[name]: 1}
            assert_alike(source, result)


@needs_onnxruntime
@pytest.mark.parametrize("name", FROM_QDQ)
def test_there_and_back(name: str) -> None:
    """The parts of what they were made into are those that they were."""
    for source in examples(name):
        there = graphopt.optimize(source, pipeline=FROM)
        back = graphopt.optimize(there, pipeline=TO)
        assert operators(back) == operators(source)
        assert_alike(source, back)
        assert operators(graphopt.optimize(back, pipeline=FROM)) == operators(there)


@needs_onnxruntime
def test_onnxruntime_makes_the_same_operators_of_the_parts(tmp_path: Path) -> None:
    source = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[1,2,4,4] x) => (float[1,2,4,4] y) <
            float s = {0.05}, uint8 z = {128}, int8[2,2,1,1] w = {1, -2, 3, 4}, float[2] ws = {0.25, 0.125}, int8[2] wz = {0, 0}
        > {
            q = QuantizeLinear(x, s, z)
            c = QLinearConv(q, s, z, w, ws, wz, s, z)
            a = com.microsoft.QLinearAdd(c, s, z, c, s, z, s, z)
            y = DequantizeLinear(a, s, z)
        }"""
    )
    result = graphopt.optimize(source, pipeline=TO)
    assert operators(result) == {"QuantizeLinear": 3, "DequantizeLinear": 5, "Conv": 1, "Add": 1}
    assert fused(result, tmp_path) == fused(source, tmp_path) == operators(source)
    assert operators(graphopt.optimize(result, pipeline=FROM)) == operators(source)


def test_the_import_goes_where_nothing_needs_it() -> None:
    [source, *_] = examples("Conv")
    del source.opset_import[1:]
    result = graphopt.optimize(source, pipeline=FROM)
    assert [entry.domain for entry in result.opset_import] == [""]
