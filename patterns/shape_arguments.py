"""Shapes and bounds that a model computes when it runs, and that are known now: as numbers, or as dimensions of the operand.

Exporters write `Reshape(x, Concat(Gather(Shape(x), 0), [12, 64]))` where `Reshape(x, [0, 12, 64])` says the same. What a computed vector
holds is known element by element as sizes of the model (`Value.contents`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import Final

import numpy as np

from graphopt.ir import DType, Shape, Size, Value
from graphopt.ir.bounds import bounds
from graphopt.ir.dim import Dim, element_count
from graphopt.match import Declined, Match, attr, op, opt, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.reshape import at_least

END: Final = 2**63 - 1  # of any axis
_MISREAD: Final = 10  # onnxruntime relies on what onnx infers for this opset's Slice, and puts two values of different sizes in one place

x = tensor("x")


def held(value: Value | None) -> tuple[Size, ...] | None:
    """The elements of a vector of integers, each a number, a size or unknown; None when not even their count is known."""
    if value is None:
        return None
    return numbers(value) if value.const is not None else value.contents


def is_positive(size: Size, positive: Collection[str]) -> bool:
    """Whether a size is provably not 0, where the symbols in `positive` are not: nothing is taken away, and something is added."""
    if at_least(size, 1):
        return True
    if not isinstance(size, Dim) or size.constant < 0 or any(coefficient < 0 for _, coefficient in size.terms):
        return False
    return any(all(factor in positive for factor in product) for product, _ in size.terms)


def reshape_examples() -> list[str]:
    """Models in which shapes are computed."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head} heads (float[N,S,6] x) => (float[N,S,2,3] y) <int64[1] i = {{0}}, int64[1] j = {{1}}, int64[2] k = {{2, 3}}> {{
            s = Shape(x) n = Gather(s, i) m = Gather(s, j) t = Concat<axis = 0>(n, m, k) y = Reshape(x, t) }}""",
        f"""{head} rows (float[N,S,6] x) => (float[M,6] y) <int64[1] i = {{0}}, int64[1] j = {{1}}, int64[1] k = {{6}}> {{
            s = Shape(x) n = Gather(s, i) m = Gather(s, j) r = Mul(n, m) t = Concat<axis = 0>(r, k) y = Reshape(x, t) }}""",
        f"""{head} columns (float[N,S,6] x) => (float[N,M] y) <int64[1] i = {{0}}, int64[1] j = {{1}}, int64[1] k = {{6}}> {{
            s = Shape(x) n = Gather(s, i) m = Gather(s, j) r = Mul(m, k) t = Concat<axis = 0>(n, r) y = Reshape<allowzero = 1>(x, t) }}""",
        f"""{head} rest (float[N,S,6] x) => (float[N,M,3] y) <int64[1] i = {{0}}, int64[2] k = {{-1, 3}}> {{
            s = Shape(x) n = Gather(s, i) t = Concat<axis = 0>(n, k) y = Reshape(x, t) }}""",
    ]  # fmt: skip


@rule(op.Reshape(x, tensor("shape"), allowzero=attr("allowzero")), keeps_type=True, examples=reshape_examples)
def reshape_to_known_shape(m: Match, x: Value, shape: Value, allowzero: int) -> Value | Declined | None:
    """Reshape(x, shape)  ->  Reshape(x, c)            c: numbers; 0 for a dimension of x that stays at its place; at most one -1

    -1 stands for the one entry that is neither, if no other can be 0: then it would stand for anything. A matrix of which this cannot be
    said may be Flatten(x, axis).
    """
    if shape.const is not None:
        return None
    result = m.root.output.shape
    if result is None:
        return m.no("not even the rank of the result is known")
    entries = held(shape) or (None,) * len(result)
    rest = entries.index(-1) if -1 in entries and not allowzero else None
    target = target_of(x.shape or (), entries, result, rest, m.graph.model.positive)
    if None not in (count := element_count(x.shape), made := element_count(result)) and count != made:
        return m.no("{} elements cannot be {}: no run comes past it", count, made)
    if isinstance(target, list):
        return m.op.Reshape(x, m.constant(np.array(target, np.int64), name="shape"))
    axis = _flattened(x.shape, result)
    return m.no(target) if axis is None else m.op.Flatten(x, axis=axis)


def target_of(given: Shape, entries: Sequence[Size], result: Shape, rest: int | None, positive: Collection[str]) -> list[int] | str:
    """The entries of a constant shape that gives the same result in every run that succeeds; or why there is none.

    `rest`: where the model itself writes -1, so that no other entry is 0 in a run that succeeds. With allowzero onnxruntime goes on.
    """
    target: list[int | None] = []
    if len(entries) != len(result):
        return "the shape has not as many entries as the result has dimensions"
    for axis, (entry, size) in enumerate(zip(entries, result, strict=True)):
        here = given[axis] if axis < len(given) else None
        if isinstance(size, int) and size > 0:
            target.append(size)
        else:
            target.append(0 if here is not None and here in (size, entry) else None)
    if None not in target:
        return [entry for entry in target if entry is not None]
    if target.count(None) > 1:
        left = ", ".join("?" if size is None else str(size) for size, entry in zip(result, target, strict=True) if entry is None)
        return f"{left}: more than one entry is neither a number nor the dimension of x at its place".replace("{", "{{").replace("}", "}}")
    place = target.index(None)
    for axis, size in enumerate(result):
        if axis != place and place != rest and (rest is None or axis == rest) and not is_positive(size, positive):
            return f"were the dimension {'?' if size is None else size} 0 when it runs, -1 would stand for anything"
    return [-1 if entry is None else entry for entry in target]


def _flattened(given: Shape | None, result: Shape) -> int | None:
    """The axis at which Flatten gives this matrix, for whatever sizes; None when there is none."""
    if given is None or len(result) != 2 or None in given:
        return None
    sizes = [size for size in given if size is not None]
    for axis in range(len(sizes) + 1):
        if (prod(sizes[:axis]), prod(sizes[axis:])) == result:
            return axis
    return None


def expand_examples() -> list[str]:
    """Models that expand to the size that is there."""
    return [
        """<ir_version: 10, opset_import: ["" : 20]>
        same (float[N,1,M] x) => (float[N,4,M] y) <int64[1] i = {0}, int64[1] j = {2}, int64[1] k = {4}> {
            s = Shape(x) n = Gather(s, i) l = Gather(s, j) t = Concat<axis = 0>(n, k, l) y = Expand(x, t) }"""
    ]


@rule(op.Expand(x, tensor("shape")), keeps_type=True, examples=expand_examples)
def expand_to_known_shape(m: Match, x: Value, shape: Value) -> Value | Declined | None:
    """Expand(x, shape)  ->  Expand(x, c)              c: numbers, and 1 for a dimension of x that stays as it is"""
    if shape.const is not None:
        return None
    given, result = x.shape, m.root.output.shape
    if given is None or result is None:
        return m.no("the shapes of x or of the result are not known")
    target: list[int] = []
    for axis, size in enumerate(result):
        place = axis - len(result) + len(given)
        if place >= 0 and size is not None and given[place] == size:
            target.append(1)
        elif isinstance(size, int):
            target.append(size)
        else:
            return m.no("the size {} of axis {} is neither a number nor that of x", "?" if size is None else size, axis)
    return m.op.Expand(x, m.constant(np.array(target, np.int64), name="shape"))


def slice_examples() -> list[str]:
    """Models that slice up to a computed bound."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    names = "int64[1] i = {1}, int64[1] zero = {0}, int64[1] one = {1}"
    return [
        f"""{head} whole (float[N,S] x) => (float[N,S] y) <{names}> {{ s = Shape(x) e = Gather(s, i) y = Slice(x, zero, e, one) }}""",
        f"""{head} last (float[N,S] x) => (float[N,M] y) <{names}> {{
            s = Shape(x) e = Gather(s, i) b = Sub(e, one) y = Slice(x, b, e, one) }}""",
        f"""{head} all_but_last (float[N,S] x) => (float[N,M] y) <{names}> {{
            s = Shape(x) e = Gather(s, i) b = Sub(e, one) y = Slice(x, zero, b, one) }}""",
    ]  # fmt: skip


