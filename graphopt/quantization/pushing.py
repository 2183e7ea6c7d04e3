"""Tags on their way through an operator: from its inputs to its results, or back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from graphopt.ir import DType
from graphopt.ir.tensor import Array
from graphopt.quantization.arithmetic import dequantize, quantize
from graphopt.quantization.call import Call, Carried
from graphopt.quantization.flow import FILLED, MOST_TAGS, Flow, Shapes, TracedFlow, Unclear
from graphopt.quantization.layout import FREE, Spread, Tags, fitted
from graphopt.quantization.parameters import Quantization


def pushed(
    call: Call, shapes: Shapes, tags: Tags, inputs: Mapping[int, Quantization], outputs: list[Quantization | None]
) -> dict[int, Array]:
    """Tags from the inputs to the results: fill in `outputs`, and return the constants."""
    for slot in call.data:
        _learn(shapes, slot, inputs[slot], result=False)
    constants: dict[int, Array] = {}
    flows = call.flows(shapes)
    for index in dict.fromkeys(flow.output for flow in flows):
        into = [flow for flow in flows if flow.output == index]
        if len(into) == 1 and into[0].only_relabels and inputs[into[0].slot].block and not call.carried:
            outputs[index] = _relabelled(inputs[into[0].slot], into[0], shapes)
            continue
        met = _met(into, tags, inputs)
        if index not in call.results:
            if call.carried and len({*met.tags.reshape(-1).tolist()} - {FREE}) > 1:
                raise Unclear("what it compares with a constant has several parameters")
            for held in call.carried:
                one = tags.alone(int(met.tags.max()))
                constants[held.slot] = quantized(held, one, one, None)
                check_on_grid(held, constants[held.slot], one)
            continue
        found = fitted(tags, Spread(met.tags, met.is_real, shapes.output(index)))
        outputs[index] = found
        for held in call.carried:
            ways = _of_fills(tags, found, met.tags, met.is_filled) if held.is_fill else [found]
            constants[held.slot] = quantized(held, found, ways[0], met.tags.ndim)
            for by in ways:
                if held.is_fill and (quantized(held, by, by, None) != constants[held.slot]).any():
                    raise Unclear("what it fills with is another integer for each of several parameters")
                check_on_grid(held, constants[held.slot], by)
    return constants


@final
@dataclass(frozen=True, slots=True)
class _Met:
    """The tags of a result, FREE where an element has none."""

    tags: Array
    is_filled: Array
    is_real: Sequence[bool]


def _met(flows: Sequence[Flow], tags: Tags, inputs: Mapping[int, Quantization]) -> _Met:
    """The one tag that each element of a result has, wherever it comes from. Raises Unclear when it may have several."""
    chosen = _relevant(flows, [inputs[flow.slot] for flow in flows], at_results=False)
    traces = [TracedFlow(flow, relevant) for flow, relevant in zip(flows, chosen, strict=True)]
    shape = np.broadcast_shapes(*(trace.places.shape[1:] for trace in traces))
    least, most = np.full(shape, len(tags.scale)), np.full(shape, FREE)
    is_filled = np.zeros(shape, bool)
    for flow, trace in zip(flows, traces, strict=True):
        held = trace.flat(tags.spread(inputs[flow.slot], trace.operand_shape))
        found = np.where(trace.places < 0, FREE, held[np.maximum(trace.places, 0)]) if held.size else np.full(trace.places.shape, FREE)
        most = np.maximum(most, found.max(axis=0, initial=FREE))
        least = np.minimum(least, np.where(found == FREE, len(tags.scale), found).min(axis=0, initial=len(tags.scale)))
        is_filled |= (trace.places == FILLED).any(axis=0)
    if (least < most).any():
        raise Unclear("elements with different parameters come together in one")
    return _Met(most, is_filled, [any(real) for real in zip(*(trace.is_real for trace in traces), strict=True)])


def _relevant(flows: Sequence[Flow], given: Sequence[Quantization], *, at_results: bool) -> list[set[int]]:
    """Of flows that meet in one tensor, the parts along which parameters may differ; `given` are those at the other end of each."""
    found = []
    differ = len(set(given)) > 1
    for flow, by in zip(flows, given, strict=True):
        axis = () if by.axis is None else (by.axis,)
        chosen = flow.relevant(takes=() if at_results else axis, gives=axis if at_results else ())
        partial = {index for index, part in enumerate(flow.parts) if part.is_partial and differ}
        found.append(set(range(len(flow.parts))) if by.block else chosen | partial)
    while True:  # where they meet, all have the same axes in full
        grown = []
        axes = {axis for flow, chosen in zip(flows, found, strict=True) for index in chosen for axis in flow.parts[index].ends(at_results)}
        for flow, chosen in zip(flows, found, strict=True):
            grown.append(chosen | flow.relevant(takes=[*axes] if at_results else (), gives=() if at_results else [*axes]))
        if grown == found:
            return found
        found = grown


def pulled(
    call: Call, shapes: Shapes, tags: Tags, outputs: Sequence[Quantization | None]
) -> tuple[dict[int, Quantization], dict[int, Array]]:
    """Tags from the results back to the inputs: the parameters of each data input, and the constants."""
    for index, by in enumerate(outputs):
        if by is not None:
            _learn(shapes, index, by, result=True)
    flows = call.flows(shapes)
    inputs: dict[int, Quantization] = {}
    constants: dict[int, Array] = {}
    for slot in call.data:
        out_of = [flow for flow in flows if flow.slot == slot and outputs[flow.output] is not None]
        met = [by for flow in out_of if (by := outputs[flow.output]) is not None]
        if len(out_of) == 1 and out_of[0].only_relabels and met[0].block and not call.carried:
            inputs[slot] = _relabelled_back(met[0], out_of[0], shapes)
            continue
        traces = [TracedFlow(flow, relevant) for flow, relevant in zip(out_of, _relevant(out_of, met, at_results=True), strict=True)]
        found = _source(traces, out_of, tags, outputs)
        inputs[slot] = fitted(tags, Spread(found, _is_real(traces[0]), shapes.input(slot)))
    for held in call.carried:
        by = outputs[0]
        assert by is not None  # what carries constants has one result, which is quantized
        if not held.is_fill:
            constants[held.slot] = quantized(held, by, by, len(shapes.output(0)))
            continue
        flow = next(flow for flow in flows if flow.output == 0)
        trace = TracedFlow(flow, set(range(len(flow.parts))) if by.block else flow.relevant(gives=() if by.axis is None else (by.axis,)))
        shape = trace.places.shape[1:]
        spread = _spread_real(tags, by, shape, trace.is_real)
        ways = _of_fills(tags, by, spread, (trace.places == FILLED).any(axis=0))
        constants[held.slot] = quantized(held, by, ways[0], None)
        if any((quantized(held, way, way, None) != constants[held.slot]).any() for way in ways):
            raise Unclear("what it fills with is another integer for each of several parameters")
        if held.is_raw:
            for way in ways:
                check_on_grid(held, constants[held.slot], way)
    return inputs, constants


def _source(traces: Sequence[TracedFlow], flows: Sequence[Flow], tags: Tags, outputs: Sequence[Quantization | None]) -> Array:
    """The one tag that each element of an operand must have, FREE where no result has it. Raises Unclear when it would need several."""
    shape = traces[0].operand_shape
    if any(trace.operand_shape != shape for trace in traces):
        raise Unclear("the results have different axes in common with the operand")
    size = int(np.prod(shape, dtype=np.int64))
    least, most = np.full(size, len(tags.scale)), np.full(size, FREE)
    for flow, trace in zip(flows, traces, strict=True):
        by = outputs[flow.output]
        assert by is not None  # the caller chose those
        spread = np.broadcast_to(_spread_real(tags, by, trace.places.shape[1:], trace.is_real), trace.places.shape)
        is_taken = trace.places >= 0
        np.maximum.at(most, trace.places[is_taken], spread[is_taken])
        np.minimum.at(least, trace.places[is_taken], spread[is_taken])
    if (least < most).any():
        raise Unclear("an element goes where parameters differ")
    return traces[0].unflat(most)


def _spread_real(tags: Tags, by: Quantization, shape: tuple[int, ...], is_real: Sequence[bool]) -> Array:
    """The tags of a result, one place wide where nothing differs."""
    if by.axis is not None and not is_real[by.axis]:
        raise Unclear(f"what happens along axis {by.axis} is not known")
    return tags.spread(by, shape)


def _is_real(trace: TracedFlow) -> list[bool]:
    """Along which axes of the operand something may differ: those whose size is not 1 in the trace."""
    return [size != 1 for size in trace.operand_shape]


def _learn(shapes: Shapes, index: int, by: Quantization, *, result: bool) -> None:
    """Sizes that the number of entries tells."""
    if by.block:
        for axis, size in enumerate(by.scale.shape):
            if axis != by.axis:
                shapes.learn(index, axis, size, result=result)
    elif by.axis is not None:
        shapes.learn(index, by.axis, by.scale.size, result=result)


def _relabelled(by: Quantization, flow: Flow, shapes: Shapes) -> Quantization:
    """Blocks where all axes stay but for their order: the entries go the way that the elements go."""
    rank = len(shapes.output(flow.output))
    taken = {part.gives[0]: part.takes[0] for part in flow.parts if part.takes and part.gives}
    return _reordered(by, [taken.get(axis) for axis in range(rank)])


def _relabelled_back(by: Quantization, flow: Flow, shapes: Shapes) -> Quantization:
    rank = len(shapes.input(flow.slot))
    given = {part.takes[0]: part.gives[0] for part in flow.parts if part.takes and part.gives}
    return _reordered(by, [given.get(axis) for axis in range(rank)])


def _reordered(by: Quantization, axes: Sequence[int | None]) -> Quantization:
    kept = [axis for axis in axes if axis is not None]
    if by.axis not in kept:
        raise Unclear("the axis of the blocks is gone")
    shape = [1 if axis is None else by.scale.shape[axis] for axis in axes]
    gone = [axis for axis in range(by.scale.ndim) if axis not in kept]
    scale, zero = (part.transpose([*kept, *gone]).reshape(shape) for part in (by.scale, by.zero_point))
    return by.with_entries(scale, zero, axes.index(by.axis), by.block)


# ---- constants


def _of_fills(tags: Tags, by: Quantization, spread: Array, is_filled: Array) -> list[Quantization]:
    """The parameters of all elements that a constant fills; of the first element when there are none."""
    if by.axis is None:
        return [by]
    found = spread[np.broadcast_to(is_filled, spread.shape)]
    if (found == FREE).any():  # a place that has none of its own has those of its index along the axis
        wanted = np.unique(np.nonzero(np.broadcast_to(is_filled, spread.shape))[by.axis])
        return [by.with_entries(by.scale[at], by.zero_point[at], None) for at in wanted]
    chosen = np.unique(found) if found.size else np.unique(spread)[-1:]
    return [tags.alone(int(tag)) for tag in chosen]


def quantized(held: Carried, by: Quantization, fill: Quantization, rank: int | None) -> Array:
    """A constant as integers: by the parameters of what it fills, or of the result that it broadcasts against. Raises Unclear."""
    elements = held.elements
    if held.is_raw:
        return np.zeros((), by.dtype.numpy)
    if np.isnan(elements.astype(np.float32)).any() or DType.of(elements.dtype) != by.scale_dtype:
        raise Unclear("a constant is NaN, or of another type than the scale")
    if held.is_fill:
        return quantize(elements, fill)
    if by.block:
        raise Unclear("a constant beside blocks")
    if by.axis is not None:
        if rank is None or elements.size * by.scale.size > MOST_TAGS:
            raise Unclear("a constant is too large to be quantized for each channel")
        elements = elements.reshape((1,) * (rank - elements.ndim) + elements.shape)
    return quantize(elements, by)


def check_on_grid(held: Carried, found: Array, by: Quantization) -> None:
    """DQ gives back a constant, bit for bit. Raises Unclear."""
    wanted = held.elements
    rank = max(found.ndim, wanted.ndim)
    if by.axis is not None and not held.is_fill:
        wanted = wanted.reshape((1,) * (rank - wanted.ndim) + wanted.shape)
    made = dequantize(found, by)
    if made.dtype != wanted.dtype or np.broadcast_to(wanted, made.shape).tobytes() != made.tobytes():
        raise Unclear("a constant is not on the grid" if not held.is_raw else "it fills with 0, and the zero point is not 0")
