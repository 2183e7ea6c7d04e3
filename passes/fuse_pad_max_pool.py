"""Padding into a MaxPool, where it is equal as long as numbers are finite."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.padding import infinity_pad_maxpool_to_maxpool, zero_pad_maxpool_to_maxpool
from graphopt.pipeline.base import RulePass


class FusePadMaxPool(RulePass):
    """Let a MaxPool pad with -Inf what a Pad before it pads with -Inf, or with 0 where nothing is below 0.

    Before:  t = Pad(Relu(x), [0, 0, 1, 1, 0, 0, 1, 1]); y = MaxPool<kernel_shape = [3, 3]>(t)
    After:   y = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(Relu(x))
    Keeps:   zeros around operands of which it is not known that they hold nothing below 0. Approximate: of windows with a NaN, or with
             nothing but -Inf, runtimes make one thing or another.
    """

    name: ClassVar[str] = "fuse-pad-max-pool"
    rules: ClassVar[tuple[Rule, ...]] = (infinity_pad_maxpool_to_maxpool, zero_pad_maxpool_to_maxpool)