starts, ends, axes, steps = tensor("starts"), tensor("ends"), opt(tensor("axes")), opt(tensor("steps"))


@rule(op.Slice(x, starts, ends, axes, steps), keeps_type=True, examples=slice_examples)
def slice_to_known_bounds(
    m: Match, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None
) -> Value | Declined | None:
    """Slice(x, starts, ends, axes, steps)  ->  Slice(x, b, e, axes, steps)    b, e: numbers, counted from either end of x"""
    if starts.const is not None and ends.const is not None:
        return None
    first, last = held(starts), held(ends)
    if first is None or last is None or x.shape is None:
        return m.no("the bounds or the shape of x are not known")
    along = tuple(range(len(first))) if axes is None else numbers(axes)
    by = (1,) * len(first) if steps is None else numbers(steps)
    if along is None or by is None or not len(first) == len(last) == len(along) == len(by):
        return m.no("the axes or the steps are not constant, or there are more of one than of the other")
    if any(not -len(x.shape) <= axis < len(x.shape) for axis in along):
        return m.no("{} has no axes {}", x, along)
    if m.graph.opsets.get("") == _MISREAD and any(isinstance(x.shape[axis], Dim) for axis in along):
        return m.no("onnx's inference takes a Slice of opset 10 between numbers as keeping a size that is no number")
    result = m.root.output.shape or (None,) * len(x.shape)
    ranges: list[tuple[int, int]] = []
    for start, stop, axis, step in zip(first, last, along, by, strict=True):
        found = _range(start, stop, step, x.shape[axis], result[axis])
        if found is None:
            return m.no("{} to {} along axis {} is not known from either end of {}", start or "?", stop or "?", axis, x.shape[axis] or "?")
        ranges.append(found)
    made = [m.constant(np.array([ends[side] for ends in ranges], np.int64), name=name) for side, name in enumerate(("starts", "ends"))]
    # All four have one element type.
    others = [
        given if given is None or given.dtype is DType.int64 else m.constant(np.array(elements, np.int64), name=name)
        for given, elements, name in ((axes, along, "axes"), (steps, by, "steps"))
    ]
    return m.op.Slice(x, *made, *others)


def _range(start: Size, stop: Size, step: int, extent: Size, size: Size) -> tuple[int, int] | None:
    """Numbers for a start and an end that give the same in every run; None when there are none."""
    first = start if isinstance(start, int) else _from_end(start, extent)
    last = stop if isinstance(stop, int) else _from_end(stop, extent)
    if step < 1 or first is None:
        return None
    if last is None and step == 1 and first >= 0:
        if isinstance(size, int):
            last = first + size
        elif size is not None and extent is not None and size == extent - first:
            last = END
    return None if last is None else (first, last)


def _from_end(bound: Size, extent: Size) -> int | None:
    """A bound that is a size, as a number: past the end, or so many places before it."""
    if bound is None or extent is None:
        return None
    before = extent - bound
    if isinstance(before, Dim):
        greatest = bounds(before)[1]
        return END if greatest is not None and greatest <= 0 else None
    if before <= 0:
        return END
    # A bound below 0 would count from the end; where it is -1, the extent is 0 and nothing is left either way.
    return -before if before == 1 or at_least(bound, 0) else None
