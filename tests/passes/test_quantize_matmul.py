"""How far the passes that quantize the weights of products change what they compute, and what onnxruntime makes of the result."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphopt
from graphopt.errors import SpecError
from tests.passes.models import needs_onnxruntime, results
from tests.passes.test_insert_qdq import fused

NUMBERS = np.random.default_rng(5)
Floats = npt.NDArray[np.float32]


def numbers(*shape: int) -> Floats:
    return NUMBERS.standard_normal(shape).astype(np.float32)


def product(w: Floats, b: Floats | None = None, opset: int = 21) -> onnx.ModelProto:
    """MatMul(x, w), and Add of b."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y" if b is None else "m"])]
    nodes += [] if b is None else [helper.make_node("Add", ["m", "b"], ["y"])]
    held = [numpy_helper.from_array(array, name) for name, array in (("w", w), ("b", b)) if array is not None]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]) for name, size in zip("xy", w.shape, strict=True)]
    graph = helper.make_graph(nodes, "product", ports[:1], ports[1:], held)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])


def error(source: onnx.ModelProto, result: onnx.ModelProto, x: Floats) -> npt.NDArray[Any]:  # Any: of the outputs
    [before], [after] = (results(message, {"x": x}, by_onnxruntime=True) for message in (source, result))
    return np.abs(before.astype(np.float64) - after)


@needs_onnxruntime
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_dynamic_products_are_off_by_half_a_step_of_each_operand(rows: int) -> None:
    w, b, x = numbers(32, 16), numbers(16), numbers(rows, 32)
    source = product(w, b)
    result = graphopt.optimize(source, pipeline="quantize-matmul-dynamically")
    steps = (max(x.max(initial=0), 0) - min(x.min(initial=0), 0)) / 255, np.abs(w).max(0) / 127
    bound = steps[0] * np.abs(w).sum(0) + 0.51 * np.abs(x).sum(1, keepdims=True) * steps[1] + 32 * steps[0] * steps[1]
    assert (error(source, result, x) <= bound).all()


@needs_onnxruntime
def test_onnxruntime_makes_one_operator_of_a_dynamic_product(tmp_path: Path) -> None:
    source = product(numbers(32, 16), numbers(16))
    as_gemm = graphopt.optimize(source, pipeline="fuse-matmul-add")
    for given in (source, as_gemm):
        result = graphopt.optimize(given, pipeline="quantize-matmul-dynamically")
        if given is source:
            assert fused(result, tmp_path) == {"DynamicQuantizeMatMul": 1}
        assert len(result.graph.node) == 6


@needs_onnxruntime
@pytest.mark.parametrize("kind", ["uint4", "int4", "uint8", "int8"])
@pytest.mark.parametrize(("length", "block"), [(64, 32), (70, 32), (33, 32), (48, 16)])
def test_blocks_are_off_by_half_a_step_of_the_weights(kind: str, length: int, block: int) -> None:
    w, x = numbers(length, 24), numbers(4, length)
    source = product(w)
    result = graphopt.optimize(source, pipeline=f"quantize-matmul-weights-in-blocks{{type={kind} block={block}}}")
    assert [node.op_type for node in result.graph.node] == ["DequantizeLinear", "MatMul"]
    bits = int(kind[-1])
    starts = range(0, length, block)
    spans = [np.concatenate([w[start : start + block], np.zeros((1, 24), np.float32)]) for start in starts]
    steps = [np.abs(span).max(0) / (2 ** (bits - 1) - 1) if kind[0] == "i" else np.ptp(span, axis=0) / (2**bits - 1) for span in spans]
    each = np.repeat(np.asarray(steps), block, axis=0)[:length]
    slack = 1.0 if kind[0] == "u" else 0.501  # beside the rounding of the numbers, that of the zero point
    assert (error(source, result, x) <= slack * np.abs(x) @ each + 1e-4).all()


@needs_onnxruntime
def test_onnxruntime_makes_one_operator_of_blocks(tmp_path: Path) -> None:
    source = product(numbers(64, 24))
    result = graphopt.optimize(source, pipeline="quantize-matmul-weights-in-blocks")
    assert fused(result, tmp_path) == Counter({"MatMulNBits": 1})
    assert result.ByteSize() < 0.3 * source.ByteSize()


def test_blocks_are_powers_of_two() -> None:
    with pytest.raises(SpecError, match="block is a power of two, 16 or more, not 24"):
        graphopt.optimize(product(numbers(64, 24)), pipeline="quantize-matmul-weights-in-blocks{block=24}")
