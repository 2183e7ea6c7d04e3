"""Why what depends on sizes or data is still computed when the model runs: each Shape, If, Loop, NonZero that is left."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, final

from graphopt.infer import elements
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model
from graphopt.schema import facts

ASKED: Final = frozenset({
    "Compress", "ConstantOfShape", "If", "Loop", "NonMaxSuppression", "NonZero", "Range", "Scan", "Shape", "Size", "Unique",
})  # fmt: skip
FINDS: Final = frozenset({"Compress", "NonMaxSuppression", "NonZero", "StringSplit", "Unique"})  # how much they give depends on data
SIZED: Final = frozenset({"Shape", "Size"})
_NOT_FOLDED: Final = "but stored it would make the file bigger, or no fold knows it"
_GROWTH: Final = "-p 'level1, fold-constants{max-growth=1MiB}'"


@final
@dataclass(frozen=True, slots=True)
class Dependence:
    """What decides a value: sizes that a caller may freeze (as `--freeze` names them), inputs' data, nodes that find or draw something."""

    sizes: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    def __or__(self, other: Dependence) -> Dependence:
        if other is NOTHING or other == self:
            return self
        return Dependence(self.sizes | other.sizes, self.inputs | other.inputs, self.nodes | other.nodes)

    def __and__(self, other: Dependence) -> Dependence:
        return Dependence(self.sizes & other.sizes, self.inputs & other.inputs, self.nodes & other.nodes)

    def __str__(self) -> str:
        sizes = "the size" if len(self.sizes) == 1 else "the sizes"
        parts = ((sizes, self.sizes), ("the values of", self.inputs), ("what comes out of", self.nodes))
        return " and ".join(f"{what} {', '.join(sorted(names))}" for what, names in parts if names) or "nothing but constants"


NOTHING: Final = Dependence()


@final
@dataclass(frozen=True, slots=True)
class Remaining:
    """One node that is still there: the sentence that says why, and the sizes that, once frozen, would remove it (none: no flag can).

    `provided`: what must be so besides, as a Loop must then run at most once. `advice`: what helps where no frozen size does.
    """

    node: Node
    reason: str
    freeze: tuple[str, ...] = ()
    provided: str = ""
    advice: str = ""

    @property
    def flag(self) -> str:
        """What to add to the command; empty when nothing would help."""
        return "--freeze " + ",".join(f"{name}=..." for name in self.freeze) if self.freeze else ""

    def __str__(self) -> str:
        if not self.freeze:
            return f"{self.reason}; {self.advice or 'no flag removes it'}"
        return f"{self.reason}; {self.flag} would remove it{', provided that ' if self.provided else ''}{self.provided}"


def remaining(model: Model) -> list[Remaining]:
    """Every node of a model, subgraphs and all, that computes on sizes or decides on data, and why it is still there.

    Types must have been inferred. In the order of the nodes; linear in them.
    """
    survey = _Survey(model)
    return [survey.explain(node) for node in model.nodes() if node.op in ASKED and not facts.is_function_call(node)]


