"""Loops of which it is known how often they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.infer import infer_node
from graphopt.ir import DType, Graph, Node, Tensor, Value
from graphopt.passes.capture_loop_invariants import unchanged
from graphopt.passes.inline_if import decided
from graphopt.passes.inline_loop import malformed, rounds_refusal, scans, stacked, unpassed
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.clone import Cloner
from graphopt.rewrite.inline import Inliner
from graphopt.schema import facts
from graphopt.schema.spelling import CannotSpell, spell


@dataclass(frozen=True)
class UnrollLoop(Pass):
    """Write the rounds of a Loop that runs a small, known number of times one after the other.

    Before:  y, s = Loop(2, true, x) <body = (i, c, h) => (c, r, r) { r = Relu(h) }>
    After:   t = Relu(x); y = Relu(t); s = Concat(Unsqueeze(t, [0]), Unsqueeze(y, [0]))
    Keeps:   loops that may end early, whose number of rounds is not known, more than `rounds`, or would make more than `nodes` nodes;
             bodies with random or unknown operators. Loops of no round and of one are for inline-loop. Nodes are called after the loop,
             the round and their own name. Exact; the model grows.
    """

    name: ClassVar[str] = "unroll-loop"
    rounds: int = field(default=16, metadata={"doc": "loops of more rounds stay"})
    nodes: int = field(default=1024, metadata={"doc": "loops that would become more nodes than this stay"})

    def run(self, graph: Graph, context: Context) -> int:
        """Unroll in this graph and the graphs inside it, inner loops first."""
        inliner, changes = Inliner(graph, context.editor), 0
        for node in reversed(context.editor.calls(graph, ("Loop",))):
            changes += context.editor.holds(node) and self.unroll(node, inliner, context)
        context.stale |= changes > 0
        return changes

    def unroll(self, node: Node, inliner: Inliner, context: Context) -> bool:
        """Unroll one loop if its rounds are known."""
        body, graph = node.attribute("body"), node.graph
        if not isinstance(body, Graph) or graph is None or facts.of_node(node) is None:
            return False
        rounds = malformed(node, body) or rounds_of(node, body)
        if isinstance(rounds, str):
            context.observer.declined(self.name, node, rounds.__str__)
            return False
        if rounds < 2:  # for inline-loop
            return False
        why = inliner.refusal(body) or self.refusal(node, body, graph, rounds, Cloner(context.editor, {}))
        if not context.allows(self.name, node, why):
            return False
        made = rolled_out(node, body, graph, rounds, inliner)
        context.editor.erase(node)
        context.observer.applied(self.name, node, made)
        return True

    def refusal(self, node: Node, body: Graph, graph: Graph, rounds: int, cloner: Cloner) -> str | None:
        """Why the rounds cannot be written out; None when they can."""
        if rounds > self.rounds:
            return f"it runs {rounds} times, and more than {self.rounds} are not written out"
        size = rounds * sum(map(len, body.walk()))
        if size > self.nodes:
            return f"it would become {size} nodes, and more than {self.nodes} are too many"
        for held in body:
            if not facts.is_deterministic(held):  # with a seed each round goes on where the one before it stopped
                return f"{held.op} may give something else each time"
            if (why := cloner.refusal(held, graph)) is not None:
                return why
        return rounds_refusal(node, body, graph) or joint_refusal(node, body, graph)


def rounds_of(node: Node, body: Graph) -> int | str:
    """How often a Loop runs; why that is not known."""
    count, condition = decided(node.input(0)), node.input(1)
    if count is None:
        return "the number of rounds is not known"
    goes_on = unchanged(body.outputs[0])
    keeps_on = goes_on is body.inputs[1] or decided(goes_on) == 1
    if condition is None and not keeps_on:  # ONNX Loop says that the body's condition is ignored then, and onnxruntime stops by it
        return "without a condition at the start runtimes do not agree whether that of the body counts"
    return count if keeps_on and (condition is None or decided(condition) == 1) else "its condition may end it early"


def joint_refusal(node: Node, body: Graph, graph: Graph) -> str | None:
    """Why what the rounds give for a scan output cannot be put together; None when it can."""
    try:
        for _, new in scans(node, body):
            spell("Concat", (new, new), {"axis": 0}, graph)
    except CannotSpell as reason:
        return str(reason)
    return None


def rolled_out(node: Node, body: Graph, graph: Graph, rounds: int, inliner: Inliner) -> tuple[Node, ...]:
    """Put copies of a body before its Loop and let its readers read them; returns the copies."""
    editor = inliner.editor
    constants = {
        value: editor.add_constant(graph, value.tensor, value.name, node)
        for value in body.initializers.values()
        if value.tensor is not None
    }
    states: list[Value | None] = list(node.inputs[2:])
    given: dict[Value, list[Value]] = {new: [] for _, new in scans(node, body)}
    made: list[Node] = []
    for number in range(rounds):
        known: dict[Value, Value | None] = {**constants, **dict(zip(body.inputs[2:], states, strict=True))}
        for value in unpassed(body):
            content, dtype = (1, DType.bool) if value is body.inputs[1] else (number, DType.int64)
            known[value] = editor.add_constant(graph, Tensor.of([content] if value.rank else content, dtype), value.name, node)
        cloner = Cloner(editor, known, prefix=f"{node.name}/{number}" if node.name else "", names=inliner.node_names)
        for held in body:
            copied = cloner.copy(held, graph, node)
            copied.metadata = {**node.metadata, **copied.metadata}
            copied.rule, copied.replaces = "unroll-loop", node.stands_for
            made.append(copied)
        states = [cloner.read(value) for value in body.outputs[1 : 1 + len(states)]]
        for value, each in given.items():
            if (new := cloner.read(value)) is not None:
                each.append(new)
    pairs = [(old, new) for old, new in zip(node.outputs, states, strict=False) if new is not None]
    for old, new in scans(node, body):
        pairs.append((old, joined(given[new], graph, node, inliner, made)))
    inliner.replace(pairs, made)
    return tuple(made)


def joined(values: list[Value], graph: Graph, before: Node, inliner: Inliner, made: list[Node]) -> Value:
    """A scan output: what each round gives, one after the other along a new first axis. `joint_refusal` must have agreed."""
    stacks = []
    for value in values:
        stack = stacked(value, graph)
        inliner.editor.insert(stack, graph, before)
        stack.output.type = infer_node(stack)[0]
        stacks.append(stack.output)
        made.append(stack)
    whole = spell("Concat", stacks, {"axis": 0}, graph)
    inliner.editor.insert(whole, graph, before)
    made.append(whole)
    return whole.output
