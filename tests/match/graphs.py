"""Graphs from text, and what a rule matches in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphopt.infer import infer_model
from graphopt.io import parse_text
from graphopt.ir import Graph, Model, Node, Value
from graphopt.match import Match, Pattern, Rule, rule
from graphopt.match.index import RuleIndex


def model(text: str, opset: int = 20) -> Model:
    """A model whose graph is written as `(float[4] x) => (float[4] y) { y = Relu(x) }`, with all types inferred."""
    parsed = parse_text(f'<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]>\ng {text}')
    infer_model(parsed)
    return parsed


def rule_of(*patterns: Pattern, **options: Any) -> Rule:
    """A rule of these patterns that never replaces anything."""
    return rule(*patterns, name="the-rule", **options)(_nothing)


def _nothing(m: Match) -> None:
    return None


def shown(held: object) -> object:
    """What a name is bound to, readable: values by name, nodes by what they make."""
    if isinstance(held, Value):
        return held.name or (tuple(held.tensor.numpy().reshape(-1).tolist()) if held.tensor is not None else "?")
    if isinstance(held, Node):
        return f"{held.op}->{held.output.name}"
    return tuple(map(shown, held)) if isinstance(held, tuple) else held


def matches(rule_: Rule | Pattern, where: Model | Graph) -> list[dict[str, object]]:
    """The bindings of every complete match, in the order in which they are found."""
    return [{name: shown(held) for name, held in bindings.items()} for _, _, bindings in complete(rule_, where)]


def complete(rule_: Rule | Pattern, where: Model | Graph) -> list[tuple[tuple[Node, ...], tuple[Node, ...], dict[str, Any]]]:
    """Every complete match: roots, nodes, bindings."""
    asked = rule_ if isinstance(rule_, Rule) else rule_of(rule_)
    graphs = list(where.graphs()) if isinstance(where, Model) else [where]
    found: list[tuple[tuple[Node, ...], tuple[Node, ...], dict[str, Any]]] = []

    def attempt(roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> None:
        found.append((roots, nodes, bindings))

    index = RuleIndex([asked], graphs[0].opsets)
    for graph in graphs:
        for node in graph:
            for _, matcher in index.candidates(node):
                matcher(node, attempt)
    return found


def raises(define: Callable[[], object]) -> str:
    """What the TypeError says that a definition raises."""
    try:
        define()
    except TypeError as error:
        return str(error)
    return "nothing was raised"
