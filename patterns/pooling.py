"""Poolings that say more than anybody reads."""

from __future__ import annotations

from graphopt.ir import Node, Value
from graphopt.match import Match, op, rule, tensor


@rule(op.MaxPool(tensor("x"), storage_order=1).named("pool"), keeps_type=True, exactness="approximate")
def pool_without_order(m: Match, x: Value, pool: Node) -> Value:
    """MaxPool<storage_order = 1>(x)  ->  MaxPool(x)           the order concerns the second output, which nobody reads"""
    return m.op.MaxPool(x, **pool.attributes_without("storage_order"))
