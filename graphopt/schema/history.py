"""At which opsets an operator is there, and changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graphopt.ir.graph import Graph, Node
from graphopt.schema import facts
from graphopt.schema.facts import OperatorFacts


@cache
def versions(domain: str, op_type: str) -> frozenset[int]:
    """The opsets of the default domain at which an operator changed; none for other domains."""
    if domain:
        return frozenset()
    found = set()
    for opset in range(1, facts.newest_opset() + 1):
        known = facts.of("", op_type, opset)
        if known is not None and not known.is_deprecated:
            found.add(known.since_version)
    return frozenset(found)


@cache
def last_opset(domain: str, op_type: str) -> int:
    """The newest opset of the default domain at which an operator is not deprecated."""
    newest = facts.newest_opset()
    if domain:
        return newest
    return next((opset for opset in range(newest, 0, -1) if (known := facts.of("", op_type, opset)) and not known.is_deprecated), newest)


def since(domain: str, op_type: str, opset: int, fits: Callable[[OperatorFacts], bool] = lambda known: True) -> int | None:
    """The first opset after one, at which an operator of the default domain is there and `fits`; None when there is none."""
    later = ((version, facts.of(domain, op_type, version)) for version in sorted(versions(domain, op_type)) if version > opset)
    return next((version for version, known in later if known is not None and fits(known)), None)


def legal_since(node: Node, graph: Graph) -> int | None:
    """The first opset after that of a graph, at which a node that is no legal call there is one; None when there is none."""
    return since(
        node.domain, node.op_type, graph.opsets.get("", 0), lambda known: (facts.misfit(node, known) or facts.refusal(node, known)) is None
    )


@cache
def operator_names() -> frozenset[str]:
    """The operators of the default domain, of any opset."""
    from onnx import defs

    return frozenset(schema.name for schema in defs.get_all_schemas() if not schema.domain)
