"""Unsigned quantized tensors around 128 as signed ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import DType, Graph
from graphopt.passes.integer_regions import convert_regions
from graphopt.pipeline.base import Context, Level, Pass


@dataclass(frozen=True)
class ConvertUint8ToInt8(Pass):
    """Store uint8 as int8 with all numbers 128 less where every zero point is 128, for targets that want zero points of 0.

    Before:  q = QuantizeLinear(x, s, 128); r = MaxPool(q); y = DequantizeLinear(r, s, 128)             uint8
    After:   q = QuantizeLinear(x, s, 0); r = MaxPool(q); y = DequantizeLinear(r, s, 0)                 int8
    Keeps:   other zero points; tensors that a caller supplies or gets, that a graph inside reads, or that meet an operator which
             neither moves nor orders elements. All that is connected is converted together, or nothing of it; constants on the way
             (of Concat, Max, Pad and their like) as well. Exact.
    """

    name: ClassVar[str] = "convert-uint8-to-int8"
    level: ClassVar[Level] = Level.EXTENDED

    weights: bool = field(default=True, metadata={"doc": "convert what is made of constants alone as well"})

    def run(self, graph: Graph, context: Context) -> int:
        """Convert in this graph and the graphs inside it; linear in the nodes around integers."""
        return convert_regions(self.name, graph, context, DType.uint8, DType.int8, weights=self.weights, zero_point=128)
