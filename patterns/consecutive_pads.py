"""Paddings of paddings. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Value
from graphopt.match import Declined, Match, const, op, opt, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.reshape import counted

first = op.Pad(tensor("x"), const("pads"), opt(const("value")), opt(const("axes")), mode="constant")


@rule(op.Pad(first, const("more"), opt(const("fill")), opt(const("places")), mode="constant"), keeps_type=True)
def pad_pad(
    m: Match,
    x: Value,
    pads: Value,
    value: Value | None,
    axes: Value | None,
    more: Value,
    fill: Value | None,
    places: Value | None,
) -> Value | Declined:
    """Pad(Pad(x, a, v), b, v)  ->  Pad(x, a + b, v)               mode constant, the same value, pads not below 0"""
    if x.rank is None:
        return m.no("the rank of {} is unknown", x)
    inner, outer = by_axis(pads, axes, x.rank), by_axis(more, places, x.rank)
    if inner is None or outer is None or min((*inner.values(), *outer.values()), default=0) < 0:
        return m.no("the pads are not constant, or take away")
    if content(value) != content(fill):
        return m.no("filled with {} and then with {}", value or 0, fill or 0)
    sums = [inner.get(place, 0) + outer.get(place, 0) for place in range(2 * x.rank)]
    if max(sums, default=0) > np.iinfo(np.int64).max:
        return m.no("the pads add up to more than an int64 holds")
    return m.op.Pad(x, m.constant(np.array(sums, np.int64), name="pads"), value)


def by_axis(pads: Value, axes: Value | None, rank: int) -> dict[int, int] | None:
    """What is put before axis i (at i) and behind it (at rank + i); None when that is not known."""
    sizes = numbers(pads)
    along = tuple(range(rank)) if axes is None else counted(numbers(axes) or (), rank)
    if sizes is None or along is None or len(sizes) != 2 * len(along):
        return None
    before, behind = sizes[: len(along)], sizes[len(along) :]
    return dict(zip(along, before, strict=True)) | {rank + axis: size for axis, size in zip(along, behind, strict=True)}


def content(value: Value | None) -> bytes:
    """The bytes of what a Pad fills in, without the zeros at their end; 0 when it is absent."""
    return b"" if value is None or value.const is None else value.const.numpy().tobytes().rstrip(b"\0")
