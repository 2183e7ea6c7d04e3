"""QuantizeLinear and DequantizeLinear where they make a float model fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, final

from graphopt.errors import SpecError
from graphopt.infer import typed
from graphopt.ir import DType, Graph, Node, Tensor, Value
from graphopt.match.rule import Exactness
from graphopt.passes.calibration_table import Ranges, read_ranges
from graphopt.passes.quantized_placement import Placement, Weights
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import Quantization, quantize
from graphopt.quantization.ranges import of_range, of_weights
from graphopt.schema.older import constant
from graphopt.schema.spelling import spell

OLDEST_WITH_AXIS = 13  # ONNX DequantizeLinear-13: the first with a scale for each channel


@dataclass(frozen=True)
class InsertQdq(Pass):
    """Quantize a float model: tensors by given ranges, weights by their own, where runtimes compute on integers.

    Before:  y = Conv(x, w, b)
    After:   y = Conv(DequantizeLinear(QuantizeLinear(x, sx, zx), sx, zx), DequantizeLinear(w8, sw, 0), b)
    Keeps:   outputs of linear operators, unless another reads them or a residual Add, so that nothing stands between an operator and the
             Relu after it; operators that no runtime computes on integers, or whose neighbours are floats; tensors without a range;
             biases. Run level 1 first, so that batch normalizations are in the weights. Approximate: the numbers are quantized.
    """

    name: ClassVar[str] = "insert-qdq"
    exactness: ClassVar[Exactness] = "approximate"
    ranges: str = field(metadata={"doc": 'a JSON file, {"tensor name": [least, greatest], ...}: what calibration saw of each tensor'})
    activation: Literal["uint8", "int8"] = field(
        default="uint8", metadata={"doc": "of tensors: uint8 with a zero point, or int8 without (zero point 0, as TensorRT wants it)"}
    )
    weights: Literal["int8", "uint8"] = field(
        default="int8", metadata={"doc": "of weights, a scale per output channel: int8 around 0, or uint8 around 128"}
    )

    def __post_init__(self) -> None:
        if not Path(self.ranges).name:
            raise ValueError("ranges is the path of a JSON file")

    def run(self, graph: Graph, context: Context) -> int:
        """Insert in the main graph. Raises SpecError for a table that does not fit the model, and below opset 13."""
        if graph is not context.model.graph:
            return 0
        opset = graph.opsets.get("", 0)
        if opset < OLDEST_WITH_AXIS:
            advice = f"convert it first, with convert-opset{{to={OLDEST_WITH_AXIS}}}"
            raise SpecError(f"{self.name} needs opset {OLDEST_WITH_AXIS} or newer, and the model has {opset}; {advice}")
        return _Insertion(self, graph, context, read_ranges(self.ranges, context.model.names, self.name)).run()


@final
class _Insertion:
    """One run. `stored` are the weights that were quantized, by their value and axis."""

    def __init__(self, options: InsertQdq, graph: Graph, context: Context, ranges: Ranges) -> None:
        self.options, self.graph, self.context = options, graph, context
        self.is_symmetric = options.activation == "int8"
        # 1/256 for each number of uint8: what a Sigmoid gives is known, whatever was seen of it
        self.placement = Placement(graph, ranges, (0.0, 1.0 if self.is_symmetric else 255 / 256), self.told)
        self.stored: dict[tuple[Value, int | None, DType], tuple[Value, ...]] = {}
        self.changes = 0

    def run(self) -> int:
        self.placement.choose()
        for value, (low, high) in self.placement.shared_ranges().items():
            self.activation(value, of_range(low, high, DType.of(self.options.activation), symmetric=self.is_symmetric))
        for node, constants in self.placement.weights.items():
            for held in constants:
                self.constant(node, held)
        return self.changes

    def told(self, node: Node, why: str) -> None:
        self.context.observer.declined(self.options.name, node, partial(str, why))

    def activation(self, value: Value, by: Quantization) -> None:
        """One QuantizeLinear for a tensor, and a DequantizeLinear for each place that reads it."""
        readers = self.placement.readers(value)
        if not readers or not self.context.observer.may_apply(self.options.name, readers[0]):
            return
        editor, name = self.context.editor, value.name
        parameters = parameters_of(by, name)
        made = [self.insert("QuantizeLinear", (value, *parameters), {}, f"{name}_quantized", readers[0])]
        for reader in readers:
            slots = [slot for slot, operand in enumerate(reader.inputs) if operand is value]
            for together in [slots] if reader is self.graph.exit else [[slot] for slot in slots]:
                made.append(self.insert("DequantizeLinear", (made[0].output, *parameters), {}, f"{name}_dequantized", reader))
                for slot in together:
                    editor.set_input(reader, slot, made[-1].output)
        if readers[-1] is self.graph.exit:
            editor.exchange_names(value, made[-1].output)  # callers know the output by its name
        self.applied(readers[0], made)

    def constant(self, node: Node, held: Weights) -> None:
        """Integers and a DequantizeLinear for a constant operand."""
        value = node.inputs[held.slot]
        if value is None or value.const is None or not self.context.observer.may_apply(self.options.name, node):
            return
        operands = self.quantized(value, value.const, held)
        attributes = {} if held.axis is None else {"axis": held.axis}
        made = self.insert("DequantizeLinear", operands, attributes, f"{value.name}_dequantized", node)
        self.context.editor.set_input(node, held.slot, made.output)
        self.context.editor.drop_constant(value)
        self.applied(node, [made])

    def quantized(self, value: Value, tensor: Tensor, held: Weights) -> tuple[Value, ...]:
        """The integers, scales and zero points of a constant, the same for all who read it so."""
        is_weight = held.slot == 1
        dtype = DType.of(self.options.weights if is_weight else self.options.activation)
        key = (value, held.axis, dtype)
        if key not in self.stored:
            array = tensor.numpy()
            if is_weight:
                by = of_weights(array, dtype, held.axis)
            else:
                low, high = float(array.min(initial=0)), float(array.max(initial=0))
                by = of_range(low, high, dtype, symmetric=self.is_symmetric)
            self.stored[key] = (constant(Tensor.of(quantize(array, by)), f"{value.name}_quantized"), *parameters_of(by, value.name))
        return self.stored[key]

    def insert(self, op_type: str, inputs: Sequence[Value], attributes: dict[str, int], name: str, before: Node) -> Node:
        """A new node, its output typed and named."""
        made = spell(op_type, inputs, attributes, self.graph)
        made.rule = self.options.name
        made.output.name = self.context.model.fresh_name(name)
        return self.context.editor.insert(typed(made, self.graph), self.graph, before)

    def applied(self, node: Node, made: Sequence[Node]) -> None:
        self.changes += 1
        self.context.observer.applied(self.options.name, node, tuple(made))


def parameters_of(by: Quantization, name: str) -> tuple[Value, Value]:
    """Scale and zero point as constants that are named after a tensor."""
    return constant(Tensor.of(by.scale), f"{name}_scale"), constant(Tensor.of(by.zero_point), f"{name}_zero_point")
