"""Indices that take everything, or that are one number each. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Size, Value
from graphopt.match import Declined, Match, any_of, attr, const, op, rule, tensor
from graphopt.patterns.noop import dimension, numbers, same_shape
from graphopt.patterns.shape_arguments import held, is_positive

x, i = tensor("x"), tensor("i")
counting = op.Range(0, tensor("limit"), 1)


def counts_all(extent: Size, limit: Value | None, indices: Value | None) -> bool:
    """Whether indices are provably 0, 1, ... up to an extent: the whole of Range(0, limit, 1), or of a constant vector."""
    if extent is None:
        return False
    if limit is not None:
        return held(limit) == (extent,)
    if not isinstance(extent, int) or indices is None or indices.const is None or indices.const.shape != (extent,):
        return False
    return bool(np.array_equal(indices.const.numpy(), np.arange(extent)))


def gather_examples() -> list[str]:
    """Models that take all there is."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"{head} known (float[N,3] x) => (float[N,3] y) <int64[3] i = {{0, 1, 2}}> {{ y = Gather<axis = -1>(x, i) }}",
        f"{head} some (float[N,4] x) => (float[N,3] y) <int64[3] i = {{0, 1, 2}}> {{ y = Gather<axis = 1>(x, i) }}",
        f"""{head} range (float[N,3] x) => (float[N,3] y) <int64 zero = {{0}}, int64 one = {{1}}> {{
            s = Shape(x) n = Gather(s, zero) i = Range(zero, n, one) y = Gather(x, i) }}""",
    ]


@rule(op.Gather(x, any_of(counting.kept(), const("i")), axis=attr("axis")), keeps_type=True, examples=gather_examples)
def gather_of_all(m: Match, x: Value, limit: Value | None, i: Value | None, axis: int) -> Value | Declined:
    """Gather<axis>(x, [0, 1, ...])  ->  x             as many as x has along the axis; also Range(0, that, 1)"""
    return x if counts_all(dimension(x.shape, axis), limit, i) else m.no("not provably all of {} along axis {} in order", x, axis)


@rule(op.GatherND(x, const("i"), batch_dims=0), keeps_type=True)
def gathernd_to_gather(m: Match, x: Value, i: Value) -> Value | Declined:
    """GatherND(x, i)  ->  Gather<axis = 0>(x, i')     i: (..., 1), constant; i' is the same without that axis"""
    if i.const is None or i.const.shape[-1:] != (1,):
        return m.no("{} indices into {} axes", i.type, i.shape[-1] if i.shape else "?")
    if not has_rows(m, x):
        return m.no("the rows of {} may be empty, and then onnxruntime looks at no index", x)
    return m.op.Gather(x, m.constant(i.const.numpy()[..., 0], i.const.dtype, name=i.name), axis=0)


def has_rows(m: Match, x: Value) -> bool:
    """Whether what one index takes provably has elements."""
    return x.shape is not None and all(is_positive(size, m.graph.model.positive) for size in x.shape[1:])


def gathernd_examples() -> list[str]:
    """Models that take rows by vectors of one index."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head} rows (float[N,3] x, int64[M] i) => (float[M,3] y) <int64[1] last = {{-1}}> {{
            t = Unsqueeze(i, last) y = GatherND(x, t) }}""",
        f"""{head} matrix (float[N,3] x, int64[M,2] i) => (float[M,2,3] y) <int64[1] last = {{2}}> {{
            t = Unsqueeze(i, last) y = GatherND(x, t) }}""",
        f"""{head} first (float[N,M] x, int64[1] i) => (float y) <int64[1] last = {{0}}> {{
            t = Unsqueeze(i, last) y = GatherND(x, t) }}""",
    ]  # fmt: skip


@rule(op.GatherND(x, op.Unsqueeze(i, const("axes")), batch_dims=0), keeps_type=True, examples=gathernd_examples)
def gathernd_of_unsqueeze_to_gather(m: Match, x: Value, i: Value, axes: Value) -> Value | Declined:
    """GatherND(x, Unsqueeze(i, [-1]))  ->  Gather<axis = 0>(x, i)"""
    put = numbers(axes)
    if not has_rows(m, x):
        return m.no("the rows of {} may be empty, and then onnxruntime looks at no index", x)
    return m.op.Gather(x, i, axis=0) if put == (-1,) or put == (i.rank,) else m.no("axes {} are put in, not the last", put)


def scatter_examples() -> list[str]:
    """Models that write everything anew."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"{head} rows (float[3,N] x, float[3,N] u) => (float[3,N] y) <int64[3,1] i = {{0, 1, 2}}> {{ y = ScatterND(x, i, u) }}",
        f"{head} other (float[3,N] x, float[3,N] u) => (float[3,N] y) <int64[3,1] i = {{0, 2, 1}}> {{ y = ScatterND(x, i, u) }}",
        f"""{head} elements (float[2,2] x, float[2,2] u) => (float[2,2] y) <int64[2,2,2] i = {{0, 0, 0, 1, 1, 0, 1, 1}}> {{
            y = ScatterND(x, i, u) }}""",
        f"""{head} range (float[N,3] x, float[N,3] u) => (float[N,3] y) <int64 zero = {{0}}, int64 one = {{1}}, int64[1] last = {{-1}}> {{
            s = Shape(x) n = Gather(s, zero) r = Range(zero, n, one) i = Unsqueeze(r, last) y = ScatterND(x, i, u) }}""",
    ]


rows = any_of(op.Unsqueeze(counting.kept(), tensor("axes")).kept(), const("i"))


@rule(op.ScatterND(x, rows, tensor("updates"), reduction="none"), keeps_type=True, examples=scatter_examples)
def scatternd_of_all(m: Match, x: Value, limit: Value | None, i: Value | None, updates: Value) -> Value | Declined:
    """ScatterND(x, i, updates)  ->  updates           i: every place of x once, in order; also Unsqueeze(Range(0, that, 1), [-1])"""
    if not same_shape(x, updates) or x.shape is None:
        return m.no("{} and {} are not provably of one shape", x, updates)
    if i is None:
        places = m.root.inputs[1]
        is_column = places is not None and places.shape is not None and len(places.shape) == 2 and places.shape[1] == 1
        return updates if is_column and counts_all(dimension(x.shape, 0), limit, None) else m.no("not provably all rows of {} in order", x)
    indices = i.const
    if indices is None or not indices.shape or indices.shape[:-1] != x.shape[: indices.shape[-1]]:
        return m.no("{} indices do not say every place of {}", i.type, x)
    every = np.moveaxis(np.indices(indices.shape[:-1]), 0, -1)
    return updates if np.array_equal(indices.numpy(), every) else m.no("{} is not every place of {} in order", i, x)
