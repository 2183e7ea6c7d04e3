"""PRelu."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.activation import relu_add_to_prelu, relu_sub_to_prelu
from graphopt.pipeline.base import RulePass


class FusePrelu(RulePass):
    """Make one PRelu of the positive part and a multiple of the negative. onnxruntime takes three times as long for it on the CPU.

    Before:  y = Sub(Relu(x), Mul(Relu(Neg(x)), slope))                 or Add(Relu(x), Mul(Min(x, 0), slope))
    After:   y = PRelu(x, slope)
    Keeps:   a slope that does not broadcast into x; float64. Rounding: the sign of a zero.
    """

    name: ClassVar[str] = "fuse-prelu"
    rules: ClassVar[tuple[Rule, ...]] = (relu_sub_to_prelu, relu_add_to_prelu)
