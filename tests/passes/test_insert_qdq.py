"""insert-qdq: where it quantizes, with which parameters, what the result computes, and what it says of tables that do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx.checker
import pytest

import graphopt
from graphopt import io
from graphopt.errors import SpecError
from graphopt.infer import infer_model
from graphopt.ir import DType, Graph, Model, Node
from graphopt.passes.insert_qdq import InsertQdq
from graphopt.quantization import Quantization, dequantize, is_dequantize, is_quantize, quantization_of, quantize
from graphopt.quantization.ranges import LEAST_SCALE, of_range, of_weights
from tests.passes.models import Told, needs_onnxruntime, ops, parse, results, run

Ranges: TypeAlias = "dict[str, list[float]]"
HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'
BLOCK = f"""{HEADER}g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,3,3] w, float[4,4,3,3] v, float[4] b> {{
    c = Conv<pads = [1,1,1,1]>(x, w, b)
    r = Relu(c)
    d = Conv<pads = [1,1,1,1]>(r, v)
    a = Add(d, x)
    y = Relu(a)
}}"""
BLOCK_RANGES: Ranges = {"x": [-4, 4], "r": [0, 6], "d": [-9, 9], "y": [0, 8]}
NUMBERS = np.random.default_rng(3)


def with_numbers(text: str) -> onnx.ModelProto:
    """The message of a text, with random numbers for what it declares and no node makes."""
    message = onnx.parser.parse_model(text)
    made = {name for node in message.graph.node for name in node.output}
    for port in message.graph.value_info:
        if port.name not in made:
            shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
            message.graph.initializer.append(onnx.numpy_helper.from_array(NUMBERS.normal(0, 0.2, shape).astype(np.float32), port.name))
    del message.graph.value_info[:]
    return message


def table(folder: Path, ranges: object) -> str:
    path = folder / "table.json"
    path.write_text(ranges if isinstance(ranges, str) else json.dumps(ranges))
    return str(path)


def quantized(folder: Path, text: str, ranges: Ranges, told: Told | None = None, **options: Any) -> Model:  # Any: of InsertQdq
    """The model of a text after insert-qdq, valid."""
    model = io.load(with_numbers(text))
    infer_model(model)
    run(model, InsertQdq(table(folder, ranges), **options), observer=told)
    onnx.checker.check_model(io.to_proto(model), full_check=True)
    return model


def parameters(graph: Graph) -> dict[str, Quantization]:
    """The parameters of what each QuantizeLinear reads, and of the stored weights, by their names."""
    found: dict[str, Quantization] = {}
    for node in graph:
        operand = node.inputs[0] if node.inputs else None
        if operand is not None and (is_quantize(node) or (is_dequantize(node) and operand.const is not None)):
            by = quantization_of(node)
            assert isinstance(by, Quantization)
            found[operand.name] = by
    return found


def operand_kinds(node: Node) -> list[str]:
    """Which operators make what a node reads."""
    return ["" if value is None or value.producer is None else value.producer.op for value in node.inputs]


def call(model: Model, op: str, which: int = 0) -> Node:
    return [node for node in model.graph if node.op == op][which]


# ---- parameters


def test_a_range_is_widened_to_hold_0() -> None:
    by = of_range(1.0, 3.0, DType.uint8)
    assert by.scale == np.float32(3) / np.float32(255) and by.zero_point == 0
    by = of_range(-3.0, -1.0, DType.uint8)
    assert by.scale == np.float32(3) / np.float32(255) and by.zero_point == 255


def test_the_zero_point_is_rounded_half_to_even() -> None:
    assert of_range(-0.5, 254.5, DType.uint8).zero_point == 0
    assert of_range(-1.5, 253.5, DType.uint8).zero_point == 2
    assert of_range(-1.0, 254.0, DType.int8).zero_point == -127


def test_0_is_exact_and_the_range_is_covered() -> None:
    for low, high in NUMBERS.normal(0, 10, (200, 2)).tolist():
        for dtype in (DType.uint8, DType.int8):
            by = of_range(min(low, high), max(low, high), dtype)
            ends = np.asarray([0, min(low, high, 0), max(low, high, 0)], np.float32)
            back = dequantize(quantize(ends, by), by)
            assert back[0] == 0
            assert np.abs(back.astype(np.float64) - ends).max() <= by.scale


def test_symmetric_ranges_have_the_zero_in_the_middle() -> None:
    assert of_range(-1.0, 2.54, DType.int8, symmetric=True) == Quantization(
        np.asarray(2.54 / 127, np.float32), np.asarray(0, np.int8), DType.int8
    )
    assert of_range(-1.0, 2.54, DType.uint8, symmetric=True).zero_point == 128


def test_scales_are_normal_numbers() -> None:
    assert of_range(0.0, 1e-42, DType.uint8).scale == LEAST_SCALE
    assert of_range(0.0, 0.0, DType.uint8).scale == 1
    by = of_weights(np.asarray([[0, 0], [1e-44, 0], [-127, 3]], np.float32), DType.int8, 0)
    assert by.scale.tolist() == [1, LEAST_SCALE, 1]
    assert quantize(np.asarray([[0, 0], [1e-44, 0], [-127, 3]], np.float32), by).tolist() == [[0, 0], [0, 0], [-127, 3]]


# ---- placement


def test_a_residual_block(tmp_path: Path) -> None:
    told = Told()
    model = quantized(tmp_path, BLOCK, BLOCK_RANGES, told)
    kinds = Counter(ops(model.graph))
    assert kinds == {"QuantizeLinear": 4, "DequantizeLinear": 7, "Conv": 2, "Relu": 2, "Add": 1}
    by = parameters(model.graph)
    assert by["x"].dtype is DType.uint8 and by["x"].zero_point == 127
    assert by["r"].zero_point == 0
    assert by["w_quantized"].axis == 0 and by["w_quantized"].dtype is DType.int8 and by["w_quantized"].is_symmetric
    assert operand_kinds(call(model, "Conv")) == ["DequantizeLinear", "DequantizeLinear", ""]
    assert operand_kinds(call(model, "Add")) == ["DequantizeLinear", "DequantizeLinear"]
    assert operand_kinds(call(model, "Relu")) == ["Conv"]
    assert [value.name for value in model.graph.outputs] == ["y"]
    assert {"w", "v"}.isdisjoint(model.graph.initializers)
    assert told.refused == []


def test_a_second_run_finds_nothing(tmp_path: Path) -> None:
    model = quantized(tmp_path, BLOCK, BLOCK_RANGES)
    assert run(model, InsertQdq(table(tmp_path, BLOCK_RANGES))) == 0


def test_int8_has_no_zero_point(tmp_path: Path) -> None:
    by = parameters(quantized(tmp_path, BLOCK, BLOCK_RANGES, activation="int8").graph)
    assert all(found.dtype is DType.int8 and found.is_symmetric for found in by.values())


def test_uint8_weights_are_around_128(tmp_path: Path) -> None:
    by = parameters(quantized(tmp_path, BLOCK, BLOCK_RANGES, weights="uint8").graph)
    assert by["w_quantized"].dtype is DType.uint8 and set(by["w_quantized"].zero_point.tolist()) == {128}


def test_outputs_of_linear_operators_stay_float(tmp_path: Path) -> None:
    text = f"{HEADER}g (float[2,8] x) => (float[2,4] y) <float[8,4] w, float[4] b> {{ m = MatMul(x, w) y = Add(m, b) }}"
    model = quantized(tmp_path, text, {"x": [-1, 1], "m": [-2, 2], "y": [-2, 2]})
    assert ops(model.graph) == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul", "Add"]


def test_scales_stand_along_the_axis_of_the_outputs(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[2,8] x, float[1,4,5,5] z, float[3,2,8] t) => (float[2,4] a, float[2,4] b, float[1,6,7,7] c, float[3,2,4] d)
        <float[8,4] w, float[4,8] v, float[4,6,3,3] u, float[3,8,4] s> {{
        a = Gemm(x, w) b = Gemm<transB = 1>(x, v) c = ConvTranspose(z, u) d = MatMul(t, s)
    }}"""
    by = parameters(quantized(tmp_path, text, {"x": [-1, 1], "z": [0, 1], "t": [0, 1]}).graph)
    assert [by[f"{name}_quantized"].axis for name in "wvus"] == [1, 0, 1, None]
    assert [by[f"{name}_quantized"].scale.size for name in "wvus"] == [4, 4, 6, 1]


