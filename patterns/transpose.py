"""Transposes of transposes. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from typing import TypeAlias

from graphopt.ir import Value
from graphopt.match import Declined, Match, attr, op, rule, tensor

Perm: TypeAlias = "tuple[int, ...] | None"

x = tensor("x")
inner = op.Transpose(x, perm=attr("inner"))


@rule(op.Transpose(inner.kept(), perm=attr("outer")), keeps_type=True)
def transpose_back(m: Match, x: Value, inner: Perm, outer: Perm) -> Value | Declined:
    """Transpose<perm = q>(Transpose<perm = p>(x))  ->  x               q undoes p; the inner one may have other readers."""
    if inner is None and outer is None:
        return x  # reversed twice, whatever the rank
    order = in_turn(inner, outer, x.rank)
    if order is None:
        return m.no("perm {} of perm {}: no order of the axes of {}", outer, inner, x)
    return x if order == tuple(range(len(order))) else m.no("perm {} after perm {} moves axes", outer, inner)


@rule(op.Transpose(inner, perm=attr("outer")), keeps_type=True)
def transpose_transpose(m: Match, x: Value, inner: Perm, outer: Perm) -> Value | Declined:
    """Transpose<perm = q>(Transpose<perm = p>(x))  ->  Transpose<perm = p[q]>(x)          the inner one has no other reader."""
    order = in_turn(inner, outer, x.rank)
    return m.no("perm {} of perm {}: no order of the axes of {}", outer, inner, x) if order is None else m.op.Transpose(x, perm=order)


def in_turn(first: Perm, second: Perm, rank: int | None) -> Perm:
    """The one order of axes that two in turn make; None when one of them is not known or is none. Without perm the axes are reversed."""
    known = first or second
    size = rank if known is None else len(known)
    if size is None:
        return None
    reverse = tuple(reversed(range(size)))
    one, other = first or reverse, second or reverse
    if sorted(one) != list(range(size)) or sorted(other) != list(range(size)):
        return None
    return tuple(one[axis] for axis in other)
