"""What targets ask of quantized models: bounds, scales, biases and products, against onnxruntime; and what onnxruntime makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.parser
import pytest

from graphopt import io
from graphopt.infer import infer_model
from graphopt.observe.observer import Observer
from graphopt.passes.absorb_clip_into_quantize import AbsorbClipIntoQuantize
from graphopt.passes.absorb_relu_into_quantize import AbsorbReluIntoQuantize
from graphopt.passes.convert_dequantized_matmul_to_integer import ConvertDequantizedMatmulToInteger
from graphopt.passes.convert_int8_to_uint8 import ConvertInt8ToUint8
from graphopt.passes.decompose_zero_points import DecomposeZeroPoints
from graphopt.passes.fold_scale_into_dequantize import FoldScaleIntoDequantize
from graphopt.passes.fold_scale_into_quantize import FoldScaleIntoQuantize
from graphopt.passes.fuse_dynamic_quantization import FuseDynamicQuantization
from graphopt.passes.move_clip_after_quantize import MoveClipAfterQuantize
from graphopt.passes.move_relu_after_quantize import MoveReluAfterQuantize
from graphopt.passes.move_weight_transpose_through_dequantize import MoveWeightTransposeThroughDequantize
from graphopt.passes.quantize_bias import QuantizeBias
from graphopt.pipeline.base import Pass
from tests.passes.models import Told, before_and_after, needs_onnxruntime, run

Floats: TypeAlias = npt.NDArray[np.float32]
LEAST = {"int8": -128, "uint8": 0, "int16": -(2**15), "uint16": 0, "int4": -8, "uint4": 0}
MOST = {"int8": 127, "uint8": 255, "int16": 2**15 - 1, "uint16": 2**16 - 1, "int4": 7, "uint4": 15}


def listed(numbers: npt.ArrayLike) -> str:
    """Numbers as the elements of a tensor in ONNX's text."""
    return "{" + ", ".join(repr(float(number)) for number in np.ravel(numbers)) + "}"


def whole(numbers: npt.ArrayLike) -> str:
    """The same of integers."""
    return "{" + ", ".join(str(int(number)) for number in np.ravel(numbers)) + "}"


def quantizing(chance: np.random.Generator) -> tuple[str, str, str, Floats, npt.NDArray[np.int64]]:
    """A type, the attributes and the constants of a random quantization of (N, 3, 4), and its scales and zero points."""
    kind = str(chance.choice(["int8", "uint8", "int8", "uint8", "int16", "uint16", "int4", "uint4"]))
    count = int(chance.choice([1, 3]))
    scale = chance.choice([1.0, 0.5, 0.1, 0.037, 3.0], count).astype(np.float32)
    least, most = LEAST[kind], MOST[kind]
    numbers = [least, least, least + 1, (least + most + 1) // 2, most]
    zero = chance.choice(numbers, 1 if chance.random() < 0.6 else count).repeat(count)[:count]
    shape = "[3]" if count > 1 else ""
    return kind, "<axis = 1>" if count > 1 else "", f"float{shape} s = {listed(scale)}, {kind}{shape} z = {whole(zero)}", scale, zero


def difficult(chance: np.random.Generator, shape: tuple[int, ...], scale: Floats) -> Floats:
    """Ties, their neighbours, numbers out of range, zeros of both signs."""
    ties = (chance.integers(-300, 300, shape) + 0.5) * chance.choice(scale, shape)
    near = np.nextafter(ties.astype(np.float32), chance.choice([np.inf, -np.inf, 0], shape).astype(np.float32))
    rare = chance.choice([0.0, -0.0, 1e5, -1e5, np.inf, -np.inf, 1e-40], shape)
    kind = chance.integers(4, size=shape)
    found: Floats = np.select([kind == 0, kind == 1, kind == 2], [ties, near, rare], chance.normal(0, 20, shape)).astype(np.float32)
    return found


def parsed(text: str) -> onnx.ModelProto:
    """The model of a text; onnx's parser does not pack numbers of four bits."""
    model = onnx.parser.parse_model(text)
    for tensor in model.graph.initializer:
        if tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4):
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, list(tensor.int32_data)))
    return model


def same_bits(text: str, feeds: dict[str, Any], *steps: Pass) -> int:
    """Run passes and compare the bits with what the model computed before; returns how many changes were made."""
    told = Told()
    before, after, _ = before_and_after(parsed(text), feeds, *steps, by_onnxruntime=True, observer=told)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after], text
    return len(told.made)


