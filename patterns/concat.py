"""Concatenations of concatenations. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, any_of, attr, op, rest, rule, tensor

inner = op.Concat(rest("parts"), axis=attr("along")).named("inner")
before = [tensor(name) for name in ("a", "b", "c")]
calls = [op.Concat(*before[:place], inner, rest("after"), axis=attr("axis")) for place in range(len(before) + 1)]


@rule(any_of(*calls), keeps_type=True)
def concat_of_concats(m: Match, inner: Node, parts: tuple[Value, ...], along: int, axis: int) -> Value | Declined:
    """Concat<axis>(x, Concat<axis>(y, z), u)  ->  Concat<axis>(x, y, z, u)         the inner one is among the first four operands."""
    rank = inner.output.rank
    if along != axis and (rank is None or (along - axis) % rank != 0):
        return m.no("one joins along axis {}, the other along axis {}", along, axis)
    joined: list[Value | None] = []
    for value in m.root.inputs:
        joined += parts if value is inner.output else (value,)
    return m.op.Concat(*joined, axis=axis)
