"""A model written for another version of the standard operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, final

from graphopt.errors import ModelError, SpecError
from graphopt.ir import Editor, Graph, Node, Value
from graphopt.observe.trace import label
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.respell import Maker, adopt_outputs, place_at, respelled, versions_of
from graphopt.rewrite.successors import succeeded
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell
from graphopt.schema.versions import OLDEST


@final
@dataclass(frozen=True, slots=True)
class Conversion:
    """What stands for one node at the other opset: new nodes, and what gives each of its outputs."""

    node: Node
    made: tuple[Node, ...]
    results: tuple[Value, ...]


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that cannot be converted, and why."""

    node: Node
    why: str


@dataclass(frozen=True)
class ConvertOpset(Pass):
    """Write the model, its subgraphs and its functions for another opset of the default domain, newer or older.

    Before:  opset 11: y = Squeeze<axes = [0]>(x); p = Softmax<axis = 1>(s)                            s: (N, C, L)
    After:   opset 23: y = Squeeze(x, [0]); p = Reshape(Softmax(Flatten(s)), Shape(s))
    Keeps:   the whole model, with an error that names the node, when one node cannot be said at that opset or would mean something else
             there. Other domains keep their versions. The IR version is raised where the opset needs it. Exact.
    """

    name: ClassVar[str] = "convert-opset"
    changes_signature: ClassVar[bool] = True  # the opset is what callers may look at
    to: int = field(metadata={"doc": f"the opset, {OLDEST} to the newest that the installed onnx knows"})

    def __post_init__(self) -> None:
        if self.to < OLDEST:
            raise ValueError(f"the oldest opset that graphopt converts to is {OLDEST}, not {self.to}")

    def run(self, graph: Graph, context: Context) -> int:
        """Convert the whole model when called for its main graph. Raises ModelError, and changes nothing, when that is not possible."""
        model = context.model
        if graph is not model.graph:
            return 0
        if self.to > facts.newest_opset():
            raise SpecError(f"{self}: the installed onnx knows opsets up to {facts.newest_opset()}; install a newer onnx")
        roots = [root for root in (graph, *(function.graph for function in model.functions.values())) if self.concerns(root)]
        conversions: list[Conversion] = []
        refusals: list[Refusal] = []
        for root in roots:
            for found in self.planned(root):
                conversions.append(found) if isinstance(found, Conversion) else refusals.append(found)
        if refusals:
            raise ModelError(self.explained(refusals))
        first = next((node for root in roots for node in root), None)
        if not roots or (first is not None and not context.observer.may_apply(self.name, first)):
            return 0
        model.ir_version = max(model.ir_version, min_ir_version(self.to))
        for root in roots:
            opsets = model.opsets if root.function is None else root.function.opsets
            opsets[""] = self.to
        replacer = Replacer(context.editor)
        for conversion in conversions:
            replacer.apply(conversion)
            context.observer.applied(self.name, conversion.node, conversion.made)
        context.stale = True
        return len(conversions) + 1

    def concerns(self, root: Graph) -> bool:
        """Whether a graph imports the default domain at another opset. Raises ModelError when that is too old or too new."""
        opset = root.opsets.get("")
        if opset is None or opset == self.to:
            return False
        if opset < OLDEST:
            raise ModelError(f"{self}: the model is written for opset {opset}; convert it to {OLDEST} first, with onnx.version_converter")
        if opset > facts.newest_opset():
            raise ModelError(f"{self}: the installed onnx does not know the model's opset {opset}; install a newer onnx")
        return True

    def planned(self, root: Graph) -> Iterator[Conversion | Refusal]:
        """What is to be done in a graph and those inside it; nothing is changed."""
        place = place_at(root, self.to)
        for graph in root.walk():
            for node in graph:
                if node.domain or facts.is_function_call(node):
                    continue
                try:
                    found = conversion_of(node, place)
                except CannotSpell as reason:
                    yield Refusal(node, str(reason))
                    continue
                if found is not None:
                    yield found

    def explained(self, refusals: list[Refusal]) -> str:
        """What to tell of nodes that cannot be converted: the first one, and how far the model can go."""
        node, why = refusals[0].node, refusals[0].why
        limits = [limit for refusal in refusals if (limit := reach(refusal.node, self.to)) is not None]
        others = f" (and so it is for {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        up = (node.opset or 0) < self.to
        furthest = (min if up else max)(limits, default=node.opset or 0)
        bound = "at most" if up else "at least"
        advice = f"convert to {furthest} {bound}, or change" if furthest != node.opset else "change"
        what = f"the {node.op} {label(node)} of opset {node.opset} cannot be written at opset {self.to}"
        return f"{self}: {what}: {why}{others}; {advice} the node"


def conversion_of(node: Node, place: Graph) -> Conversion | None:
    """What stands for a node at another opset; None when it stays as it is. Raises CannotSpell."""
    before, after = versions_of(node, place.opsets[""])
    if before is after:
        return None
    make = Maker(place)
    result = succeeded(node, make)
    if result is None:
        new = respelled(node, place)
        return None if new is None else Conversion(node, (new,), new.outputs)
    for new in make.made:
        if (why := facts.accepts(new, place)) is not None:
            raise CannotSpell(why)
    return Conversion(node, tuple(make.made), (result,))


@final
class Replacer:
    """Puts conversions in the places of their nodes, in the order of the nodes.

    `constants` are those that graphs were given, each graph one of its own: equal attributes of several nodes may be the same value.
    `replaced` is what the planned nodes read instead of values that have gone.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.constants: dict[tuple[Graph, Value], Value] = {}
        self.replaced: dict[Value, Value] = {}

    def apply(self, conversion: Conversion) -> None:
        """Put the new nodes in the old one's place, with its names."""
        node, graph, editor = conversion.node, conversion.node.graph, self.editor
        assert graph is not None  # it was found in one
        adopt_outputs(conversion.made, conversion.results, node)
        for new in conversion.made:
            new.rule = ConvertOpset.name
            new.inputs = tuple(None if value is None else self.current(value, graph, node) for value in new.inputs)
            editor.insert(new, graph, node)
        for old, result in zip(node.outputs, conversion.results, strict=False):
            is_renamed = bool(old.name) and not old.is_output
            editor.replace(old, result)
            if is_renamed:
                editor.exchange_names(old, result)
            self.replaced[old] = result
        editor.erase(node)

    def current(self, value: Value, graph: Graph, before: Node) -> Value:
        """What stands now for a value that a planned node reads."""
        if not value.is_detached:
            return self.replaced.get(value, value)
        if (graph, value) not in self.constants:
            copy = Value(value.name, value.type, tensor=value.tensor)
            self.editor.adopt_constant(graph, copy, before)
            self.constants[graph, value] = copy
        return self.constants[graph, value]


def min_ir_version(opset: int) -> int:
    """The oldest IR version that may import an opset of the default domain."""
    from onnx import helper

    return int(helper.find_min_ir_version_for([helper.make_opsetid("", opset)], ignore_unknown=True))


def reach(node: Node, to: int) -> int | None:
    """The opset nearest to `to` at which a node's operator is what it is now; None when onnx does not know it."""
    known, opset = facts.of_node(node), node.opset
    if known is None or opset is None:
        return None
    if to < opset:
        return known.since_version
    while facts.of("", node.op_type, opset + 1) is known:
        opset += 1
    return opset
