"""A model: the main graph, the local functions, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from graphopt.ir.attribute import Attribute
from graphopt.ir.dim import Dim
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.types import TensorType


@final
class Function:
    """A local function: a graph without initializers, with attributes that its callers give.

    `attributes` are the names that a caller must give, `defaults` those with a default. `key` is what identifies it in a model.
    """

    __slots__ = ("attributes", "defaults", "domain", "graph", "name", "opsets", "origin", "overload")

    def __init__(self, domain: str, name: str, overload: str, model: Model) -> None:
        self.domain, self.name, self.overload = domain, name, overload
        self.opsets: dict[str, int] = {}
        self.attributes: tuple[str, ...] = ()
        self.defaults: dict[str, Attribute] = {}
        self.graph = Graph(name, model, function=self)
        self.origin: object = None

    @property
    def key(self) -> tuple[str, str, str]:
        """(domain, name, overload)."""
        return self.domain, self.name, self.overload


@final
class Model:
    """A whole model in memory. `names` holds every value name that is or was in use, so that a fresh one never collides
    (a name may be in use twice, in subgraphs side by side, so none is ever given back).

    `opsets` maps a domain ("" is the default one) to its version. `origin` is the message it was read from without graph and weights,
    for io/ alone, which carries everything else through: producer, metadata, training_info, unknown fields. `trains` says whether there
    is training_info, whose algorithms refer to the main graph's values by name. `annotating` are the names that quantization annotations
    give as scales and zero points: such initializers stay, though no node reads them. `frozen` are the named sizes that a caller made
    numbers: what the file declares by such a name is that number now. `positive` are the symbols of sizes that are at least 1 in every run
    that comes to a result, `doubted` holds nodes with those of which their inference would have liked to know it; `copies` are symbols of
    sizes that are the given one, unless that is 0. `declared` holds of the outputs in which a Loop collects what its rounds make the rank
    and the numbers that the body declares: all that is known of their sizes when no round runs.
    """

    __slots__ = (
        "_fresh", "annotating", "copies", "declared", "doubted", "frozen", "functions", "graph", "ir_version", "names", "opsets", "origin",
        "positive", "trains",
    )  # fmt: skip

    def __init__(self, name: str = "", ir_version: int = 10, opsets: dict[str, int] | None = None) -> None:
        self.ir_version = ir_version
        self.opsets: dict[str, int] = dict(opsets or {})
        self.names: set[str] = set()
        self.annotating: set[str] = set()
        self.frozen: dict[str, int] = {}
        self.positive: set[str] = set()
        self.doubted: dict[Node, set[str]] = {}
        self.copies: dict[str, Dim] = {}
        self.declared: dict[Value, TensorType] = {}
        self._fresh: dict[str, int] = {}
        self.functions: dict[tuple[str, str, str], Function] = {}
        self.graph = Graph(name, self)
        self.origin: object = None
        self.trains = False

    def fresh_name(self, stem: str) -> str:
        """A value name that nothing in the model uses yet: `stem` itself when it is free. It counts as used from now on."""
        stem = stem or "value"
        name = stem
        while name in self.names:
            number = self._fresh.get(stem, 0) + 1
            self._fresh[stem] = number
            name = f"{stem}_{number}"
        self.names.add(name)
        return name

    def graphs(self) -> Iterator[Graph]:
        """Every graph: the main one, the subgraphs, the bodies of the functions."""
        yield from self.graph.walk()
        for function in self.functions.values():
            yield from function.graph.walk()

    def nodes(self) -> Iterator[Node]:
        """Every node of every graph."""
        return (node for graph in self.graphs() for node in graph)
