"""What a rule's function gets: the match, and a builder for what replaces it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy.typing as npt

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.ir.view import GraphView
from graphopt.match.rule import Declined
from graphopt.schema.older import CannotSpell, constant

__all__ = ["Builder", "CannotSpell", "Match"]


@final
class Match:
    """One place where a rule's patterns match. Nothing that is built here is in the graph before the rule has decided.

    `roots` are the nodes that the roots of the patterns matched, `nodes` all matched nodes, `bindings` the names.
    """

    __slots__ = ("bindings", "graph", "nodes", "op", "roots", "made")

    def __init__(
        self,
        roots: tuple[Node, ...],
        nodes: tuple[Node, ...],
        bindings: dict[str, Any],  # Any: values, nodes, attributes, tuples of them
    ) -> None:
        self.roots, self.nodes, self.bindings = roots, nodes, bindings
        graph = roots[0].graph
        if graph is None:
            raise ValueError(f"{roots[0]!r} is in no graph")
        self.graph: Graph = graph
        self.made: list[Node] = []
        self.op = Builder(self, "")

    @property
    def root(self) -> Node:
        """The node that the first pattern's root matched."""
        return self.roots[0]

    @property
    def view(self) -> GraphView:
        """The graph of the match, to look around in."""
        return GraphView(self.graph)

    def opset(self, domain: str = "") -> int | None:
        """The version of a domain that governs the match."""
        return self.graph.opsets.get(domain)

    def domain(self, name: str) -> Builder:
        """A builder for the operators of another domain."""
        return Builder(self, name)

    def call(
        self, op_type: str, inputs: Sequence[Value | None], attributes: Mapping[str, object], *, outputs: int = 1, domain: str = ""
    ) -> tuple[Value, ...]:
        """Build a call of an operator and return all its outputs: `m.call("Split", (x,), {"axis": 0}, outputs=3)`.

        As `m.op` does, in the newest spelling; raises CannotSpell when the model's opset has no such form.
        """
        from graphopt.schema.spelling import spell  # costs nothing once loaded

        node = spell(op_type, inputs, attributes, self.graph, domain=domain, outputs=outputs)
        self.made.append(node)
        return node.outputs

    def no(self, reason: str, *values: object) -> Declined:
        """Say why the rule does not apply here; `{}` in the reason stands for the values, formatted only if somebody asks."""
        return Declined(reason, values)

    def constant(self, data: npt.ArrayLike | Tensor, dtype: DType | None = None, *, name: str = "") -> Value:
        """A new constant for the replacement; stored only if the rule applies. `name` is what its name shall start with."""
        tensor = data if isinstance(data, Tensor) else Tensor.of(data, dtype)
        return constant(tensor, name)


@final
class Builder:
    """`m.op.Gemm(x, w, c, alpha=0.5)`: builds a node as the newest opset spells it, in the spelling of the model's own opset.

    Returns its output; for operators with several there is `Match.call`. Raises CannotSpell (which the driver takes for a no) when the
    model's opset has no such form: the operator is too new, or an input that was an attribute is not constant.
    """

    __slots__ = ("_domain", "_match")

    def __init__(self, match: Match, domain: str) -> None:
        self._match, self._domain = match, domain

    def __getattr__(self, op_type: str) -> Build:
        if op_type.startswith("__"):
            raise AttributeError(op_type)

        def build(*inputs: Value | None, **attributes: object) -> Value:
            return self._match.call(op_type, inputs, attributes, domain=self._domain)[0]

        return build

    def __getitem__(self, op_type: str) -> Build:
        """The same by a name that is computed: `m.op["Add"](x, y)`."""
        found: Build = getattr(self, op_type)
        return found


class Build(Protocol):
    """Builds a call of one operator."""

    def __call__(self, *inputs: Value | None, **attributes: object) -> Value:
        """The call's only output, or its first."""
