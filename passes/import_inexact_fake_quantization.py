"""Rounding to a grid, written out in ways that differ from QuantizeLinear in some ties."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.fake_quantization import (
    multiplied_fake_quantization_to_pair,
    multiplied_symmetric_fake_quantization_to_pair,
    shifted_fake_quantization_to_pair,
)
from graphopt.pipeline.base import RulePass


class ImportInexactFakeQuantization(RulePass):
    """Make QuantizeLinear and DequantizeLinear of arithmetic that rounds to a grid in nearly the same way: by a product, or shifted before.

    Before:  y = Mul(Clip(Round(Mul(x, r)), -128, 127), s)                              r = 1 / s
    After:   y = DequantizeLinear(QuantizeLinear(x, s, 0), s, 0)
    Before:  y = Mul(Sub(Round(Clip(Add(Div(x, s), z), 0, 255)), z), s)
    After:   y = DequantizeLinear(QuantizeLinear(x, s, z), s, z)
    Keeps:   factors that are not 1 / s; what `import-fake-quantization` keeps for other reasons. Approximate: numbers half way between two
             steps of the grid may go to the other one.
    """

    name: ClassVar[str] = "import-inexact-fake-quantization"
    rules: ClassVar[tuple[Rule, ...]] = (
        multiplied_fake_quantization_to_pair,
        multiplied_symmetric_fake_quantization_to_pair,
        shifted_fake_quantization_to_pair,
    )