def test_one_quantizer_for_a_tensor_and_weights_stored_once(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[2,8] x) => (float[2,8] a, float[2,8] b) <float[8,8] w> {{
        r = Relu(x) p = MatMul(r, w) q = MatMul(r, w) a = Tanh(p) b = Tanh(q) }}"""
    model = quantized(tmp_path, text, {"r": [-0.5, 1]})
    assert Counter(ops(model.graph))["QuantizeLinear"] == 1
    assert Counter(ops(model.graph))["DequantizeLinear"] == 4
    assert parameters(model.graph)["r"].zero_point == 0, "a Relu makes nothing below 0, whatever the table says"
    assert sum(value.dtype is DType.int8 and value.rank == 2 for value in model.graph.initializers.values()) == 1


def test_what_concat_joins_has_the_parameters_of_the_result(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,1,1] w, float[4,4,1,1] v, float[4,8,1,1] u> {{
        a = Conv(x, w) b = Conv(x, v) r = Relu(a) s = Relu(b) c = Concat<axis = 1>(r, s) y = Conv(c, u) }}"""
    by = parameters(quantized(tmp_path, text, {"x": [-1, 1], "r": [0, 2], "s": [0, 3], "c": [0, 2.5]}).graph)
    assert by["r"] == by["s"] == by["c"] == of_range(0, 3, DType.uint8)


