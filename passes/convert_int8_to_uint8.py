"""Signed quantized tensors as unsigned ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import DType, Graph
from graphopt.passes.integer_regions import convert_regions
from graphopt.pipeline.base import Context, Level, Pass


@dataclass(frozen=True)
class ConvertInt8ToUint8(Pass):
    """Store int8 as uint8 with all numbers and zero points 128 greater, for runtimes whose fast kernels want unsigned activations.

    Before:  q = QuantizeLinear(x, s, z); r = MaxPool(q); y = DequantizeLinear(r, s, z)                 z: int8
    After:   q = QuantizeLinear(x, s, z'); r = MaxPool(q); y = DequantizeLinear(r, s, z')               z' = z + 128: uint8
    Keeps:   weights, unless asked for; tensors that a caller supplies or gets, that a graph inside reads, or that meet an operator which
             neither moves nor orders elements. All that is connected is converted together, or nothing of it; constants on the way
             (of Concat, Max, Pad and their like) as well. Exact.
    """

    name: ClassVar[str] = "convert-int8-to-uint8"
    level: ClassVar[Level] = Level.EXTENDED

    weights: bool = field(default=False, metadata={"doc": "convert what is made of constants alone as well"})

    def run(self, graph: Graph, context: Context) -> int:
        """Convert in this graph and the graphs inside it; linear in the nodes around integers."""
        return convert_regions(self.name, graph, context, DType.int8, DType.uint8, weights=self.weights)