def bounded(seed: int) -> tuple[str, dict[str, Any]]:
    """A random bound before a random QuantizeLinear, and what to feed."""
    chance = np.random.default_rng(seed)
    kind, attributes, held, scale, zero = quantizing(chance)
    edges = [(edge - zero[0]) * scale[0] + shift for edge in (LEAST[kind], MOST[kind]) for shift in (0, 0.5 * scale[0], -0.5 * scale[0])]
    low, high = (float(np.float32(chance.choice([*edges, 0.0, -0.0, 6.0, -1e4, 1e4]))) for _ in range(2))
    bound = str(chance.choice(["Relu(x)", "Clip(x, low, high)", "Clip(x, low)", "Clip(x, , high)"]))
    head = '<ir_version: 10, opset_import: ["" : 21]> g (float[2,3,4] x) =>'
    body = f"{{ r = {bound} q = QuantizeLinear{attributes}(r, s, z) y = DequantizeLinear{attributes}(q, s, z) }}"
    return f"{head} (float[2,3,4] y) <{held}, float low = {{{low!r}}}, float high = {{{high!r}}}> {body}", {
        "x": difficult(chance, (2, 3, 4), scale)
    }


BOUNDS = (AbsorbReluIntoQuantize(), AbsorbClipIntoQuantize(), MoveReluAfterQuantize(), MoveClipAfterQuantize())


@needs_onnxruntime
def test_bounds() -> None:
    assert sum(same_bits(*bounded(seed), *BOUNDS) for seed in range(120)) > 30


def rescaled(seed: int) -> tuple[str, dict[str, Any]]:
    """A random power of two before a random QuantizeLinear, and after its DequantizeLinear."""
    chance = np.random.default_rng(seed)
    _, attributes, held, scale, _ = quantizing(chance)
    one, other = (listed(2.0 ** chance.integers(-5, 6, 3 if "axis" in attributes else 1)) for _ in range(2))
    shape = "[3,1]" if "axis" in attributes else ""
    first, second = (chance.choice(["Mul", "Div"]) for _ in range(2))
    head = '<ir_version: 10, opset_import: ["" : 21]> g (float[2,3,4] x) => (float[2,3,4] y)'
    return (
        f"{head} <{held}, float{shape} c = {one}, float{shape} d = {other}> {{ t = {first}(x, c) q = QuantizeLinear{attributes}(t, s, z) "
        f"u = DequantizeLinear{attributes}(q, s, z) y = {second}(u, d) }}"
    ), {"x": difficult(chance, (2, 3, 4), scale)}


@needs_onnxruntime
def test_factors() -> None:
    made = [same_bits(*rescaled(seed), FoldScaleIntoDequantize(), FoldScaleIntoQuantize()) for seed in range(60)]
    assert made == [2] * 60


def turned(seed: int) -> tuple[str, dict[str, Any]]:
    """Weights of four or eight bits that are transposed once they are dequantized."""
    chance = np.random.default_rng(seed)
    kind = str(chance.choice(["int8", "uint4"]))
    numbers = chance.integers(LEAST[kind], MOST[kind] + 1, (2, 3, 4))
    attributes, shape = [("", ()), ("<axis = 1>", (3,)), ("<axis = -1, block_size = 2>", (2, 3, 2))][chance.integers(3)]
    zero = chance.integers(LEAST[kind], MOST[kind] + 1, shape)
    dims = str(list(shape)) if shape else ""
    perm = [int(axis) for axis in chance.permutation(3)]
    result = [(2, 3, 4)[axis] for axis in perm]
    held = f"{kind}[2,3,4] w = {whole(numbers)}, float{dims} s = {listed(chance.random(shape) + 0.1)}, {kind}{dims} z = {whole(zero)}"
    body = f"{{ d = DequantizeLinear{attributes}(w, s, z) t = Transpose<perm = {perm}>(d) y = Add(t, x) }}"
    head = f'<ir_version: 10, opset_import: ["" : 21]> g (float x) => (float{result} y)'
    return f"{head} <{held}> {body}", {"x": np.float32(0)}


@needs_onnxruntime
def test_transposed_weights() -> None:
    assert all(same_bits(*turned(seed), MoveWeightTransposeThroughDequantize()) == 1 for seed in range(40))


PRODUCT = """<ir_version: 8, opset_import: ["" : 13]> g (uint8[3,{k}] a, {kind}[{k},2] b) => (int32[3,2] y)
<uint8 z = {{{z}}}, {kind}{n} v = {v}>"""


@needs_onnxruntime
@pytest.mark.parametrize("seed", range(12))
def test_zero_points(seed: int) -> None:
    chance = np.random.default_rng(seed)
    depth, kind, count = int(chance.choice([1, 2, 7])), str(chance.choice(["int8", "uint8"])), int(chance.choice([1, 2]))
    zeros = whole(chance.integers(LEAST[kind], MOST[kind] + 1, count))
    head = PRODUCT.format(k=depth, kind=kind, z=int(chance.integers(256)), n="[2]" if count > 1 else "", v=zeros)
    feeds = {
        "a": chance.integers(0, 256, (3, depth)).astype(np.uint8),
        "b": chance.integers(LEAST[kind], MOST[kind] + 1, (depth, 2)).astype(kind),
    }
    assert same_bits(f"{head} {{ y = MatMulInteger(a, b, z, v) }}", feeds, DecomposeZeroPoints()) == 1


