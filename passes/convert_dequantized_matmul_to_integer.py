"""MatMuls of dequantized operands."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.integer_matmul import dequantized_matmul_to_integers
from graphopt.pipeline.base import Level, RulePass


class ConvertDequantizedMatmulToInteger(RulePass):
    """Multiply the integers, and dequantize the product instead of its operands.

    Before:  a' = DequantizeLinear(a, s, z); b' = DequantizeLinear<axis = 1>(b, t, k); y = MatMul(a', b')
    After:   i = MatMulInteger(a, b, z, k); y = DequantizeLinear(i, s * t)
    Keeps:   operands that are not int8 or uint8; a left operand that others read once it is dequantized; scales along what is summed, or
             along rows; depths that are not known, or above 33025, where int32 could overflow. Rounding: sums of integers are
             exact, those of floats were not.
    """

    name: ClassVar[str] = "convert-dequantized-matmul-to-integer"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (dequantized_matmul_to_integers,)