def test_movement_between_integers_keeps_the_parameters(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[1,4,8,8] x) => (float[1,4,2,2] y) <float[4,4,1,1] w, float[4,4,1,1] v> {{
        a = Conv(x, w) r = Relu(a) z = Conv(r, v) m = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r) b = Conv(m, v)
        n = MaxPool<kernel_shape = [2,2], strides = [2,2]>(b) k = MaxPool<kernel_shape = [4,4], strides = [4,4]>(z) y = Add(n, k) }}"""
    by = parameters(quantized(tmp_path, text, {"x": [-1, 1], "r": [0, 3], "m": [0, 2]}).graph)
    assert by["r"] == by["m"] == of_range(0, 3, DType.uint8)


def test_a_gate_between_convolutions(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,1,1] w, float[4,4,1,1] v> {{
        a = Conv(x, w) s = Sigmoid(a) m = Mul(a, s) y = Conv(m, v) }}"""
    model = quantized(tmp_path, text, {"x": [-1, 1], "a": [-3, 3], "m": [-1, 3]})
    by = parameters(model.graph)
    assert by["s"].scale == 1 / 256 and by["s"].zero_point == 0
    assert operand_kinds(call(model, "Mul")) == ["DequantizeLinear", "DequantizeLinear"]
    assert operand_kinds(call(model, "Sigmoid")) == ["DequantizeLinear"]


