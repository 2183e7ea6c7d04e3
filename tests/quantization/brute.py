"""A verdict and the numbers: both forms of a random call are run, and where one is refused, all parameters that could do are tried."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir import DType, Value
from graphopt.ir.tensor import Array
from graphopt.ir.types import TensorType
from graphopt.quantization.arithmetic import dequantize, quantize
from graphopt.quantization.commutation import Commuted, across, down, up
from graphopt.quantization.parameters import Quantization
from tests.quantization.calls import Call, NoKernel, Random, floats, integer_nodes, parameters, quantized, run_on

TRIALS = 3


@dataclass
class Outcome:
    """`verdict`: legal or why not; `differs`: a legal form does; `found`: parameters that would do, though none were given."""

    verdict: str
    differs: bool = False
    found: str = ""
    ran: bool = False


def form_of(call: Call, found: Commuted) -> tuple[list[object], list[object]]:
    graph = found.node.graph
    assert graph is not None
    operands = {}
    for slot, by in found.inputs.items():
        value = found.node.inputs[slot]
        operands[slot] = Value(f"i{slot}", TensorType(by.dtype, None if value is None else value.shape))
    return integer_nodes(call, found.build(operands, graph))  # type: ignore[return-value]  # messages


def check_down(call: Call, inputs: Mapping[int, Quantization], random: Random, symbols: Random | None, *, search: bool) -> Outcome:
    node = call.node(symbols)
    found = down(node, inputs)
    floating = call.nodes()
    dtype = next(iter(inputs.values())).dtype
    trials = [{slot: quantized(random, call.inputs[slot], dtype) for slot in call.data} for _ in range(TRIALS)]
    wanted = [run_on(floating, {slot: dequantize(q, inputs[slot]) for slot, q in data.items()}, call.outputs, ()) for data in trials]
    if isinstance(found, str):
        return Outcome(found, found=_search_down(call, inputs, trials, wanted) if search else "")
    form = form_of(call, found)
    results = [index for index, by in enumerate(found.outputs) if by is not None]
    for data, floats_made in zip(trials, wanted, strict=True):
        made = run_on(form, data, call.outputs, results, dtype)  # type: ignore[arg-type]  # messages
        for index, (one, by) in enumerate(zip(made, found.outputs, strict=True)):
            other = one if by is None else dequantize(one, by)
            if other.dtype != floats_made[index].dtype or other.tobytes() != floats_made[index].tobytes():
                return Outcome("legal", differs=True, ran=True)
    return Outcome("legal", ran=True)


def check_up(call: Call, outputs: Sequence[Quantization | None], random: Random, symbols: Random | None, *, search: bool) -> Outcome:
    node = call.node(symbols)
    found = up(node, outputs)
    floating = call.nodes()
    by = next(by for by in outputs if by is not None)
    if isinstance(found, str):
        return Outcome(found, found=_search_up(call, outputs, random) if search and not call.carries else "")
    form = form_of(call, found)
    for _ in range(TRIALS):
        data = {slot: floats(random, call.inputs[slot], found.inputs[slot]) for slot in call.data}
        wanted = run_on(floating, data, call.outputs, ())
        integers = {slot: quantize(x, found.inputs[slot]) for slot, x in data.items()}
        made = run_on(form, integers, call.outputs, range(call.outputs), by.dtype)  # type: ignore[arg-type]  # messages
        for index, one in enumerate(made):
            to = outputs[index]
            if to is not None and quantize(wanted[index], to).tobytes() != one.tobytes():
                return Outcome("legal", differs=True, ran=True)
    return Outcome("legal", ran=True)


def check_across(call: Call, inputs: Mapping[int, Quantization], random: Random, symbols: Random | None) -> Outcome:
    node = call.node(symbols)
    moved = down(node, inputs)
    if isinstance(moved, str) and symbols is not None:
        return Outcome(moved)  # parameters that fit no result in truth would be believed
    dtype = next(iter(inputs.values())).dtype
    outputs = list(moved.outputs) if isinstance(moved, Commuted) else [next(iter(inputs.values()))] * call.outputs
    if not any(outputs):
        return Outcome("nothing is quantized")
    found = across(node, inputs, outputs)
    if isinstance(found, str):
        return Outcome(found)
    form, floating = form_of(call, found), call.nodes()
    for _ in range(TRIALS):
        data = {slot: quantized(random, call.inputs[slot], dtype) for slot in call.data}
        wanted = run_on(floating, {slot: dequantize(q, inputs[slot]) for slot, q in data.items()}, call.outputs, ())
        results = [index for index, by in enumerate(outputs) if by is not None]
        made = run_on(form, data, call.outputs, results, dtype)  # type: ignore[arg-type]  # messages
        for index, one in enumerate(made):
            to = outputs[index]
            if (wanted[index] if to is None else quantize(wanted[index], to)).tobytes() != one.tobytes():
                return Outcome("legal", differs=True, ran=True)
    return Outcome("legal", ran=True)


# ---- what else might do


REWRITTEN = ("Clip", "GlobalMaxPool", "Relu")  # as integers they are other operators


def _has_floats(call: Call) -> bool:
    return any(isinstance(given, np.ndarray) and given.dtype == np.float32 for given in call.inputs)


def _alone(given: Sequence[Quantization]) -> list[Quantization]:
    pairs = {(s.tobytes(), z.tobytes()): by.with_entries(s, z, None) for by in given for s, z in _pairs(by)}
    return list(pairs.values())


def _pairs(by: Quantization) -> list[tuple[Array, Array]]:
    scales, zeros = by.scale.reshape(-1), by.zero_point.reshape(-1)
    return [(np.asarray(scales[at]), np.asarray(zeros[at])) for at in range(scales.size)]


def _search_down(call: Call, inputs: Mapping[int, Quantization], trials: Sequence[dict[int, Array]], wanted: Sequence[list[Array]]) -> str:
    """The same operator on the integers, with any of the entries for each index of an axis of each result."""
    if _has_floats(call) or call.op in REWRITTEN:
        return ""
    try:
        made = [run_on(call.nodes(), data, call.outputs, range(call.outputs), next(iter(inputs.values())).dtype) for data in trials]
    except NoKernel:
        return ""
    ways = _alone([*inputs.values()])
    how = []
    for output in range(call.outputs):
        if wanted[0][output].dtype != np.float32:
            if any(one[output].tobytes() != other[output].tobytes() for one, other in zip(made, wanted, strict=True)):
                return ""
            how.append("itself")
            continue
        fits = np.ones((len(ways), *wanted[0][output].shape), bool)
        for one, other in zip(made, wanted, strict=True):
            for index, way in enumerate(ways):
                fits[index] &= dequantize(one[output], way).view(np.int32) == other[output].view(np.int32)
        shape = fits.shape[1:]
        if any(fits[index].all() for index in range(len(ways))):
            how.append("tensor")
        elif axes := [axis for axis in range(len(shape)) if _per_index(fits, axis)]:
            how.append(f"axis {axes[0]}")
        else:
            return ""
    return ", ".join(how)


def _per_index(fits: Array, axis: int) -> bool:
    rows = np.moveaxis(fits, axis + 1, 1).reshape(fits.shape[0], fits.shape[axis + 1], -1)
    return bool(rows.all(axis=2).any(axis=0).all())


def _search_up(call: Call, outputs: Sequence[Quantization | None], random: Random) -> str:
    """The same operator, with any of the entries for each index of an axis of its only data input."""
    if len(call.data) > 1 or _has_floats(call) or call.op in REWRITTEN or any(by is None for by in outputs):
        return ""
    slot, given = call.data[0], [by for by in outputs if by is not None]
    shape, ways = call.inputs[slot], _alone(given)
    tried = [given[0].with_entries(way.scale, way.zero_point, None) for way in ways]
    for axis, extent in enumerate(shape):
        if extent > 1 and len(ways) ** extent <= 256:
            for chosen in itertools.product(ways, repeat=extent):
                scale, zero = np.array([one.scale for one in chosen]), np.array([one.zero_point for one in chosen])
                tried.append(given[0].with_entries(scale, zero.astype(given[0].dtype.numpy), axis))
    floating = call.nodes()
    x = [floats(random, shape, tried[int(random.integers(len(tried)))]) for _ in range(TRIALS)]
    try:
        wanted = [run_on(floating, {slot: one}, call.outputs, ()) for one in x]
        for by in tried[:64]:
            if all(_is_same(call, slot, one, by, made, outputs) for one, made in zip(x, wanted, strict=True)):
                return "tensor" if by.axis is None else f"axis {by.axis}"
    except NoKernel:
        return ""
    return ""


def _is_same(call: Call, slot: int, x: Array, by: Quantization, wanted: Sequence[Array], outputs: Sequence[Quantization | None]) -> bool:
    made = run_on(call.nodes(), {slot: quantize(x, by)}, call.outputs, range(call.outputs), by.dtype)
    for one, other, to in zip(made, wanted, outputs, strict=True):
        if to is not None and (quantize(other, to) if other.dtype == np.float32 else other).tobytes() != one.tobytes():
            return False
    return True


# ---- random parameters for a call


def any_parameters(random: Random, shape: tuple[int, ...], dtype: DType) -> Quantization:
    kind = random.random()
    axis = int(random.integers(0, len(shape))) if shape else None
    symmetric = bool(random.random() < 0.4)
    if kind < 0.35 or axis is None:
        return parameters(random, dtype, shape, None, symmetric=symmetric)
    if kind < 0.8:
        return parameters(random, dtype, shape, axis, symmetric=symmetric)
    return parameters(random, dtype, shape, axis, int(random.integers(2, 4)), symmetric=symmetric)


def inputs_of(random: Random, call: Call, dtype: DType) -> dict[int, Quantization]:
    """Parameters for each data input; often the same for all that have this shape along the axis."""
    made: dict[int, Quantization] = {}
    for slot in call.data:
        first = next(iter(made.values()), None)
        shape = call.inputs[slot]
        fits = first is not None and (first.axis is None or (not first.block and shape[first.axis] == first.scale.size))
        if first is not None and fits and random.random() < 0.7:
            made[slot] = first
        else:
            made[slot] = any_parameters(random, shape, dtype)
    if random.random() < 0.6:
        put_on_grid(random, call, next(iter(made.values())))
    return made


def put_on_grid(random: Random, call: Call, by: Quantization) -> None:
    """Let constants of a call be numbers that the first of these parameters have."""
    one = by.with_entries(by.scale.reshape(-1)[0], by.zero_point.reshape(-1)[0], None)
    for slot, given in enumerate(call.inputs):
        if isinstance(given, np.ndarray) and given.dtype == np.float32 and call.op != "Resize":
            call.inputs[slot] = dequantize(quantized(random, given.shape, by.dtype), one)


def outputs_of(random: Random, call: Call, dtype: DType) -> list[Quantization | None]:
    data = {slot: floats(random, call.inputs[slot], parameters(random, dtype, call.inputs[slot], None)) for slot in call.data}
    made = run_on(call.nodes(), data, call.outputs, ())
    first = any_parameters(random, made[0].shape, dtype)
    outputs: list[Quantization | None] = [first]
    for other in made[1:]:
        same = first.axis is None or (not first.block and first.axis < other.ndim and other.shape[first.axis] == first.scale.size)
        new = first if same and random.random() < 0.7 else any_parameters(random, other.shape, dtype)
        outputs.append(new if other.dtype == np.float32 else None)
    return outputs
