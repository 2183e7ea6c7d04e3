"""Global poolings as reductions."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.global_pooling import globalaveragepool_to_reducemean, globallppool_to_reduction
from graphopt.pipeline.base import RulePass


class ConvertGlobalPoolToReduce(RulePass):
    """Reduce along all axes from the third on instead of pooling globally.

    Before:  y = GlobalAveragePool(x)                      x: (N, C, H, W)
    After:   y = ReduceMean<keepdims = 1>(x, [2, 3])
    Keeps:   tensors of unknown rank; GlobalLpPool of a p above 2; GlobalMaxPool, as of a NaN ReduceMax makes something
             else. GlobalLpPool likewise becomes ReduceL1 or ReduceL2. Rounding: numbers may be summed in another order.
    """

    name: ClassVar[str] = "convert-global-pool-to-reduce"
    rules: ClassVar[tuple[Rule, ...]] = (globalaveragepool_to_reducemean, globallppool_to_reduction)
