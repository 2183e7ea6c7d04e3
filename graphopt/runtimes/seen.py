"""A graph as a runtime holds it while it prepares and fuses: a light copy of one graph, in which Q and DQ can be moved and cloned.

The model itself is never changed. Names are those that the model has; what is made here is named after where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

from graphopt.ir import DType, Graph, Node, Value
from graphopt.quantization import Quantization, is_dequantize, is_quantize, quantization_of


@final
class Edge:
    """What one step makes and others read. `readers` has a step once for each input that reads it; of a constant they are not kept."""

    __slots__ = ("is_captured", "is_const", "is_outer", "is_output", "maker", "name", "readers", "value")

    def __init__(self, name: str, value: Value | None = None) -> None:
        self.name = name
        self.value = value
        self.maker: Step | None = None
        self.readers: list[Step] = []
        self.is_const = value is not None and value.const is not None  # and no caller can change it
        self.is_output = False
        self.is_captured = False  # a graph below reads it
        self.is_outer = False  # a graph around makes it, or has it as an input

    def read_by(self, step: Step) -> None:
        """A step reads it in one place more."""
        if not self.is_const:
            self.readers.append(step)

    def unread_by(self, step: Step) -> None:
        """A step reads it in one place less."""
        if self.is_const:
            return
        if self.readers[-1] is step:
            self.readers.pop()  # so that who goes through the readers from the end is not quadratic in them
        else:
            self.readers.remove(step)

    @property
    def is_shared(self) -> bool:
        """Whether more or less than one reads it; that it is an output counts as one."""
        return self.is_captured or len(self.readers) + self.is_output != 1

    @property
    def only_reader(self) -> Step | None:
        """The step that reads it, when one does in one place and nobody else."""
        return self.readers[0] if len(self.readers) == 1 and not self.is_output and not self.is_captured else None


@final
class Step:
    """One node. `origin` is the model's node that it is, or that it was made for; `fused_into` names the operator that took it in."""

    __slots__ = (
        "fused_into", "has_zero_point", "inputs", "is_dequantize", "is_quantize", "name", "note", "op", "origin", "outputs", "quantization",
    )  # fmt: skip

    def __init__(self, origin: Node, op: str, inputs: Iterable[Edge | None], outputs: Iterable[Edge], name: str, note: str = "") -> None:
        self.origin = origin
        self.op = op
        self.name = name
        self.note = note  # in words, where a copy or a moved step stands
        self.inputs: list[Edge | None] = list(inputs)
        self.outputs = list(outputs)
        self.is_quantize = self.is_dequantize = False
        self.has_zero_point = False  # as an input, of a Q or DQ
        self.quantization: Quantization | str = ""
        self.fused_into = ""
        for edge in self.inputs:
            if edge is not None:
                edge.read_by(self)
        for edge in self.outputs:
            edge.maker = self

    @property
    def output(self) -> Edge:
        """The first output."""
        return self.outputs[0]

    @property
    def source(self) -> Step | None:
        """What makes the first input."""
        edge = self.input(0)
        return None if edge is None else edge.maker

    def input(self, slot: int) -> Edge | None:
        """The edge in an input slot; None when it is absent."""
        return self.inputs[slot] if slot < len(self.inputs) else None

    @property
    def dtype(self) -> DType | None:
        """Of a Q or DQ: the element type of the quantized numbers; None when not known."""
        if isinstance(self.quantization, Quantization):
            return self.quantization.dtype
        value = self.origin.outputs[0] if self.is_quantize else self.origin.inputs[0]
        return None if value is None else value.dtype

    def __str__(self) -> str:
        return f"{self.op} {self.name!r}"


@final
class Seen:
    """The steps of one graph, in their order, and the edges between them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.breaks: dict[Node, tuple[str, str]] = {}  # what a preparation makes the runtime fail on: why, and the pass that helps
        self._edges: dict[Value, Edge] = {}
        for node in graph:
            step = Step(node, node.op, map(self._edge, node.inputs), (), label(node))
            for value in node.outputs:
                edge = self._edge(value)
                if edge is not None:
                    edge.maker = step
                    step.outputs.append(edge)
            if is_quantize(node) or is_dequantize(node):
                step.is_quantize, step.is_dequantize = is_quantize(node), is_dequantize(node)
                step.quantization, step.has_zero_point = quantization_of(node), node.input(2) is not None
            self.steps.append(step)
        for value, edge in self._edges.items():
            edge.is_output = graph.exit in value.users
            edge.is_captured = any(reader.graph is not graph for reader in value.users)
            edge.is_outer = value.scope is not None and value.scope is not graph

    def _edge(self, value: Value | None) -> Edge | None:
        if value is None:
            return None
        if value not in self._edges:
            self._edges[value] = Edge(value.name, value)
        return self._edges[value]

    def __iter__(self) -> Iterator[Step]:
        """The steps that are there when it begins and are not fused when they are reached."""
        return (step for step in list(self.steps) if not step.fused_into)

    @property
    def quantizers(self) -> Iterator[Step]:
        """Those of them that quantize or dequantize."""
        return (step for step in self if step.is_quantize or step.is_dequantize)

    def read_instead(self, reader: Step, old: Edge, new: Edge, *, places: int | None = None) -> None:
        """A reader reads another edge, in all places or the last few of them."""
        slots = [slot for slot, edge in enumerate(reader.inputs) if edge is old]
        for slot in slots[-places:] if places is not None else slots:
            reader.inputs[slot] = new
            old.unread_by(reader)
            new.read_by(reader)

    def bypass(self, step: Step, by: str) -> None:
        """Take out a step that passes on its first input; `by` says what took it in."""
        edge, made = step.inputs[0], step.output
        if edge is None:
            return
        self.take_out(step, by)
        for reader in list(dict.fromkeys(made.readers)):
            self.read_instead(reader, made, edge)
        if made.is_output:
            edge.is_output = True
            edge.name = made.name
        edge.is_captured |= made.is_captured

    def merge(self, step: Step, into: str) -> None:
        """A Q or DQ goes into what it reads or into its reader, which stands at the quantized numbers from then on."""
        if step.is_dequantize:
            self.bypass(step, into)
        else:
            edge = step.inputs[0]
            maker = edge.maker if edge is not None else None
            self.take_out(step, into)
            if maker is not None:
                maker.outputs = [step.output if made is edge else made for made in maker.outputs]
                step.output.maker = maker

    def take_out(self, step: Step, by: str) -> None:
        """A step is no more: it reads nothing."""
        step.fused_into = by
        for edge in step.inputs:
            if edge is not None:
                edge.unread_by(step)

    def copy(self, step: Step, data: Edge, name: str, note: str, *, quantizes: bool) -> Step:
        """A new Q or DQ with the parameters of another, that reads `data`."""
        op = "QuantizeLinear" if quantizes else "DequantizeLinear"
        made = Step(step.origin, op, (data, *step.inputs[1:]), (Edge(name),), name, note)
        made.is_quantize, made.is_dequantize = quantizes, not quantizes
        made.quantization, made.has_zero_point = step.quantization, step.has_zero_point
        self.steps.append(made)
        return made


def scope_of(step: Step) -> str:
    """What the graph is called in a reason about a step of it."""
    graph = step.origin.graph
    if graph is not None and graph.function is not None:
        return "the function"
    return "the graph" if graph is None or graph.owner is None else "this subgraph"


def label(node: Node) -> str:
    """What a node is called, or else what its first named output is."""
    return node.name or next((value.name for value in node.outputs if value.name), "")
