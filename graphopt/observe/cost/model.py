"""What a model costs: nodes, parameters, multiply-accumulates, bytes; as expressions in the sizes that callers choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, final

from graphopt.infer import elements
from graphopt.infer.control import rounds, scanned_length
from graphopt.infer.model import as_called
from graphopt.infer.shapes import is_size, multiply
from graphopt.interop.networkx import to_networkx
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Function, Model
from graphopt.observe.cost.memory import Memory, bytes_of, memory_of
from graphopt.observe.cost.weights import Weights, parameters_of
from graphopt.observe.cost.work import Work, work_of
from graphopt.observe.trace import label
from graphopt.schema import facts
from graphopt.schema.traits import RANDOM

MOST_TERMS: Final = 256  # of a sum that is worth adding to


@final
@dataclass(frozen=True, slots=True)
class NodeCost:
    """One node. `macs` and `operations` are of one run of its graph, with all that it holds or calls; None: not known, or not counted."""

    node: Node
    graph: str
    parameters: int
    macs: Size
    operations: Size
    bytes: Size

    @property
    def name(self) -> str:
        """What the node is called, or what it makes."""
        return label(self.node)


@final
@dataclass(slots=True)
class Total:
    """What several nodes cost together: `works` by operator, and what is not in it: how many nodes of which operators.

    `unknown`: nodes whose sizes are not known. `uncounted`: nodes of operators for which there is no formula. `notes`: what was assumed.
    """

    works: dict[str, Work] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    uncounted: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def macs(self) -> int | Dim:
        """Multiply-accumulates of what was counted."""
        return _sum(work.macs for work in self.works.values())

    @property
    def operations(self) -> int | Dim:
        """Operations besides, of what was counted."""
        return _sum(work.operations for work in self.works.values())

    def add(self, other: Total, times: Size = 1) -> None:
        """Add what others cost, so many times. What that cannot say is unknown."""
        for operator, work in other.works.items():
            macs, operations = multiply(work.macs, times), multiply(work.operations, times)
            if macs is None or operations is None:
                self.unknown[operator] += 1
            else:
                self.count(operator, macs, operations)
        self.unknown += other.unknown
        self.uncounted += other.uncounted
        self.notes |= other.notes

    def count(self, operator: str, macs: int | Dim, operations: int | Dim) -> None:
        """Add what one node costs."""
        if macs == 0 and operations == 0:
            return
        before = self.works.get(operator, Work(0, 0))
        both = _sum((before.macs, macs)), _sum((before.operations, operations))
        if any(isinstance(size, Dim) and len(size.terms) > MOST_TERMS for size in both):
            self.unknown[operator] += 1
        else:
            self.works[operator] = Work(*both)


def _sum(sizes: Iterator[Size] | tuple[Size, ...]) -> int | Dim:
    total: int | Dim = 0
    for size in sizes:
        if size is not None:
            total = total + size
    return total


@final
@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a model costs. Sizes are numbers, or expressions (`Dim`) in the names of its inputs' sizes (`x:0`: of one without a name).

    `operators` counts the nodes of all graphs, each body once. `memory` is of the main graph, with what its nodes hold and call.
    `longest_path` counts nodes of the main graph that wait for each other.
    """

    operators: dict[str, int]
    weights: Weights
    total: Total
    memory: Memory
    longest_path: int
    nodes: tuple[NodeCost, ...]
    symbols: tuple[str, ...]

    @property
    def macs(self) -> int | Dim:
        """Multiply-accumulates of one run, of all nodes whose sizes are known."""
        return self.total.macs

    @property
    def operations(self) -> int | Dim:
        """Operations of one run besides those."""
        return self.total.operations

    @property
    def flops(self) -> int | Dim:
        """Two for each multiply-accumulate, and the other operations; of whatever element type."""
        return self.macs * 2 + self.operations

    @property
    def is_complete(self) -> bool:
        """Whether every node is counted."""
        return not self.total.unknown and not self.total.uncounted and not self.total.notes


def cost_of(model: Model) -> ModelCost:
    """What a model costs. Types must have been inferred; no weight is read, nothing is run. Linear in the nodes."""
    survey = _Survey(model)
    graph = model.graph
    total = survey.graph(graph)
    memory = survey.memory(graph)
    operators = Counter(node.op for each in model.graphs() for node in each)
    return ModelCost(
        dict(operators.most_common()), Weights.of(model), total, memory, longest_path(graph), tuple(survey.rows), tuple(survey.symbols)
    )


def longest_path(graph: Graph) -> int:
    """How many nodes of a graph wait for each other in a row at most."""
    import networkx as nx

    path = nx.dag_longest_path(to_networkx(graph))
    return sum(isinstance(one, Node) and one is not graph.exit for one in path)


