"""Concatenations of concatenations. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, attr, op, rest, rule


def examples() -> list[str]:
    """Concats inside Concats."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"{head} last (float[N,2] x) => (float[N,6] y) {{ t = Concat<axis = 1>(x, x) y = Concat<axis = -1>(x, t) }}",
        f"""{head} chain (float[N,2] x) => (float[M,2] y) {{
            t = Concat<axis = 0>(x, x) u = Concat<axis = 0>(t, x) y = Concat<axis = 0>(u, x) }}""",
    ]  # fmt: skip


@rule(op.Concat(rest("xs"), axis=attr("axis")), keeps_type=True, examples=examples)
def concat_of_concats(m: Match, xs: tuple[Value, ...], axis: int) -> Value | Declined:
    """Concat<axis>(x, Concat<axis>(y, z), u)  ->  Concat<axis>(x, y, z, u)         as deep as they go

    Nothing else reads the inner ones.
    """
    rank = m.root.output.rank
    readers = list(m.root.output.users)
    if len(readers) == 1 and readers[0].graph is m.graph and joins(readers[0], axis, rank):
        return m.no("the Concat that reads it takes it in")
    joined: list[Value] = []
    left = list(reversed(xs))
    while left:  # the outermost takes in all at once: one after the other would build the long ones again and again
        value = left.pop()
        inner = value.producer
        if inner is not None and inner.graph is m.graph and joins(inner, axis, rank) and value.uses == 1:
            left += [operand for operand in reversed(inner.inputs) if operand is not None]
        else:
            joined.append(value)
    if len(joined) == len(xs):
        return m.no("no operand is joined along axis {} by a Concat that nothing else reads", axis)
    return m.op.Concat(*joined, axis=axis)


def joins(node: Node, axis: int, rank: int | None) -> bool:
    """Whether a node is a Concat along an axis of values of this rank."""
    along = node.attribute("axis") if node.op == "Concat" else None
    if not isinstance(along, int):
        return False
    return along == axis or (rank is not None and rank > 0 and (along - axis) % rank == 0)