@final
@dataclass
class _Survey:
    model: Model
    known: dict[Value, Dependence] = field(default_factory=dict)
    sources: dict[str, Dependence] = field(default_factory=dict)  # a symbol that stands for one value's size -> what decides that size

    def __post_init__(self) -> None:
        for function in self.model.functions.values():
            for value in function.graph.inputs:
                self.known[value] = Dependence(inputs=frozenset({f"{value.name} of {function.name}"}))
            self.graph(function.graph)
        graph = self.model.graph
        for value in graph.inputs:
            self.known[value] = Dependence(inputs=frozenset({value.name}))
            for axis, size in enumerate(value.shape or ()):
                if isinstance(size, Dim) and size.name == f"?{value.name}.{axis}":
                    self.sources[f"?{value.name}.{axis}"] = Dependence(sizes=frozenset({f"{value.name}:{axis}"}))
        self.graph(graph)

    def graph(self, graph: Graph) -> None:
        """What decides each value of a graph, in its order."""
        for node in graph:
            for inner in node.subgraphs:
                outside = self.of_inputs(node)
                for value in inner.inputs:
                    self.known.setdefault(value, outside)
                self.graph(inner)
            found = self.of_node(node)
            for value in node.outputs:
                self.known[value] = found
                for axis, size in enumerate(value.shape or ()):
                    own = f"?{value.name}.{axis}"
                    if isinstance(size, Dim) and own in size.symbols:
                        self.sources.setdefault(own, self.of_size(node))

    def of_inputs(self, node: Node) -> Dependence:
        found = NOTHING
        for value in node.inputs:
            if value is not None:
                found |= self.known.get(value, NOTHING)
        return found

    def of_node(self, node: Node) -> Dependence:
        """What decides the elements that a node gives."""
        held = elements(node.outputs[0]) if len(node.outputs) == 1 else None
        if held is not None and None not in held:
            return self.of_sizes(held)
        if node.op in SIZED:
            return self.of_shape(node.inputs[0])
        found = self.of_inputs(node)
        for inner in node.subgraphs:
            for value in inner.exit.inputs:
                found |= self.known.get(value, NOTHING) if value is not None else NOTHING
        if not facts.is_deterministic(node):
            found |= Dependence(nodes=frozenset({name_of(node)}))
        return found

    def of_size(self, node: Node) -> Dependence:
        """What decides how much a node gives, when that follows from no size."""
        if node.op in FINDS or facts.of_node(node) is None:
            return Dependence(nodes=frozenset({name_of(node)}))
        found = NOTHING
        for value in node.inputs:
            found |= self.of_shape(value)
            if value is not None and value.dtype is not None and value.dtype.is_integer:
                found |= self.known.get(value, NOTHING)
        return found if found != NOTHING else Dependence(nodes=frozenset({name_of(node)}))

    def of_shape(self, value: Value | None) -> Dependence:
        """What decides the shape of a value."""
        if value is None:
            return NOTHING
        if value.shape is None:
            return self.known.get(value, NOTHING)
        found = self.of_sizes(value.shape)
        return found | self.known.get(value, NOTHING) if None in value.shape else found

    def of_sizes(self, sizes: tuple[Size, ...]) -> Dependence:
        found = NOTHING
        for size in sizes:
            for symbol in size.symbols if isinstance(size, Dim) else ():
                named = NOTHING if symbol.startswith("?") else Dependence(sizes=frozenset({symbol}))
                found |= self.sources.get(symbol, named)
        return found

    def explain(self, node: Node) -> Remaining:
        """Why one node is still there."""
        if node.op in SIZED:
            return self.of_shape_node(node)
        if node.op == "If":
            return self.decided(node, self.of_value(node.input(0)), "which branch it takes", "but it could not be inlined")
        if node.op in ("Loop", "Scan"):
            return self.looped(node)
        if node.op in FINDS:
            return self.decided(node, self.of_inputs(node), "how much it finds")
        found = self.decided(node, self.of_inputs(node), "how much it makes")
        if found.freeze:
            return replace(found, provided=f"the result is small, or the file may grow ({_GROWTH})")
        return replace(found, advice=f"with {_GROWTH} it may be") if _NOT_FOLDED in found.reason else found

    def of_shape_node(self, node: Node) -> Remaining:
        value = node.input(0)
        readers = sorted({reader.op for reader in node.output.users}) if node.output.users else []
        read = f", for {', '.join('the output' if op == 'exit' else op for op in readers)}" if readers else ""
        shape = "of unknown rank" if value is None or value.shape is None else str(value.type)
        depends = self.read_of(node)
        reason = f"{name_of(node)} reads the shape of {value!r} ({shape}){read}: it depends on {depends}"
        return Remaining(node, reason, frozen_by(depends))

    def read_of(self, node: Node) -> Dependence:
        """What decides the sizes that the readers of a Shape take from it."""
        whole = self.of_shape(node.input(0))
        taken = [elements(reader.output) for reader in node.output.users if len(reader.outputs) == 1]
        if len(taken) < len(node.output.users) or any(held is None or None in held for held in taken):
            return whole
        found = self.of_sizes(tuple(size for held in taken for size in held or ()))
        return whole & found if whole & found != NOTHING else whole  # a reader may have sizes from elsewhere too

    def of_value(self, value: Value | None) -> Dependence:
        return NOTHING if value is None else self.known.get(value, NOTHING)

    def decided(self, node: Node, depends: Dependence, what: str, though: str = _NOT_FOLDED) -> Remaining:
        if depends == NOTHING:
            return Remaining(node, f"{name_of(node)}: {what} is known, {though}")
        return Remaining(node, f"{name_of(node)}: {what} depends on {depends}", frozen_by(depends))

    def looped(self, node: Node) -> Remaining:
        if node.op == "Scan":
            return Remaining(node, f"{name_of(node)} goes along an axis; a Scan is kept whatever its length")
        count, condition = node.input(0), node.input(1)
        rounds = elements(count) if count is not None else None
        depends = self.of_value(count) | self.of_value(condition)
        if depends == NOTHING and rounds and isinstance(rounds[0], int):
            return Remaining(node, f"{name_of(node)} may run {rounds[0]} times; only a Loop of at most one round is inlined")
        found = self.decided(node, depends, "how often it runs")
        return replace(found, provided="it then runs at most once") if found.freeze else found


def frozen_by(depends: Dependence) -> tuple[str, ...]:
    """The sizes to freeze so that nothing else decides; none when freezing is not enough."""
    return () if depends.inputs or depends.nodes else tuple(sorted(depends.sizes))


def name_of(node: Node) -> str:
    """An operator and what its node is called."""
    made = next((value.name for value in node.outputs if value.name), "")
    return f"{node.op} {node.name or made!r}"
