"""Imports of domains that no node belongs to."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.ir.graph import DEFAULT_DOMAINS
from graphopt.pipeline.base import Context, Pass


class RemoveUnusedOpsetImports(Pass):
    """Stop importing the operators of a domain that no node uses, in the model and in each local function.

    Before:  <opset_import: ["" : 20, "com.microsoft" : 1]>  y = Relu(x)
    After:   <opset_import: ["" : 20]>                       y = Relu(x)
    Keeps:   the default domain, domains that the model's functions belong to or use, and the only import there is. Exact.
    """

    name: ClassVar[str] = "remove-unused-opset-imports"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at the imports of the model, or of the function whose body this is."""
        model, function = context.model, graph.function
        opsets = model.opsets if function is None else function.opsets
        if graph.owner is not None or not opsets.keys() - DEFAULT_DOMAINS:
            return 0
        used = {node.domain for inner in graph.walk() for node in inner}
        if function is None:  # a model imports what its functions are made of, and where they belong
            used |= {node.domain for each in model.graphs() for node in each} | {each.domain for each in model.functions.values()}
        unused = [domain for domain in opsets if domain not in used and domain not in DEFAULT_DOMAINS]
        if len(unused) == len(opsets):  # a model without any import is not valid
            del unused[0]
        return context.change_all(self.name, graph, unused, opsets.pop)
