"""What quantizing idioms compute, before and after the passes that import them: as onnxruntime runs both, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest

from graphopt import io
from graphopt.ir import verify
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import needs_onnxruntime, results
from tests.passes.test_scopes_of_goldens import in_branch, in_function

pytestmark = needs_onnxruntime

Floats: TypeAlias = "npt.NDArray[np.float32]"
IDIOM = "a = Div(x, s) b = Round(a) c = Add(b, z) d = Clip(c, low, high) e = Sub(d, z) y = Mul(e, s)"
SYMMETRIC = (
    "a = Div(x, s) b = Round(a) c = Clip(b, low, high) y = Mul(c, s)",
    "a = Div(x, s) b = Clip(a, low, high) c = Round(b) y = Mul(c, s)",
)
RANGES = ((-128, 127), (0, 255), (-127, 127), (0, 15), (-8, 7), (0, 65535), (-32768, 32767), (-3, 200))
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}


def optimized(model: onnx.ModelProto, pipeline: str) -> onnx.ModelProto:
    """A model after a pipeline."""
    loaded = io.load(model)
    run_pipeline(Pipeline.parse(pipeline), loaded)
    verify(loaded)
    return io.to_proto(loaded)


def ops(model: onnx.ModelProto) -> list[str]:
    """The operators of the main graph, in their order."""
    return [node.op_type for node in model.graph.node]


def bits(array: Any) -> Any:  # Any: arrays of any type
    """The same elements, so that +0 and -0 differ."""
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def adversarial(chance: np.random.Generator, shape: tuple[int, ...], scale: Floats) -> Floats:
    """Ties, whole steps, numbers far out of range, both zeros."""
    steps = np.choose(
        chance.integers(0, 5, shape),
        [
            chance.integers(-300, 300, shape) + 0.5,
            chance.integers(-300, 300, shape) + 0.0,
            chance.standard_normal(shape) * 50,
            chance.standard_normal(shape) * 1e5,
            np.zeros(shape),
        ],
    )
    signed = steps * chance.choice((-1.0, 1.0), shape)
    return np.asarray((signed * scale), np.float32).reshape(shape)


def listed(array: Any) -> str:  # Any: arrays of any type
    """The elements, as ONNX text has them; exact for float32."""
    return ", ".join(repr(float(element)) if array.dtype.kind == "f" else str(element) for element in np.asarray(array).reshape(-1))


def stored(name: str, array: Any) -> str:
    """An initializer in ONNX text."""
    kind = "float" if array.dtype == np.float32 else str(array.dtype)
    shape = f"[{','.join(map(str, array.shape))}]" if array.shape else ""
    return f"{kind}{shape} {name} = {{{listed(array)}}}"


def model_of(body: str, shape: tuple[int, ...], opset: int, *held: str, domains: str = "") -> onnx.ModelProto:
    """A model of x and y, floats of a shape."""
    dims = f"[{','.join(map(str, shape))}]" if shape else ""
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}{domains}]> g (float{dims} x) => (float{dims} y) <{", ".join(held)}> {{ {body} }}'
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_fake_quantization_is_the_pair(seed: int) -> None:
    chance = np.random.default_rng(seed)
    shape = tuple(int(size) for size in chance.integers(1, 4, int(chance.integers(1, 4))))
    axis = int(chance.integers(0, len(shape)))
    sizes = () if chance.random() < 0.5 else (shape[axis], *[1] * (len(shape) - axis - 1))
    least, most = RANGES[chance.integers(0, len(RANGES))]
    scale = np.exp(chance.uniform(-8, 4, sizes)).astype(np.float32)
    zero = chance.integers(max(least, -200), min(most, 255) + 1, sizes).astype(np.float32)
    has_zero_point = chance.random() < 0.5
    body = IDIOM if has_zero_point else SYMMETRIC[chance.integers(0, 2)]
    bounds = (stored("low", np.float32(least)), stored("high", np.float32(most)))
    model = model_of(body, shape, int(chance.choice((13, 19, 21, 23))), stored("s", scale), stored("z", zero), *bounds)
    changed = optimized(model, "import-fake-quantization")
    feeds = {"x": adversarial(chance, shape, scale)}
    (before,), (after,) = results(model, feeds, by_onnxruntime=True), results(changed, feeds, by_onnxruntime=True)
    if "QuantizeLinear" in ops(changed) and not has_zero_point:
        before = before + np.float32(0)  # of -0 the pair makes 0, which the rule says
    assert np.array_equal(bits(before), bits(after))


@pytest.mark.parametrize("seed", range(60))
def test_weights_are_quantized_as_onnxruntime_does(seed: int) -> None:
    chance = np.random.default_rng(seed)
    kind = str(chance.choice(list(LIMITS)))
    shape = tuple(int(size) for size in chance.integers(1, 4, int(chance.integers(1, 4))))
    axis, block = int(chance.integers(0, len(shape))), int(chance.integers(1, 4))
    form = int(chance.integers(0, 3))
    blocks = tuple(-(-size // block) if index == axis else size for index, size in enumerate(shape))
    sizes = ((), (shape[axis],), blocks)[form]
    scale = np.exp(chance.uniform(-8, 4, sizes)).astype(np.float32)
    zero = chance.integers(LIMITS[kind][0], LIMITS[kind][1] + 1, sizes).astype(kind)
    attributes = ("", f"<axis = {axis}>", f"<axis = {axis}, block_size = {block}>")[form]
    placed = (scale, scale.reshape([-1 if index == axis else 1 for index in range(len(shape))]) if form == 1 else scale, None)[form]
    each = np.repeat(scale, block, axis)[tuple(map(slice, shape))] if placed is None else placed
    weights = adversarial(chance, shape, np.asarray(each, np.float32))
    held = (stored("w", weights), stored("s", scale), stored("z", zero))
    body = f"q = QuantizeLinear{attributes}(w, s, z) d = DequantizeLinear{attributes}(q, s, z) y = Add(x, d)"
    model = model_of(body, shape, 21, *held)
    changed = optimized(model, "fold-weight-quantization")
    assert ops(changed) == ["DequantizeLinear", "Add"]
    feeds = {"x": np.zeros(shape, np.float32)}
    if form == 2 and len(scale) == scale.size == 1 and len(shape) == 1:  # onnxruntime refuses one block that is all of a vector
        return
    (before,), (after,) = results(model, feeds, by_onnxruntime=True), results(changed, feeds, by_onnxruntime=True)
    assert np.array_equal(bits(before), bits(after))


def quant(x: Floats, scale: Floats | np.float32, zero: np.float32, bits: int, signed: int, narrow: int, rounding: str) -> Floats:
    """What QONNX says that Quant computes."""
    least = -(2 ** (bits - 1)) + narrow if signed else 0
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    shifted = (x / scale + zero).astype(np.float32)
    if bits == 1 and signed:
        whole = np.where(shifted >= 0, np.float32(1), np.float32(-1))
    else:
        whole = {"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil}[rounding](np.clip(shifted, np.float32(least), np.float32(most)))
    return np.asarray((whole - zero) * scale, np.float32)


@pytest.mark.parametrize("seed", range(60))
def test_quant_is_what_qonnx_says(seed: int) -> None:
    chance = np.random.default_rng(seed)
    shape = (2, 3, 2)
    sizes = ((), (3, 1), (1, 3, 1))[chance.integers(0, 3)]
    scale = np.exp(chance.uniform(-6, 2, sizes)).astype(np.float32)
    zero = np.float32(chance.choice((0, 0, 3, -2)))
    width, signed, narrow = int(chance.choice((1, 2, 4, 8, 8, 12, 16))), int(chance.integers(0, 2)), int(chance.integers(0, 2))
    rounding = str(chance.choice(("ROUND", "ROUND", "FLOOR", "CEIL")))
    call = f'qonnx.custom_op.general.Quant<signed = {signed}, narrow = {narrow}, rounding_mode = "{rounding}">(x, s, z, b)'
    held = (stored("s", scale), stored("z", zero), stored("b", np.float32(width)))
    model = model_of(f"y = {call}", shape, int(chance.choice((13, 21))), *held, domains=', "qonnx.custom_op.general" : 1')
    changed = optimized(model, "import-qonnx, remove-unused-opset-imports")
    assert [entry.domain for entry in changed.opset_import] == [""]
    x = adversarial(chance, shape, scale)
    (after,) = results(changed, {"x": x}, by_onnxruntime=True)
    assert np.array_equal(quant(x, scale, zero, width, signed, narrow, rounding), after)


def test_bipolar_quant_and_trunc_are_what_qonnx_says() -> None:
    chance = np.random.default_rng(0)
    scale = np.array([0.1, 0.5, 3], np.float32)
    x = adversarial(chance, (4, 3), scale)
    domains = ', "qonnx.custom_op.general" : 1'
    bipolar = model_of("y = qonnx.custom_op.general.BipolarQuant(x, s)", (4, 3), 13, stored("s", scale), domains=domains)
    (after,) = results(optimized(bipolar, "import-qonnx"), {"x": x}, by_onnxruntime=True)
    assert np.array_equal(np.where(x >= 0, scale, -scale), after)
    held = (stored("s", scale), stored("z", np.float32(3)), stored("b", np.float32(8)), stored("c", np.float32(5)))
    trunc = optimized(model_of("y = qonnx.custom_op.general.Trunc(x, s, z, b, c)", (4, 3), 13, *held, domains=domains), "import-qonnx")
    (after,) = results(trunc, {"x": x}, by_onnxruntime=True)
    assert np.array_equal((np.floor(np.rint(x / scale + np.float32(3)) / np.float32(8)) - np.float32(3)) * scale, after)


@pytest.mark.parametrize("around", [in_branch, in_function])
@pytest.mark.parametrize("zero", [0, 3])
def test_what_no_engine_runs_is_imported_inside_too(around: Callable[[onnx.ModelProto], onnx.ModelProto], zero: int) -> None:
    held = (stored("s", np.float32(0.1)), stored("z", np.float32(zero)), stored("b", np.float32(8)))
    domains = ', "qonnx.custom_op.general" : 1, "trt" : 1'
    body = (
        "a = qonnx.custom_op.general.Quant<signed = 0, narrow = 0>(x, s, z, b) q = trt.TRT_FP8QuantizeLinear(x, s)"
        " c = trt.TRT_FP8DequantizeLinear(q, s) y = Sub(a, c)"
    )
    model = around(model_of(body, (2, 3), 19, *held, domains=domains))
    changed = optimized(model, "import-qonnx, import-tensorrt-float8")
    plain = "a = Div(x, s) b = Cast<to = 17>(a) c = Cast<to = 1>(b) y = Mul(c, s)"
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32) * 50
    (float8,) = results(model_of(plain, (2, 3), 19, held[0]), {"x": x}, by_onnxruntime=True)
    feeds = {"x": x, **({"taken": np.array(False)} if around is in_branch else {})}
    (after,) = results(changed, feeds, by_onnxruntime=True)
    assert np.array_equal(quant(x, np.float32(0.1), np.float32(zero), 8, 0, 0, "ROUND") - float8, after)


@pytest.mark.parametrize("seed", range(5))
def test_float8_of_tensorrt_is_a_cast_of_the_quotient(seed: int) -> None:
    chance = np.random.default_rng(seed)
    scale = np.float32(np.exp(chance.uniform(-4, 2)))
    body = "q = trt.TRT_FP8QuantizeLinear(x, s) y = trt.TRT_FP8DequantizeLinear(q, s)"
    model = model_of(body, (2, 3), 19, stored("s", scale), domains=', "trt" : 1')
    changed = optimized(model, "import-tensorrt-float8, remove-unused-opset-imports")
    spelled = model_of("a = Div(x, s) b = Cast<to = 17>(a) c = Cast<to = 1>(b) y = Mul(c, s)", (2, 3), 19, stored("s", scale))
    feeds = {"x": (chance.standard_normal((2, 3)) * 300).astype(np.float32)}
    (before,), (after,) = results(spelled, feeds, by_onnxruntime=True), results(changed, feeds, by_onnxruntime=True)
    assert np.array_equal(bits(before), bits(after))


@pytest.mark.parametrize("pipeline", ["share-quantization", "make-dequantize-unique", "share-quantization, make-dequantize-unique"])
def test_sharing_and_copying_change_no_number(pipeline: str) -> None:
    body = (
        "p = QuantizeLinear(x, s, z) q = QuantizeLinear(x, s, z) c = DequantizeLinear(p, s, z) d = DequantizeLinear(q, s, z)"
        " e = Mul(c, d) f = Add(e, c) y = Sub(f, d)"
    )
    model = model_of(body, (3, 4), 13, stored("s", np.float32(0.1)), stored("z", np.uint8(7)))
    changed = optimized(model, pipeline)
    assert ops(changed).count("DequantizeLinear") == {"share-quantization": 1, "make-dequantize-unique": 4}.get(pipeline, 4)
    feeds = {"x": adversarial(np.random.default_rng(0), (3, 4), np.float32(0.1))}
    (before,), (after,) = results(model, feeds, by_onnxruntime=True), results(changed, feeds, by_onnxruntime=True)
    assert np.array_equal(bits(before), bits(after))


# ---- as exporters write it, through all of level 1

TORCH_AO = """
    scale = Cast<to = 1>(s64) wide = Identity(z64) zero = Cast<to = 3>(wide)
    q = QuantizeLinear(x, scale, zero) c = Clip(q, low, high) d = DequantizeLinear(c, scale, zero) y = Relu(d)