@needs_onnxruntime
@pytest.mark.parametrize("seed", range(6))
def test_bias_moves_by_half_a_step_at_most(seed: int) -> None:
    chance = np.random.default_rng(seed)
    scale = float(np.float32(chance.choice([0.1, 0.013, 2.0])))
    bias = (chance.integers(-9, 9, 2) * 0.5 + chance.choice([0, 0.25, 0.1], 2)) * scale
    held = f"uint8 z = {{7}}, float s = {{{scale!r}}}, float t = {{1.0}}, int8[2,3] w = {{1, 2, 3, 4, 5, -6}}, float[2] b = {listed(bias)}"
    text = f"""<ir_version: 8, opset_import: ["" : 13]> g (uint8[4,3] a) => (float[4,2] y) <{held}> {{
       c = DequantizeLinear(a, s, z) d = DequantizeLinear(w, t) y = Gemm<transB = 1>(c, d, b) }}"""
    feeds = {"a": chance.integers(0, 256, (4, 3)).astype(np.uint8)}
    (before,), (after,), _ = before_and_after(onnx.parser.parse_model(text), feeds, QuantizeBias(), by_onnxruntime=True)
    assert np.abs(before - after).max() <= scale * 0.5 + np.abs(before).max() * 1e-6


# ---- what onnxruntime makes of it


def left_by_onnxruntime(text: str, folder: Path, *steps: Pass) -> Counter[str]:
    """The operators of the graph that onnxruntime writes at its extended level, after some passes."""
    import onnxruntime

    model = io.load(onnx.parser.parse_model(text))
    infer_model(model, Observer())
    run(model, *steps)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(io.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


DYNAMIC = """<ir_version: 8, opset_import: ["" : 13]> g (float[3,4] x) => (float[3,2] y)
<uint8[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[2] v = {0.1, 0.2}, uint8 k = {3}, float[2] b = {1, 2}> {
   q, s, z = DynamicQuantizeLinear(x)
   i = MatMulInteger(q, w, z, k)
   f = Cast<to = 1>(i)
   t = Mul(f, s)
   u = Mul(v, t)
   y = Add(b, u)
}"""


@needs_onnxruntime
def test_one_node_of_a_dynamically_quantized_product(tmp_path: Path) -> None:
    assert left_by_onnxruntime(DYNAMIC, tmp_path)["MatMulInteger"] == 1
    assert left_by_onnxruntime(DYNAMIC, tmp_path, FuseDynamicQuantization()) == {"DynamicQuantizeMatMul": 1}


# A signed residual: a tensor with two readers, a Relu that no saturation absorbs, and a Conv of both.
RESIDUAL = """<ir_version: 8, opset_import: ["" : 13]> g (float[1,2,4,4] x) => (float[1,2,4,4] y)
<int8[2,2,1,1] w = {10, 20, -30, 127}, float s = {0.1}, int8 z = {0}, float t = {0.01}> {
   q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z) v = DequantizeLinear(w, t, z)
   c = Conv(a, v) r = Relu(c) p = QuantizeLinear(r, s, z) d = DequantizeLinear(p, s, z)
   u = DequantizeLinear(w, t, z) e = Conv(d, u) k = QuantizeLinear(e, s, z) f = DequantizeLinear(k, s, z)
   g = DequantizeLinear(p, s, z) h = Add(f, g) o = QuantizeLinear(h, s, z) y = DequantizeLinear(o, s, z)
}"""


@needs_onnxruntime
def test_signed_residual_is_integers_throughout(tmp_path: Path) -> None:
    steps = (MoveReluAfterQuantize(), ConvertInt8ToUint8())
    chance = np.random.default_rng(0)
    assert same_bits(RESIDUAL, {"x": difficult(chance, (1, 2, 4, 4), np.array([0.1], np.float32))}, *steps) > 1
    found = left_by_onnxruntime(RESIDUAL, tmp_path, *steps)
    assert (found["QLinearConv"], found["QLinearAdd"], found["QuantizeLinear"], found["DequantizeLinear"]) == (2, 1, 1, 1)
    assert left_by_onnxruntime(RESIDUAL, tmp_path)["QLinearConv"] < 2


@needs_onnxruntime
def test_products_of_integers_are_as_good() -> None:
    text = """<ir_version: 8, opset_import: ["" : 13]> g (uint8[3,40] a, int8[40,2] b) => (float[3,2] y)
    <float s = {0.1}, uint8 z = {7}, float[2] t = {0.01, 0.3}, int8[2] k = {0, -3}> {
       c = DequantizeLinear(a, s, z) d = DequantizeLinear<axis = 1>(b, t, k) y = MatMul(c, d) }"""
    chance = np.random.default_rng(0)
    feeds = {"a": chance.integers(0, 256, (3, 40)).astype(np.uint8), "b": chance.integers(-128, 128, (40, 2)).astype(np.int8)}
    step = ConvertDequantizedMatmulToInteger()
    (before,), (after,), made = before_and_after(onnx.parser.parse_model(text), feeds, step, by_onnxruntime=True)
    assert [node.op for node in made.graph] == ["MatMulInteger", "DequantizeLinear"]
    np.testing.assert_allclose(after, before, rtol=0, atol=np.abs(before).max() * 1e-6)
