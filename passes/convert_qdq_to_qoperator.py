"""Float operators between DequantizeLinear and QuantizeLinear, as operators that are quantized inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.patterns import quantized_units
from graphopt.patterns.quantized_units import MICROSOFT
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite import apply_rules

STANDARD: Final = (quantized_units.conv_to_qlinearconv, quantized_units.matmul_to_qlinearmatmul)


@dataclass(frozen=True)
class ConvertQdqToQoperator(Pass):
    """Make one operator of a float operator between DequantizeLinear and QuantizeLinear, for runtimes that do not fuse them.

    Before:  q = QuantizeLinear(Conv(DequantizeLinear(x, sx, zx), DequantizeLinear(w, sw, zw), DequantizeLinear(b, sx * sw)), sy, zy)
    After:   q = QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)
    Keeps:   float biases (quantize them first); other than 8 bits; a Relu before the QuantizeLinear, unless absorbed before; weights whose
             zero points differ. Without `microsoft`, all but Conv and MatMul. Rounding: the integers of both differ by one at most.
    """

    name: ClassVar[str] = "convert-qdq-to-qoperator"
    rules: ClassVar[tuple[Rule, ...]] = (
        *STANDARD,
        quantized_units.gemm_to_qgemm,
        quantized_units.elementwise_to_qlinear,
        quantized_units.activation_to_qlinear,
        quantized_units.softmax_to_qlinearsoftmax,
        quantized_units.pool_to_qlinear,
        quantized_units.concat_to_qlinearconcat,
        quantized_units.where_to_qlinearwhere,
    )
    microsoft: bool = field(default=False, metadata={"doc": "use onnxruntime's own operators too, for Gemm, Add, Mul, Concat and others"})

    def run(self, graph: Graph, context: Context) -> int:
        """Convert in this graph and the graphs inside it; onnxruntime's operators are imported where they are used."""
        if not self.microsoft:
            return apply_rules(graph, STANDARD, context.editor, context.observer)
        opsets = context.model.opsets if graph.function is None else graph.function.opsets
        is_new = MICROSOFT not in opsets
        opsets.setdefault(MICROSOFT, 1)
        changes = apply_rules(graph, self.rules, context.editor, context.observer)
        if is_new and not any(node.domain == MICROSOFT for inner in graph.walk() for node in inner):
            del opsets[MICROSOFT]
        return changes