def test_normalization_and_softmax_read_floats(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[2,8] x) => (float[2,8] y) <float[8,8] w, float[8] k, float[8,8] v> {{
        a = MatMul(x, w) r = Add(a, x) l = LayerNormalization(r, k) p = Softmax(r) q = MatMul(p, v) y = Mul(l, q) }}"""
    model = quantized(tmp_path, text, {name: [-1, 1] for name in "xarlqy"})
    assert operand_kinds(call(model, "Add")) == ["MatMul", ""]
    assert operand_kinds(call(model, "Softmax")) == ["Add"]
    assert operand_kinds(call(model, "MatMul", 1)) == ["DequantizeLinear", "DequantizeLinear"]
    assert operand_kinds(call(model, "Mul")) == ["LayerNormalization", "MatMul"]
    assert parameters(model.graph)["p"].scale == 1 / 256


def test_attention_multiplies_two_activations(tmp_path: Path) -> None:
    text = f"{HEADER}g (float[2,8] x, float[8,4] z) => (float[2,4] y) {{ y = MatMul(x, z) }}"
    model = quantized(tmp_path, text, {"x": [-1, 1], "z": [-2, 2]})
    assert operand_kinds(call(model, "MatMul")) == ["DequantizeLinear", "DequantizeLinear"]


def test_without_a_range_an_operator_stays_float(tmp_path: Path) -> None:
    told = Told()
    model = quantized(tmp_path, BLOCK, {"x": [-4, 4]}, told)
    assert operand_kinds(call(model, "Conv", 1)) == ["Relu", ""]
    assert ("insert-qdq", "the calibration table has no range of %r") in told.refused
    assert call(model, "Add").inputs[1] is model.graph.inputs[0]


def test_a_float_reader_of_what_integers_make_reads_them_too(tmp_path: Path) -> None:
    text = f"""{HEADER}g (float[1,4,8,8] x, float[1,4,8,8] z) => (float[1,4,8,8] y, float[1,4,8,8] c, float[1,4,8,8] e)
        <float[4,4,1,1] w, float[4,4,1,1] v> {{ c = Conv(x, w) d = Conv(c, v) a = Add(c, z) y = Exp(a) e = Add(d, x) }}"""
    model = quantized(tmp_path, text, {"x": [-1, 1], "c": [-3, 3]})
    assert operand_kinds(call(model, "Add")) == ["DequantizeLinear", ""]
    assert operand_kinds(model.graph.exit) == ["Exp", "DequantizeLinear", "Add"]
    assert operand_kinds(call(model, "Add", 1)) == ["Conv", ""]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("g (float16[2,8] x, float16[8,4] w) => (float16[2,4] y) { y = MatMul(x, w) }", "%x is float16, not float32"),
        ("g (float[2,2] x) => (float[2,2] y) { w = Constant<value_floats = [nan, 1]>() y = MatMul(x, w) }", "%w is not finite everywhere"),
    ],
)
def test_what_stays_float(tmp_path: Path, text: str, why: str) -> None:
    told = Told()
    model = parse(HEADER + text)
    assert run(model, InsertQdq(table(tmp_path, {"x": [-1, 1]})), observer=told) == 0
    assert told.refused == [("insert-qdq", why)]


def test_an_observer_may_forbid(tmp_path: Path) -> None:
    told = Told(lambda source, node: node.op != "Add")
    model = quantized(tmp_path, BLOCK, BLOCK_RANGES, told)
    assert "DequantizeLinear" in ops(model.graph)
    assert call(model, "Add").inputs[0] is call(model, "Conv", 1).output


# ---- tables


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON: "),
        ("[1, 2]", 'is no object; write {"tensor name": [least, greatest], ...}'),
        ("[]", "is no object"),
        ('{"x": 3}', "gives for the tensor 'x' 3; a range is two numbers, [least, greatest]"),
        ('{"x": [1]}', "gives for the tensor 'x' [1]; a range is two numbers"),
        ('{"x": [true, 2]}', "gives for the tensor 'x' [true, 2]; a range is two numbers"),
        ('{"x": [NaN, 2]}', "gives for the tensor 'x' [NaN, 2]; both ends must be finite"),
        ('{"x": [0, 1e39]}', "gives for the tensor 'x' [0, 1e+39]; both ends must be finite"),
        ('{"x": [2, -1]}', "gives for the tensor 'x' [2, -1]; the least number comes first"),
        ('{"x": [0, 1], "x": [0, 2]}', "has two ranges of the tensor 'x'; leave one of them"),
        ('{"rr": [0, 1]}', "speaks of the tensor 'rr', which the model does not have; did you mean 'r'?"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    path = table(tmp_path, content)
    model = io.load(with_numbers(BLOCK))
    infer_model(model)
    with pytest.raises(SpecError) as raised:
        run(model, InsertQdq(path))
    assert str(raised.value).startswith(f"insert-qdq: the calibration table {path!r} ")
    assert message in str(raised.value)
    assert "QuantizeLinear" not in ops(model.graph)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"table '.*none\.json' cannot be read: No such file or directory; give the path"):
        run(parse(f"{HEADER}g (float[2] x) => (float[2] y) {{ y = Relu(x) }}"), InsertQdq(str(tmp_path / "none.json")))


def test_a_name_that_an_earlier_pass_took_away_is_no_mistake(tmp_path: Path) -> None:
    source = with_numbers(f"{HEADER}g (float[2,8] x) => (float[2,8] y) <float[8,8] w> {{ i = Identity(x) y = MatMul(i, w) }}")
    path = table(tmp_path, {"x": [-1, 1], "i": [-1, 1]})
    result = graphopt.optimize(source, pipeline=f'eliminate-identity, insert-qdq{{ranges="{path}"}}')
    assert Counter(node.op_type for node in result.graph.node) == {"QuantizeLinear": 1, "DequantizeLinear": 2, "MatMul": 1}


def test_old_opsets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"needs opset 13 or newer, and the model has 12; convert it first, with convert-opset\{to=13\}"):
        run(parse(BLOCK.replace('"" : 17', '"" : 12').replace("<float[4,4,3,3] w, float[4,4,3,3] v, float[4] b>", "")
                  .replace("x, w, b", "x, x, x").replace("r, v", "r, r")), InsertQdq(table(tmp_path, {})))  # fmt: skip


# ---- what it computes


def calibrated(message: onnx.ModelProto, feeds: dict[str, npt.NDArray[Any]]) -> Ranges:  # Any: as the inputs are
    """The least and the greatest number of every float tensor."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(onnx.shape_inference.infer_shapes(message))
    floats = [port for port in tapped.graph.value_info if port.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    tapped.graph.output.extend(floats)
    found = dict(zip([port.name for port in tapped.graph.output], results(tapped, feeds, by_onnxruntime=True), strict=True))
    return {name: [float(array.min()), float(array.max())] for name, array in {**feeds, **found}.items()}


def fused(message: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators that onnxruntime makes of a model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "fused.onnx")
    onnxruntime.InferenceSession(message.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "fused.onnx").graph.node)


