"""Pooling of everything that lies behind a channel: a global pooling, and a reduction along all axes from the third on."""

from __future__ import annotations

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import FLOATING, Declined, Match, attr, op, opt, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.shape_arguments import is_positive

x = tensor("x", dtype=FLOATING)


def examples() -> list[str]:
    """Means along all axes but the first two."""
    return [
        f"""<ir_version: 10, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float[{result}] y)
        <int64[{axes.count(",") + 1}] axes = {{{axes}}}> {{ y = ReduceMean<keepdims = {kept}>(x, axes) }}"""
        for opset in (18, 22)
        for shape, axes, result, kept in (("N,2,3", "2", "N,2,1", 1), ("N,3,2,2", "-1, 2", "N,3,1,1", 1), ("2,3,2,2", "2, 3", "2,3", 0))
    ]  # fmt: skip


# Of the maxima there is no such pair: a GlobalMaxPool of onnxruntime leaves a NaN out, and makes -3.4e38 where there is nothing else.
@rule(
    op.ReduceMean(x, opt(tensor("axes")), keepdims=attr("keepdims", where=(0, 1).__contains__)),
    dtype=DType.float32,
    exactness="rounding",
    examples=examples,
)
def reducemean_to_globalaveragepool(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """ReduceMean(x, [2, 3, ...])  ->  GlobalAveragePool(x)                     rounding       x: (N, C, H, W, ...)

    Without keepdims under a Squeeze. No extent but the first can be 0. float32, the only type that onnxruntime pools on every processor.
    """
    along = None if axes is None else numbers(axes)
    if along is None or x.shape is None or len(x.shape) < 3:
        return m.no("the axes are not constant, or {} is {}: not known to have an axis after the second", x, x.type)
    rank = len(x.shape)
    if sorted(axis % rank for axis in along) != list(range(2, rank)):
        return m.no("{} are not the axes from the third on of {}", along, rank)
    if not all(is_positive(size, m.graph.model.positive) for size in x.shape[1:]):
        return m.no("{} is {}: it may be empty, which runtimes do not pool", x, x.type)
    result = m.op.GlobalAveragePool(x)
    return result if keepdims else m.op.Squeeze(result, from_third_on(m, rank))


@rule(op.GlobalAveragePool(x), exactness="rounding")
def globalaveragepool_to_reducemean(m: Match, x: Value) -> Value | Declined:
    """GlobalAveragePool(x)  ->  ReduceMean(x, [2, 3, ...])                     rounding       x: (N, C, H, W, ...)"""
    return reduced(m, x, "ReduceMean")


@rule(op.GlobalLpPool(x, p=attr("p", where=(1, 2).__contains__)), exactness="rounding")
def globallppool_to_reduction(m: Match, x: Value, p: int) -> Value | Declined:
    """GlobalLpPool<p = 2>(x)  ->  ReduceL2(x, [2, 3, ...])                     rounding       of 1: ReduceL1"""
    return reduced(m, x, f"ReduceL{p}")


def reduced(m: Match, x: Value, op_type: str) -> Value | Declined:
    """A reduction along all axes from the third on."""
    if x.rank is None or x.rank < 3:
        return m.no("{} is {}: not known to have an axis after the second", x, x.type)
    return m.op[op_type](x, from_third_on(m, x.rank), keepdims=1)


def from_third_on(m: Match, rank: int) -> Value:
    """The axes that are pooled."""
    return m.constant(np.arange(2, rank, dtype=np.int64), DType.int64, name="axes")
