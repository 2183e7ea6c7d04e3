"""Reductions along all axes of an image as global poolings."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.global_pooling import reducemean_to_globalaveragepool
from graphopt.pipeline.base import RulePass


class ConvertReduceToGlobalPool(RulePass):
    """Pool globally instead of reducing along all axes from the third on.

    Before:  y = ReduceMean(x, [2, 3])                     x: (N, C, H, W)
    After:   y = GlobalAveragePool(x)
    Keeps:   reductions along other axes, or axes that are not constant; tensors with an extent, but the first, that may be 0; ReduceMax, as
             of a NaN GlobalMaxPool makes something else. Without keepdims a Squeeze follows. Rounding: the mean may be summed in another
             order.
    """

    name: ClassVar[str] = "convert-reduce-to-global-pool"
    rules: ClassVar[tuple[Rule, ...]] = (reducemean_to_globalaveragepool,)