@needs_onnxruntime
def test_a_residual_block_becomes_integers_in_onnxruntime(tmp_path: Path) -> None:
    source = with_numbers(BLOCK)
    feeds = {"x": NUMBERS.normal(0, 2, (1, 4, 8, 8)).astype(np.float32)}
    ranges = calibrated(source, feeds)
    result = graphopt.optimize(source, pipeline=f'insert-qdq{{ranges="{table(tmp_path, ranges)}"}}')
    [before], [after] = (results(message, feeds, by_onnxruntime=True) for message in (source, result))
    assert np.abs(before - after).max() <= 4 * ranges["y"][1] / 255
    assert fused(result, tmp_path) == {"QuantizeLinear": 1, "QLinearConv": 2, "QLinearAdd": 1, "DequantizeLinear": 1}


@needs_onnxruntime
def test_a_real_network_gives_nearly_the_same(tmp_path: Path) -> None:
    """SqueezeNet, from the command line: its Concats and poolings too are computed on integers."""
    from examples.demo import SKELETON, filled

    source = filled(onnx.load(SKELETON.with_name("light_squeezenet.onnx")))
    ready = graphopt.optimize(source, opset=17, initializers_are_constants=True)
    onnx.save(ready, tmp_path / "ready.onnx")
    feeds = {ready.graph.input[0].name: NUMBERS.normal(0, 1, (1, 3, 224, 224)).astype(np.float32)}
    path = table(tmp_path, calibrated(ready, feeds))
    subprocess.run(
        [sys.executable, "-m", "graphopt", "optimize", "ready.onnx", "-o", "int8.onnx", "-p", f'insert-qdq{{ranges="{path}"}}'],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    result = onnx.load(tmp_path / "int8.onnx")
    assert sum(node.op_type == "QuantizeLinear" for node in result.graph.node) >= 26
    [before], [after] = (results(message, feeds, by_onnxruntime=True) for message in (ready, result))
    error, size = np.linalg.norm(before - after), np.linalg.norm(before)
    assert error <= 0.1 * size
    assert (tmp_path / "int8.onnx").stat().st_size < 0.3 * (tmp_path / "ready.onnx").stat().st_size
    assert fused(result, tmp_path)["QLinearConv"] >= 25
