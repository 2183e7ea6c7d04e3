"""Asking about a node before it stands in a graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphopt.ir import Graph, Node


@contextmanager
def standing_in(node: Node, graph: Graph) -> Iterator[None]:
    """Let a node that is in no graph yet say that it is in `graph`, where the rules look up opsets; afterwards it is in none again."""
    node.graph = graph
    try:
        yield
    finally:
        node.graph = None
