"""Calls of functions that the model itself defines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import Attribute, AttributeKind, Function, Graph, Node, Value, operator
from graphopt.ir.graph import EXIT
from graphopt.passes.remove_unused_functions import called_functions
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.clone import Cloner
from graphopt.rewrite.inline import Inliner, output_refusal
from graphopt.schema import facts

WITH_GRAPHS = (AttributeKind.graph, AttributeKind.graphs)


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Put the body of a local function in the place of each call.

    Before:  y = local.F<alpha = 0.5>(x)            F<alpha>(v) => (r) { t = LeakyRelu<alpha = @alpha>(v); r = Relu(t) }
    After:   t = LeakyRelu<alpha = 0.5>(x); y = Relu(t)
    Keeps:   functions that stand for an operator of onnx or of com.microsoft (a runtime may have a kernel for it), or that `keep` names;
             functions that call themselves; calls whose body cannot be said at the opset of the model. What a body was written in, of an
             older or newer opset, is written in the model's. Every value gets a name of its own; nodes that have
             a name are called after the call and themselves. Exact.
    """

    name: ClassVar[str] = "inline-functions"
    keep: tuple[str, ...] = field(default=(), metadata={"doc": 'functions whose calls stay, as "domain.name"'})
    nodes: int = field(default=1_000_000, metadata={"doc": "calls that would make a model of more nodes than this stay"})

    def run(self, graph: Graph, context: Context) -> int:
        """Inline in this graph and the graphs inside it; of a function's body only while somebody calls it."""
        functions = context.model.functions
        if not functions or (graph.function is not None and graph.function.key not in called_functions(context.model)):
            return 0
        inliner, sizes = Inliner(graph, context.editor), Sizes(context.model.functions)
        room = max(self.nodes - sum(len(inner) for inner in context.model.graphs()), 0)
        changes = 0
        for inner in graph.walk():
            before = inner.exit
            while (node := before.next) is not None and node is not inner.exit:
                called = facts.function_of(node)
                size = None if called is None else sizes.of(called)
                if called is not None and self.inline(node, called, size, room, inliner, context):
                    changes, room = changes + 1, room - len(called.graph)
                else:
                    before = node
        context.stale |= changes > 0
        return changes

    def inline(self, node: Node, called: Function, size: int | None, room: int, inliner: Inliner, context: Context) -> bool:
        """Inline one call if that is possible; what it calls in turn is asked next."""
        graph = node.graph
        assert graph is not None  # it is visited in its graph
        cloner = Cloner(context.editor, operands(node, called), given(node, called), prefix=node.name, names=inliner.node_names)
        if size is not None and size > room:
            why: str | None = f"it would bring {size} nodes, and the model may get {room} more"
        else:
            why = self.stays(called, size) or unfit(node, called, graph) or refusal(cloner, node, called, graph)
        if not context.allows(self.name, node, why):
            return False
        imports = graph.root.function.opsets if graph.root.function is not None else context.model.opsets
        for domain in domains(called.graph):
            imports.setdefault(domain, called.opsets[domain])
        made = []
        for held in called.graph:
            copied = cloner.copy(held, graph, node)
            copied.metadata = {**node.metadata, **copied.metadata}
            copied.rule, copied.replaces = self.name, node.stands_for
            made.append(copied)
        returned = [cloner.read(value) for value in called.graph.outputs]
        inliner.replace([(old, new) for old, new in zip(node.outputs, returned, strict=False) if new is not None], made)
        context.editor.erase(node)
        context.observer.applied(self.name, node, tuple(made))
        return True

    def stays(self, called: Function, size: int | None) -> str | None:
        """Why no call of a function is inlined; None when calls may be."""
        if size is None:
            return f"{called.name} calls itself, or a function that does"
        if f"{called.domain}.{called.name}" in self.keep:
            return f"{called.name} is to be kept"
        if called.domain.startswith("com.microsoft") or facts.newest(called.domain, called.name) is not None:
            return f"a runtime may have a kernel for {operator(called.domain, called.name)}"
        return None


def unfit(node: Node, called: Function, graph: Graph) -> str | None:
    """Why a call and its function do not fit together, or the function's opsets do not fit; None when they do."""
    inputs = called.graph.inputs
    if len(node.inputs) > len(inputs) or len(node.outputs) > len(called.graph.outputs):
        return f"{called.name} takes {len(inputs)} values and gives {len(called.graph.outputs)}, not so the call"
    if any(attribute.kind in WITH_GRAPHS for attribute in (*node.attributes.values(), *called.defaults.values())):
        return "the call gives a graph as attribute"
    for formal, value in operands(node, called).items():
        if value is None and any(reader.op == EXIT for reader in formal.users):
            return f"{called.name} returns {formal!r}, which the call leaves out"
    missing = next((domain for domain in domains(called.graph) if domain not in called.opsets), None)
    return None if missing is None else f"{called.name} does not import {missing or 'the default domain'}"


def refusal(cloner: Cloner, node: Node, called: Function, graph: Graph) -> str | None:
    """Why the body cannot stand in a graph in the place of a call; None when it can."""
    for held in called.graph:
        if (why := cloner.refusal(held, graph)) is not None:
            return why
    return output_refusal(zip(node.outputs, called.graph.outputs, strict=False), called.graph)


def operands(node: Node, called: Function) -> dict[Value, Value | None]:
    """What the call gives for each of the function's inputs; None where it leaves one out."""
    return {formal: node.input(slot) for slot, formal in enumerate(called.graph.inputs)}


def given(node: Node, called: Function) -> dict[str, Attribute]:
    """The function's attributes: what the call says, else the default. One without either is absent in the body too."""
    return {**called.defaults, **node.attributes}


def domains(graph: Graph) -> list[str]:
    """The domains of all operators in a graph and the graphs inside it."""
    return list(dict.fromkeys(node.domain for inner in graph.walk() for node in inner))


class Sizes:
    """How many nodes a call brings, what it calls in turn included; None for functions that call themselves."""

    def __init__(self, functions: dict[tuple[str, str, str], Function]) -> None:
        self.functions = functions
        self.known: dict[Function, int | None] = {}

    def of(self, function: Function) -> int | None:
        """The size of one function; each is asked once."""
        if function not in self.known:
            self.known[function] = None  # found again while it is being counted, it calls itself
            total: int | None = 0
            for inner in function.graph.walk():
                for node in inner:
                    called = facts.function_of(node)
                    size = 1 if called is None else self.of(called)
                    total = None if size is None or total is None else total + size
            self.known[function] = total
        return self.known[function]