@final
class _Survey:
    """One look at a model. `names` maps the sizes that a caller chooses to what they are called."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows: list[NodeCost] = []
        self.names: dict[str, int | Dim] = {}
        for value in model.graph.inputs:
            for axis, size in enumerate(value.shape or ()):
                for symbol in size.symbols if isinstance(size, Dim) else ():
                    own = symbol == f"?{value.name}.{axis}"
                    self.names.setdefault(symbol, Dim.symbol(f"{value.name}:{axis}" if own else symbol))
        self._constants: set[Value] = set()
        self._calls: dict[object, tuple[Total, Memory]] = {}
        self._active: list[Function] = []
        self._held: dict[Node, Memory] = {}

    @property
    def symbols(self) -> list[str]:
        """What the sizes are called."""
        return [str(name) for name in self.names.values()]

    def known(self, size: Size) -> Size:
        """A size in the names of the inputs' sizes; None when it depends on anything else."""
        if not isinstance(size, Dim):
            return size
        return size.substitute(self.names) if all(symbol in self.names for symbol in size.symbols) else None

    def graph(self, graph: Graph) -> Total:
        """What the nodes of a graph cost together in one run."""
        total = Total()
        for node in graph:
            place = len(self.rows)
            is_listed = graph.root.function is None
            own = self.node(node)
            total.add(own)
            if is_listed:
                lacks = bool(own.unknown or own.uncounted) and not own.works
                macs, operations = (None, None) if lacks else (own.macs, own.operations)
                made = [self.known(bytes_of(value)) for value in node.outputs if value.name]
                size = None if None in made else _sum(tuple(made))
                self.rows.insert(place, NodeCost(node, graph.name, parameters_of(node), macs, operations, size))
        return total

    def node(self, node: Node) -> Total:
        """What one node costs, with what it holds and calls."""
        function = facts.function_of(node)
        if function is not None:
            return self.call(node, function)
        if node.subgraphs:
            return self.bodies(node)
        if node.op in RANDOM or not all(map(self.is_constant, node.inputs)):
            return self.computed(node)
        self._constants.update(node.outputs)
        return Total()

    def is_constant(self, value: Value | None) -> bool:
        """Whether a value is stored, or follows from what is: runtimes compute it once."""
        return value is None or value.const is not None or value in self._constants or (value.is_initializer and not value.overridable)

    def computed(self, node: Node) -> Total:
        """What a node costs that neither holds graphs nor calls a function."""
        found, total = work_of(node), Total()
        if found is None:
            total.uncounted[node.op] += 1
            return total
        macs, operations = self.known(found.macs), self.known(found.operations)
        if macs is None or operations is None:
            total.unknown[node.op] += 1
        else:
            total.count(node.op, macs, operations)
        return total

    def call(self, node: Node, function: Function) -> Total:
        """What a local function costs for this caller."""
        given = tuple(None if value is None else (value.type, elements(value)) for value in node.inputs)
        attributes = tuple((name, repr(held)) for name, held in node.attributes.items())
        key = (function, given, attributes)
        if key not in self._calls:
            if function in self._active:  # onnx forbids recursion
                return Total(uncounted=Counter({node.op: 1}))
            self._active.append(function)
            with as_called(node, function):
                self._calls[key] = self.graph(function.graph), self.memory(function.graph)
            self._active.pop()
        total, self._held[node] = self._calls[key]
        return total

    def bodies(self, node: Node) -> Total:
        """What the graphs cost that a node holds: of If the larger branch, of a loop its body as often as it runs."""
        totals = [self.graph(inner) for inner in node.subgraphs]
        self._held[node] = _largest([self.memory(inner) for inner in node.subgraphs])
        total = Total()
        if node.op == "If":
            total.add(_larger(node, dict(zip(node.subgraphs, totals, strict=True))))
            return total
        times = self.known(_times(node))
        for each in totals:
            if times is None and each.works:
                name = f"{node.op} {label(node)!r}"
                total.notes[f"how often {name} runs is not known before: one round is counted"] = None
            total.add(each, 1 if times is None else times)
        return total

    def memory(self, graph: Graph) -> Memory:
        """The peak of a graph whose nodes were looked at."""
        nothing = Memory()
        return memory_of(graph, self.known, self.is_constant, lambda node: self._held.get(node, nothing))


def _times(node: Node) -> Size:
    """How often the body of a loop runs; None when that is not known."""
    if node.op == "Loop" and len(node.subgraphs) == 1:
        return rounds(node, node.subgraphs[0])
    count = node.attribute("num_scan_inputs")
    if node.op == "Scan" and (node.opset or 0) >= 9 and isinstance(count, int):
        return scanned_length(node, len(node.inputs) - count)
    return None


def _larger(node: Node, branches: dict[Graph, Total]) -> Total:
    """The branch with more multiply-accumulates, then operations. An If that has not both is not counted."""
    taken = elements(node.input(0))
    ways = [node.attributes[name].graphs() for name in ("then_branch", "else_branch") if name in node.attributes]
    if len(ways) != 2 or not all(len(graphs) == 1 for graphs in ways):
        return Total(uncounted=Counter([node.op]))
    then, other = (branches[graphs[0]] for graphs in ways)
    if taken in ((0,), (1,)):
        return then if taken == (1,) else other
    for measure in (_macs, _operations):
        difference = measure(then) - measure(other)
        if difference != 0 and is_size(difference):
            return then
        if difference != 0 and is_size(-difference):
            return other
        if difference != 0:
            then.notes[f"which branch of If {label(node)!r} is larger depends on the sizes: its then_branch is counted"] = None
            return then
    return then


def _macs(total: Total) -> int | Dim:
    return total.macs


def _operations(total: Total) -> int | Dim:
    return total.operations


def _largest(held: list[Memory]) -> Memory:
    """Of graphs of which one runs at a time."""
    unsized = max((each.unsized for each in held), default=0)
    return Memory(tuple(peak for each in held for peak in each.peaks), unsized, all(each.is_known for each in held))
