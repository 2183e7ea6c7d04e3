"""Factors before a QuantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.patterns.quantized_scale import quantize_mul_factor, quantize_mul_power
from graphopt.pipeline.base import Context, Level, Pass


@dataclass(frozen=True)
class FoldScaleIntoQuantize(Pass):
    """Divide the scales of a QuantizeLinear by the constant factor before it.

    Before:  t = Mul(x, c); q = QuantizeLinear(t, s, z)                  c: a power of two, or one for each scale
    After:   q = QuantizeLinear(x, s / c, z)
    Keeps:   factors that are not positive, or differ where the scales do not; products that others read; scales so large or small that
             what over- or underflows would matter; float16; factors that are no power of two, unless `exact_only` is off. Approximate:
             powers of two are exact, with others numbers near a tie get the integer beside.
    """

    name: ClassVar[str] = "fold-scale-into-quantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantize_mul_power, quantize_mul_factor)

    exact_only: bool = field(default=True, metadata={"doc": "powers of two alone"})

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules until none applies."""
        from graphopt.rewrite import apply_rules  # loads the matcher, which a list of passes does not need

        return apply_rules(graph, self.rules[:1] if self.exact_only else self.rules, context.editor, context.observer)
