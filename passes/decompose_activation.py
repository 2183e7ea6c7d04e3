"""Activations for runtimes that lack them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition import gelu_tanh_to_parts, gelu_to_parts, hard_swish_to_parts, mish_to_parts, swish_to_parts
from graphopt.pipeline.base import RulePass


class DecomposeActivation(RulePass):
    """Write out HardSwish, Swish, Mish and Gelu.

    Before:  y = HardSwish(x)
    After:   h = HardSigmoid<alpha = 1 / 6, beta = 0.5>(x); y = Mul(x, h)
    Keeps:   float16 and bfloat16, but of HardSwish; Gelu of float64. For runtimes that lack these operators: others compute them at once.
             Rounding: each step rounds.
    """

    name: ClassVar[str] = "decompose-activation"
    rules: ClassVar[tuple[Rule, ...]] = (hard_swish_to_parts, swish_to_parts, mish_to_parts, gelu_to_parts, gelu_tanh_to_parts)
