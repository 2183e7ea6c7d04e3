"""From a match to a plan: what a rule would put in the place of what, after every guard has agreed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphopt.errors import GraphoptError, InternalError
from graphopt.infer.contents import infer_contents
from graphopt.infer.node import typed
from graphopt.ir.graph import Graph, Node, Value
from graphopt.match.language import AnyOf, Call, Pattern
from graphopt.match.match import CannotSpell, Match
from graphopt.match.reasons import at_newer
from graphopt.match.rule import Declined, Rule, RuleError
from graphopt.rewrite import guards


@dataclass(slots=True)
class Plan:
    """A rewrite that is ready: nothing in the graph has changed yet."""

    rule: Rule
    match: Match
    anchor: Node
    made: list[Node]
    pairs: list[tuple[Value, Value]]


def plan(rule: Rule, roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> Plan | Declined | None:
    """Ask a rule what it would do at a match. None: nothing to do here; Declined: the rule, or a guard, says no and why."""
    match = Match(roots, nodes, bindings)
    try:
        outcome = rule.action(match, **{name: bindings.get(name) for name in rule.parameters})
    except CannotSpell as reason:
        return Declined("{}{}", (reason, at_newer(reason.since)))
    if outcome is None or isinstance(outcome, Declined):
        return outcome
    pairs = _pairs(rule, roots, outcome)
    made = _needed(match.made, [new for _, new in pairs])
    anchor = min(roots, key=lambda root: root.position)
    replaced = [old for old, _ in pairs]
    results = [new for _, new in pairs]
    refusal = (
        guards.unread_outputs(roots, replaced)
        or guards.visible(made, results, anchor)
        or guards.storable(made, results, match.graph)
        or _type(made, match.graph)
        or guards.same_types(rule, pairs)
        or guards.keeps_an_output(roots[0], pairs)
        or guards.runnable(made, nodes, pairs, match.graph)
    )
    return Declined(refusal.replace("{", "{{").replace("}", "}}")) if refusal is not None else Plan(rule, match, anchor, made, pairs)


def tried(rule: Rule, roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> Plan | Declined | None:
    """`plan`, for who only asks: raises RuleError, with the rule's place and the node, for whatever the rule raises."""
    try:
        return plan(rule, roots, nodes, bindings)
    except (GraphoptError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever the rule's author wrote
        raise RuleError(f"the rule {rule} ({rule.file}:{rule.line}) raised {type(error).__name__} at {roots[0]!r}: {error}") from error


def shadowed(graph: Graph) -> frozenset[str]:
    """The operators that local functions of the model define anew: a call of one is not what a rule takes it for."""
    return frozenset(_operator(domain, name) for domain, name, _ in graph.model.functions)


def _operator(domain: str, name: str) -> str:
    return Node(name, (), 0, domain=domain).op


def _pairs(rule: Rule, roots: tuple[Node, ...], outcome: Value | tuple[Value | None, ...]) -> list[tuple[Value, Value]]:
    """Which value the rule replaces by which."""
    results = outcome if isinstance(outcome, tuple) else (outcome,)
    if len(roots) == 1 and isinstance(outcome, tuple):
        if len(results) > len(roots[0].outputs):
            raise InternalError(f"the rule {rule} ({rule.file}:{rule.line}) returned {len(results)} values for {roots[0]!r}")
        return [(old, new) for old, new in zip(roots[0].outputs, results, strict=False) if new is not None]
    if len(results) != len(roots):
        raise InternalError(f"the rule {rule} ({rule.file}:{rule.line}) returned {len(results)} values for {len(roots)} roots")
    replaced = [root.outputs[output_of(pattern)] for pattern, root in zip(rule.patterns, roots, strict=True)]
    return [(old, new) for old, new in zip(replaced, results, strict=True) if new is not None]


def output_of(pattern: Pattern) -> int:
    """Which output of its node a root pattern stands for."""
    if isinstance(pattern, AnyOf):
        return output_of(pattern.alternatives[0])
    return pattern.output if isinstance(pattern, Call) else 0


def _needed(made: list[Node], results: list[Value]) -> list[Node]:
    """The new nodes that the results depend on, in the order in which they were built."""
    wanted = {value.producer for value in results}
    kept = []
    for node in reversed(made):
        if node in wanted:
            kept.append(node)
            wanted.update(value.producer for value in node.inputs if value is not None)
    return kept[::-1]


def _type(made: list[Node], graph: Graph) -> str | None:
    """Infer what the new nodes make, and ask whether each is legal."""
    for node in made:
        typed(node, graph)
        for value, held in zip(node.outputs, infer_contents(node, graph), strict=True):
            value.contents = held
    return guards.legal_operators(made, graph)
