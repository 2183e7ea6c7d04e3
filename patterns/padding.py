"""Padding before a window operator that can pad itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from graphopt.ir import Node, Value
from graphopt.ir.tensor import Array
from graphopt.match import FLOATING, Declined, Match, Pattern, attr, const, op, opt, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.shape_arguments import is_positive
from graphopt.patterns.sign import is_nonnegative

Pads: TypeAlias = "tuple[int, ...]"

x, w, b = tensor("x"), tensor("w"), opt(tensor("b"))
own: Final = {"auto_pad": attr("auto_pad", where=("NOTSET", "VALID").__contains__), "pads": attr("own")}


def is_zero(array: Array) -> bool:
    """Whether the one element is 0."""
    return not array.any()


def is_least(array: Array) -> bool:
    """Whether the one element is what no number of its integer type is below."""
    return array.dtype.kind in "iu" and bool(np.all(array == np.iinfo(array.dtype.name).min))


def is_negative_infinity(array: Array) -> bool:
    """Whether the one element is -Inf."""
    return array.dtype.kind not in "iu" and bool(np.all(array == -np.inf))


def padded(where: Callable[[Array], bool] | None) -> Pattern:
    """The pattern of a Pad, with constant amounts of a constant."""
    return op.Pad(x, const("pads"), opt(const("value", where=where)), opt(const("axes")), mode="constant")


def examples(dtype: str, tail: str, value: str = "0", result: str = "") -> Callable[[], list[str]]:
    """Models of a Pad and what `tail` makes of its t."""
    return lambda: [
        f"""<ir_version: 10, opset_import: ["" : {opset}]>
        padded ({dtype}[2,2,5] x) => ({result or dtype}[2,A,B] y)
        <int64[6] pads = {{0, 0, 1, 0, 0, 1}}, {dtype} value = {{{value}}}, {dtype}[2,2,3] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}>
        {{ t = Pad(x, pads, value) {tail} }}"""
        for opset in (13, 20)
    ]  # fmt: skip


@rule(
    op.Conv(padded(is_zero), w, b, **own).named("conv"),
    dtype=FLOATING,
    exactness="rounding",
    keeps_type=True,
    examples=examples("float", "y = Conv<pads = [0, 1]>(t, w)"),
)
def pad_conv_to_conv(m: Match, conv: Node, x: Value, w: Value, b: Value | None) -> Value | Declined:
    """Conv(Pad(x, pads), w, b)  ->  Conv<pads>(x, w, b)                        rounding

    pads: 0s, none negative, and only along the axes that the windows go along.
    """
    attributes = with_pads(m, conv)
    return attributes if isinstance(attributes, Declined) else m.op.Conv(x, w, b, **attributes)


zeros: Final = opt(const("x_zero_point")), opt(tensor("w_zero_point"))


@rule(
    op.ConvInteger(padded(None), w, *zeros, **own).named("conv"),
    keeps_type=True,
    examples=examples("uint8", "y = ConvInteger(t, w, value)", "3", "int32"),
)
def pad_convinteger_to_convinteger(
    m: Match, conv: Node, x: Value, w: Value, x_zero_point: Value | None, w_zero_point: Value | None, value: Value | None
) -> Value | Declined:
    """ConvInteger(Pad(x, pads, z), w, z)  ->  ConvInteger<pads>(x, w, z)       z: the zero point of x, 0 where it is absent."""
    filled, zero = (set((0,) if given is None else numbers(given) or ()) for given in (value, x_zero_point))
    if len(filled) != 1 or filled != zero:
        return m.no("what is padded with is not the zero point of {}", x)
    attributes = with_pads(m, conv)
    return attributes if isinstance(attributes, Declined) else m.op.ConvInteger(x, w, x_zero_point, w_zero_point, **attributes)


POOLED: Final = "y = MaxPool<kernel_shape = [2]>(t)"
pool: Final = {**own, "ceil_mode": 0, "dilations": attr("dilations"), "kernel_shape": attr("kernel")}


@rule(
    op.AveragePool(padded(is_zero), **pool, count_include_pad=attr("counted")).named("pool"),
    dtype=FLOATING,
    exactness="rounding",
    keeps_type=True,
    examples=examples("float", "y = AveragePool<kernel_shape = [2]>(t)"),
)
def pad_averagepool_to_averagepool(m: Match, pool: Node, x: Value, counted: int, own: Pads | None) -> Value | Declined:
    """AveragePool(Pad(x, pads))  ->  AveragePool<pads, count_include_pad = 1>(x)          rounding

    pads: 0s, none negative, less than the window, only along the axes that windows go along. The pool has none of its own, or counts them.
    """
    if not counted and any(own or ()):
        return m.no("the pool has pads of its own and does not count them")
    attributes = with_pads(m, pool) if (why := wide_windows(m, x)) is None else m.no(why, x)
    return attributes if isinstance(attributes, Declined) else m.op.AveragePool(x, **{**attributes, "count_include_pad": 1})


@rule(
    op.MaxPool(padded(is_least), **pool, storage_order=0).named("pool"),
    keeps_type=True,
    examples=examples("uint8", POOLED),
)
def pad_maxpool_to_maxpool(m: Match, pool: Node, x: Value, value: Value | None) -> Value | Declined:
    """MaxPool(Pad(x, pads, v))  ->  MaxPool<pads>(x)

    v: of integers the least there is.  pads: none negative, less than the window, only along the axes that windows go along.
    """
    if value is None and not (x.dtype is not None and x.dtype.name.startswith("uint")):
        return m.no("{} is padded with 0, and {} has numbers below", x, x.dtype or "an unknown type")
    return greatest(m, pool, x)


@rule(
    op.MaxPool(padded(is_negative_infinity), **pool, storage_order=0).named("pool"),
    dtype=FLOATING,
    exactness="approximate",
    keeps_type=True,
    examples=examples("float", POOLED, "-inf"),
)
def infinity_pad_maxpool_to_maxpool(m: Match, pool: Node, x: Value, value: Value | None) -> Value | Declined:
    """MaxPool(Pad(x, pads, -Inf))  ->  MaxPool<pads>(x)          approximate: where x holds NaN or -Inf, something else may come out

    Of a window with nothing but padding and -Inf, onnxruntime makes the least number of the type.
    """
    if value is None:
        return m.no("{} is padded with 0", x)
    return greatest(m, pool, x)


@rule(
    op.MaxPool(padded(is_zero), **pool, storage_order=0).named("pool"),
    dtype=FLOATING,
    exactness="approximate",
    keeps_type=True,
    examples=lambda: [text.replace("Pad(x", "Pad(u").replace("{ t", "{ u = Relu(x) t") for text in examples("float", POOLED)()],
)
def zero_pad_maxpool_to_maxpool(m: Match, pool: Node, x: Value) -> Value | Declined:
    """MaxPool(Pad(x, pads))  ->  MaxPool<pads>(x)                              approximate: a NaN in x may come out as something else

    x: what a Relu, Sigmoid or another operator makes that gives nothing below 0.
    """
    if not is_nonnegative(x):
        return m.no("{} may hold numbers below 0", x)
    return greatest(m, pool, x)


def greatest(m: Match, pool: Node, x: Value) -> Value | Declined:
    """A MaxPool that pads by itself."""
    attributes = with_pads(m, pool) if (why := wide_windows(m, x)) is None else m.no(why, x)
    return attributes if isinstance(attributes, Declined) else m.op.MaxPool(x, **attributes)


def with_pads(m: Match, node: Node) -> dict[str, object] | Declined:
    """The attributes of a window operator that pads what the Pad before it pads, besides what it pads itself."""
    x, pads, axes = (m.bindings[name] for name in ("x", "pads", "axes"))
    amounts, along = numbers(pads) or (), None if axes is None else numbers(axes)
    rank = x.rank if x.rank is not None else len(amounts) // 2 if along is None else None
    if rank is None:
        return m.no("the rank of {} is unknown", x)
    starts, ends = [0] * rank, [0] * rank
    for place, axis in enumerate(range(rank) if along is None else along):
        starts[axis] += amounts[place]
        ends[axis] += amounts[place + len(amounts) // 2]
    if any(starts[:2]) or any(ends[:2]) or min(*starts, *ends) < 0:
        return m.no("{} pads {} at the start and {} at the end: what is negative, or not along an axis of the windows", pads, starts, ends)
    present = m.bindings["own"] if m.bindings["auto_pad"] == "NOTSET" and m.bindings["own"] else (0,) * (2 * rank - 4)
    total = tuple(more + here for more, here in zip((*starts[2:], *ends[2:]), present, strict=True))
    if "kernel" in m.bindings and any(amount >= extent for amount, extent in zip(total, m.bindings["kernel"] * 2, strict=True)):
        return m.no("pads {} are not less than the window {}", total, m.bindings["kernel"])
    return {**node.attributes_without("auto_pad"), "pads": total}


def wide_windows(m: Match, x: Value) -> str | None:
    """Why some window of a pool may hold nothing but padding, or be another than it seems; None when all is well."""
    if any(step != 1 for step in m.bindings["dilations"] or ()):
        return "the windows over {} have gaps"
    if x.shape is None or not all(is_positive(size, m.graph.model.positive) for size in x.shape[2:]):
        return "a size of {} may be 0"
    return None
