"""Quantized tensors in another integer type: random regions compute the same bits, and convert as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.passes.convert_int8_to_uint8 import ConvertInt8ToUint8
from graphopt.passes.convert_uint8_to_int8 import ConvertUint8ToInt8
from graphopt.pipeline.base import Pass
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, run

HEAD = '<ir_version: 9, opset_import: ["" : 17]> g'
SHAPE = (2, 3, 4, 4)
# Of q: (2, 3, 4, 4) and r, the same; c is a condition, everything else a constant of the model.
MOVES = (
    "{y} = Transpose<perm = [0, 1, 3, 2]>({q})",
    "{y} = Identity({q})",
    "{y} = Max({q}, {k})",
    "{y} = Min({k}, {q}, {r})",
    "{y} = Clip({q}, {k})",
    "{y} = Where(c, {q}, {r})",
    "{y} = Where(c, {q}, {k})",
    "{y} = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>({q})",
    "{y}_p = Pad({q}, pads) {y} = Slice({y}_p, starts, ends, axes)",
    "{y}_p = Pad({q}, pads, {k}) {y} = Slice({y}_p, starts, ends, axes)",
    "{y}_a, {y}_b = Split<axis = 2>({q}) {y} = Concat<axis = 2>({y}_b, {y}_a)",
    "{y}_f = Flatten({q}) {y} = Reshape({y}_f, shape)",
    "{y}_g = Gather<axis = 3>({q}, places) {y} = Concat<axis = 3>({y}_g, {y}_g)",
    "{y}_t, {y}_i = TopK<axis = 3>({q}, four) {y} = Concat<axis = 3>({y}_t)",
    "{y}_m = ReduceMax<axes = [3]>({q}) {y} = Expand({y}_m, shape)",
    '{y}_d = SpaceToDepth<blocksize = 2>({q}) {y} = DepthToSpace<blocksize = 2, mode = "CRD">({y}_d)',
)


def model(seed: int, kind: str, zero: int | None = None) -> onnx.ModelProto:
    """Q of two inputs, some moves, and a DQ of some of the results."""
    numbers = np.random.default_rng(seed)
    least = 0 if kind == "uint8" else -128
    constants = [f"{kind} k{i} = {{{numbers.integers(least, least + 256)}}}" for i in range(3)]
    zeros = [zero if zero is not None else int(numbers.integers(least, least + 256)) for _ in range(2)]
    body = ["q0 = QuantizeLinear(x, s, z0)", "q1 = QuantizeLinear(w, s, z1)"]
    for index in range(2, 2 + int(numbers.integers(1, 6))):
        names = {"q": f"q{numbers.integers(index)}", "r": f"q{numbers.integers(index)}", "k": f"k{numbers.integers(3)}"}
        body.append(MOVES[numbers.integers(len(MOVES))].format(y=f"q{index}", **names))
    last = index
    read = sorted({last, *map(int, numbers.integers(last + 1, size=2))})
    body += [f"y{at} = DequantizeLinear(q{at}, s, z{numbers.integers(2)})" for at in read]
    size = ",".join(map(str, SHAPE))
    outputs = ", ".join(f"float[{size}] y{at}" for at in read)
    held = ", ".join([
        *constants, f"{kind} z0 = {{{zeros[0]}}}", f"{kind} z1 = {{{zeros[1]}}}", f"float s = {{{numbers.choice([0.25, 0.1, 1.0])}}}",
        "int64[8] pads = {0, 0, 1, 0, 0, 0, 0, 1}", "int64[2] starts = {0, 1}", "int64[2] ends = {4, 5}", "int64[2] axes = {2, 3}",
        "int64[4] shape = {2, 3, 4, 4}", "int64[2] places = {3, -4}", "int64[1] four = {4}",
    ])  # fmt: skip
    text = f"{HEAD} (float[{size}] x, float[{size}] w, bool[4] c) => ({outputs}) <{held}> {{ {' '.join(body)} }}"
    return onnx.parser.parse_model(text)


def feeds(seed: int) -> Mapping[str, np.ndarray]:
    """Ties, numbers out of range, zeros of both signs."""
    numbers = np.random.default_rng(seed)

    def drawn() -> np.ndarray:
        found = (numbers.integers(-600, 600, SHAPE) * 0.125).astype(np.float32)
        rare = numbers.random(SHAPE) < 0.1
        return np.where(rare, numbers.choice([0.0, -0.0, 1e9, -1e9, np.inf, -np.inf], SHAPE), found).astype(np.float32)

    return {"x": drawn(), "w": drawn(), "c": numbers.random(4) < 0.5}


@needs_onnxruntime
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("step", "kind", "zero"), [(ConvertInt8ToUint8(), "int8", None), (ConvertUint8ToInt8(), "uint8", 128)])
def test_same_bits(seed: int, step: Pass, kind: str, zero: int | None) -> None:
    told = Told()
    before, after, made = before_and_after(model(seed, kind, zero), feeds(seed), step, by_onnxruntime=True, observer=told)
    assert told.made and not told.refused
    assert not any(str(value.dtype) == kind for node in made.graph for value in (*node.inputs, *node.outputs) if value is not None)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]


TWO = """(float[4] x, float[4] w) => (float[4] a, float[4] b) <float s = {0.5}, int8 z = {3}> {
   q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z)
   r = QuantizeLinear(w, s, z) b = DequantizeLinear(r, s, z)
}"""


def test_an_observer_may_forbid_one_region() -> None:
    made = parse(f"{HEAD} {TWO}")
    told = Told(lambda source, node: node.output.name != "q")
    assert run(made, ConvertInt8ToUint8(), observer=told) == 1
    assert [str(node.output.dtype) for node in made.graph if node.op == "QuantizeLinear"] == ["int8", "uint8"]
    assert run(made, ConvertInt8ToUint8()) == 1
    assert run(made, ConvertInt8ToUint8()) == 0


WEIGHTS = """(float[4,2] x) => (float[4,2] y) <int8[2,2] w = {1, 2, 3, -128}, float s = {0.5}> {
   d = DequantizeLinear(w, s) y = MatMul(x, d)
}"""


def test_weights_only_when_asked() -> None:
    made = parse(f"{HEAD} {WEIGHTS}")
    assert run(made, ConvertInt8ToUint8()) == 0
    assert run(made, ConvertInt8ToUint8(weights=True)) == 1
    node = next(iter(made.graph))
    held = [None if value is None or value.const is None else value.const.numpy().tolist() for value in node.inputs]
    assert held == [[[129, 130], [131, 0]], 0.5, 128]
    assert ops(made.graph) == ["DequantizeLinear", "MatMul"]


def test_there_and_back_keeps_names() -> None:
    text = f"{HEAD} {TWO.replace('int8 z = {3}', 'int8 z = {0}')}"
    made = parse(text)
    untouched = {value.name: value.dtype for value in made.graph.initializers.values()}
    assert run(made, ConvertInt8ToUint8(), ConvertUint8ToInt8()) == 4
    assert {name: made.graph.initializers[name].dtype for name in untouched} == untouched
    assert [node.output.name for node in made.graph] == [node.output.name for node in parse(text).graph]
    one = parse(f"{HEAD} (float[4] x) => (float[4] y) <float s = {{0.5}}, int8 z = {{0}}, float t = {{0.5}}> {{ "
                "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, t, z) }")  # fmt: skip
    run(one, ConvertInt8ToUint8(), ConvertUint8ToInt8())
    assert list(one.graph.initializers) == ["s", "z", "t"]