"""


def test_parameters_behind_casts_are_folded_and_idle_bounds_go() -> None:
    held = ("double s64 = {0.1}", "int64 z64 = {3}", "int8 low = {-128}", "int8 high = {127}")
    changed = optimized(model_of(TORCH_AO, (2, 3), 13, *held), "level1")
    assert ops(changed) == ["QuantizeLinear", "DequantizeLinear", "Relu"]
    assert {tensor.data_type for tensor in changed.graph.initializer} == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8}
    assert len(changed.graph.initializer) == 2


def test_parameters_of_tensorflow_are_scalars_once() -> None:
    body = "q = QuantizeLinear<axis = 0>(x, s, z) d = DequantizeLinear<axis = 0>(q, t, u) y = Relu(d)"
    held = ("float[1] s = {0.1}", "int8[1] z = {0}", "float t = {0.1}", "int8 u = {0}")
    changed = optimized(model_of(body, (2, 3), 13, *held), "level1")
    quantize, dequantize, _ = changed.graph.node
    assert quantize.input[1:] == dequantize.input[1:] and not quantize.attribute and not dequantize.attribute


def test_weights_of_an_idiom_are_stored_as_integers() -> None:
    body = f"{IDIOM.replace('(x, s)', '(w, s)').replace('y = Mul', 'f = Mul')} y = MatMul(x, f)"
    bounds = ("float low = {-127}", "float high = {127}")
    held = ("float[3,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}", "float[3] s = {0.1, 0.2, 0.3}", "float z = {0}", *bounds)
    changed = optimized(model_of(body, (3, 3), 13, *held), "level1")
    assert ops(changed) == ["DequantizeLinear", "MatMul"]
    assert sorted(tensor.data_type for tensor in changed.graph.initializer) == [onnx.TensorProto.FLOAT, *[onnx.TensorProto.INT8] * 2]


def test_an_idiom_is_seen_though_its_parameters_are_computed() -> None:
    body = (
        "s = Reshape(t, rows) z = Cast<to = 1>(zeros) a = Div(w, s) b = Round(a) c = Add(z, b) d = Clip(c, low, high) e = Sub(d, z)"
        " f = Mul(s, e) y = Mul(x, f)"
    )
    held = ("float[3,1] w = {1, 2, 3}", "float[3] t = {0.1, 0.2, 0.3}", "int64[2] rows = {-1, 1}", "int64 zeros = {7}")
    model = model_of(body, (3, 1), 13, *held, "float low = {0}", "float high = {255}")
    changed = optimized(model, "level1")
    assert ops(changed) == ["DequantizeLinear", "Mul"]
    feeds = {"x": np.ones((3, 1), np.float32)}
    (before,), (after,) = results(model, feeds, by_onnxruntime=True), results(changed, feeds, by_onnxruntime=True)
    assert np.array_equal(bits(before), bits(after))
