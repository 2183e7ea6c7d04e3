"""Squeeze and Unsqueeze that undo each other."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import Declined, Match, op, rule, tensor
from graphopt.patterns.noop import numbers

x, inner, outer = tensor("x"), tensor("inner"), tensor("outer")


@rule(op.Squeeze(op.Unsqueeze(x, inner).kept(), outer), keeps_type=True)
def unsqueeze_squeeze(m: Match, x: Value, inner: Value, outer: Value) -> Value | Declined:
    """Squeeze(Unsqueeze(x, axes), axes)  ->  x        the same set of axes, each counted from either end."""
    put, taken = numbers(inner), numbers(outer)
    rank = None if put is None or x.rank is None else x.rank + len(put)
    return x if are_same_axes(put, taken, rank) else m.no("axes {} are put in, axes {} taken out", put or inner, taken or outer)


@rule(op.Unsqueeze(op.Squeeze(x, inner).kept(), outer), keeps_type=True)
def squeeze_unsqueeze(m: Match, x: Value, inner: Value, outer: Value) -> Value | Declined:
    """Unsqueeze(Squeeze(x, axes), axes)  ->  x        the same set of axes, each counted from either end."""
    taken, put = numbers(inner), numbers(outer)
    return x if are_same_axes(taken, put, x.rank) else m.no("axes {} are taken out, axes {} put in", taken or inner, put or outer)


def are_same_axes(one: tuple[int, ...] | None, other: tuple[int, ...] | None, rank: int | None) -> bool:
    """Whether two lists are the same axes of a tensor of this rank, whatever their order and the end that each is counted from."""
    if not one or not other:  # of Squeeze, no axes in a list are no axes in onnx's text, and all of extent 1 in onnxruntime
        return False
    if any(axis < 0 if rank is None else not -rank <= axis < rank for axis in (*one, *other)):
        return False
    first, second = ({axis % rank if rank else axis for axis in axes} for axes in (one, other))
    return first == second and len(one) == len(other) == len(first)  # an axis given twice is nothing that runtimes agree on
