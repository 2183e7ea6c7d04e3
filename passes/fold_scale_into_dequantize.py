"""Factors after a DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.patterns.quantized_scale import dequantize_mul_factor, dequantize_mul_power
from graphopt.pipeline.base import Context, Level, Pass


@dataclass(frozen=True)
class FoldScaleIntoDequantize(Pass):
    """Multiply the scales of a DequantizeLinear by the constant factor after it.

    Before:  t = DequantizeLinear(q, s, z); y = Mul(t, c)                c: a power of two, or one for each scale
    After:   y = DequantizeLinear(q, s * c, z)
    Keeps:   factors that are not positive, or differ where the scales do not; DequantizeLinear that others read; scales and products that
             would leave the normal numbers; factors that are no power of two, unless `exact_only` is off. Rounding: powers of two are
             exact, of the others each number is rounded once less.
    """

    name: ClassVar[str] = "fold-scale-into-dequantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (dequantize_mul_power, dequantize_mul_factor)

    exact_only: bool = field(default=True, metadata={"doc": "powers of two alone"})

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules until none applies."""
        from graphopt.rewrite import apply_rules  # loads the matcher, which a list of passes does not need

        return apply_rules(graph, self.rules[:1] if self.exact_only else self.rules, context.editor, context.observer)
