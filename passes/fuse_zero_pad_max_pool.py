"""Zeros around what has nothing below zero."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.padding import zero_pad_maxpool_to_maxpool
from graphopt.pipeline.base import RulePass


class FuseZeroPadMaxPool(RulePass):
    """Let a MaxPool pad with -Inf what a Pad before it pads with 0, where nothing is below 0.

    Before:  t = Pad(Relu(x), [0, 0, 1, 1, 0, 0, 1, 1]); y = MaxPool<kernel_shape = [3, 3]>(t)
    After:   y = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(Relu(x))
    Keeps:   operands of which it is not known that they hold nothing below 0. Approximate: of windows with a NaN, runtimes make one thing
             or another.
    """

    name: ClassVar[str] = "fuse-zero-pad-max-pool"
    rules: ClassVar[tuple[Rule, ...]] = (zero_pad_maxpool_to_maxpool,)
