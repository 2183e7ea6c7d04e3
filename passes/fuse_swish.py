"""Swish."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.activation import mul_sigmoid_to_swish
from graphopt.pipeline.base import RulePass


class FuseSwish(RulePass):
    """Make one Swish of a product with its own Sigmoid. onnxruntime has no kernel for it on the CPU and takes it apart again.

    Before:  t = Sigmoid(x); y = Mul(x, t)
    After:   y = Swish(x)                                               of Sigmoid(Mul(x, a)): alpha = a
    Keeps:   float64; models below opset 24. Rounding.
    """

    name: ClassVar[str] = "fuse-swish"
    rules: ClassVar[tuple[Rule, ...]] = (mul_sigmoid_to_swish,)
