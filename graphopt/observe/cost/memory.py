"""How much memory activations take at once when a model's nodes run one after the other, in the order of the file.

A value lives from the node that makes it to its last reader, an output of the graph to the end, an input of the graph from the start to
its last reader. Nothing is computed in place, and Reshape, Squeeze, Unsqueeze, Flatten and Identity give another view of what they read.
Weights and what is computed from them alone, workspaces of kernels and what an allocator wastes are not in it: so much a runtime that
writes nothing in place needs at least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from graphopt.infer.shapes import floor_divide, is_size, maximum, multiply
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.view import GraphView
from graphopt.observe.cost.work import count_of

VIEWS: Final = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
MOST_PEAKS: Final = 8  # nodes of which nobody can say, for all sizes, at which the most is alive


@final
@dataclass(frozen=True, slots=True)
class Peak:
    """So many bytes are alive while this node runs."""

    bytes: int | Dim
    node: Node


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """The node at which most is alive; several where it depends on sizes which of them it is; not `is_known` where there are too many.

    `unsized`: how many values were left out, whose size is not known.
    """

    peaks: tuple[Peak, ...] = ()
    unsized: int = 0
    is_known: bool = True

    @property
    def most(self) -> Size:
        """The bytes at the peak; None when nobody can say."""
        most: Size = 0 if self.is_known else None
        for peak in self.peaks:
            most = maximum(most, peak.bytes)
        return most


def bytes_of(value: Value) -> Size:
    """How many bytes the elements of a value take; None when that is not known before the model runs."""
    dtype = value.dtype
    if dtype is None or not dtype.bits:
        return None
    bits = multiply(count_of(value), dtype.bits)
    return None if bits is None else floor_divide(bits + 7, 8)


def memory_of(
    graph: Graph, known: Callable[[Size], Size], is_constant: Callable[[Value], bool], inside: Callable[[Node], Memory]
) -> Memory:
    """The peak of one graph, where no size is 0. `known` makes None of sizes that do not count as known, `inside` answers for what a node
    holds or calls. Inputs of subgraphs and functions are values of the graph outside.
    """
    roots = _Roots(graph)
    ends = _last_readers(graph, roots)
    alive: int | Dim = 0
    sizes: dict[Value, int | Dim] = {}
    unsized = 0

    def begins(value: Value) -> None:
        nonlocal alive, unsized
        size = known(bytes_of(value))
        if size is None:
            unsized += 1
        else:
            sizes[value] = size
            alive = alive + size

    if graph.owner is None and graph.function is None:
        for value in graph.inputs:
            if value in ends and not is_constant(value):
                begins(value)
    dies: dict[Node, list[Value]] = {}
    for value, reader in ends.items():
        dies.setdefault(reader, []).append(value)
    highest = _Highest()
    for node in graph:
        for value in node.outputs:
            if value.name and roots.of(value) is value and not is_constant(value):
                begins(value)
        held = inside(node)
        unsized += held.unsized + (held.most is None)
        highest.add(alive + (held.most or 0), node)
        for value in [*dies.get(node, ()), *(made for made in node.outputs if made not in ends)]:
            alive = alive - sizes.pop(value, 0)
    is_known = len(highest.peaks) <= MOST_PEAKS
    return Memory(tuple(highest.peaks.values()) if is_known else (), unsized, is_known)


class _Highest:
    """The peaks than which no other is higher whatever the sizes are, by what `_shifted` makes of them; at most one too many."""

    def __init__(self) -> None:
        self.peaks: dict[int | Dim, Peak] = {}
        self._seen: set[int | Dim] = set()

    def add(self, size: int | Dim, node: Node) -> None:
        """Look at one more."""
        if size in self._seen or len(self.peaks) > MOST_PEAKS:
            return
        self._seen.add(size)
        height = _shifted(size)
        if not any(is_size(other - height) for other in self.peaks):
            self.peaks = {other: peak for other, peak in self.peaks.items() if not is_size(height - other)}
            self.peaks[height] = Peak(size, node)


def _shifted(size: int | Dim) -> int | Dim:
    """The expression in how much each size is above 1: so that what holds unless a size is 0 is found out."""
    if isinstance(size, int):
        return size
    found = size.substitute({symbol: Dim.symbol(symbol) + 1 for symbol in size.symbols})
    return size if found is None else found


class _Roots:
    """Whose bytes a value is a view of: its own, or those of what a Reshape read."""

    def __init__(self, graph: Graph) -> None:
        self._roots: dict[Value, Value] = {}
        for node in graph:
            data = node.input(0)
            if node.op in VIEWS and data is not None:
                self._roots[node.output] = self.of(data)

    def of(self, value: Value) -> Value:
        return self._roots.get(value, value)


def _last_readers(graph: Graph, roots: _Roots) -> dict[Value, Node]:
    """The last node of a graph that reads a value's bytes; the exit for outputs."""
    ends: dict[Value, Node] = {}
    for node in (*graph, graph.exit):
        for value in _reads(node):
            ends[roots.of(value)] = node
    return ends


def _reads(node: Node) -> Iterator[Value]:
    yield from (value for value in node.inputs if value is not None)
    for subgraph in node.subgraphs:
        yield from GraphView(subgraph).captures()
