"""What a model says for people and tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.io.descriptions import clear_descriptions
from graphopt.ir import Graph
from graphopt.pipeline.base import Context, Pass


@dataclass(frozen=True)
class ClearMetadata(Pass):
    """Remove doc strings and metadata of the model, its graphs, functions, nodes and values. The file gets smaller.

    Before:  y = Relu(x)                            with the doc string "line 12" and metadata {"namespace": "encoder"}
    After:   y = Relu(x)
    Keeps:   names, producer and version; metadata of nodes whose key starts with one of `keep`; doc strings of weights. Exact.
    """

    name: ClassVar[str] = "clear-metadata"
    keep: tuple[str, ...] = field(default=(), metadata={"doc": "beginnings of the keys of nodes' metadata that stay"})
    value_info: bool = field(default=False, metadata={"doc": "also forget what the file declares of the types of inner values"})

    def run(self, graph: Graph, context: Context) -> int:
        """Clear the whole model; asked once, for its main graph."""
        model = context.model
        if graph is not model.graph or not context.observer.may_apply(self.name, graph.exit):
            return 0
        changes = clear_descriptions(model, value_info=self.value_info)
        for each in model.graphs():
            for node in each:
                left = {key: text for key, text in node.metadata.items() if key.startswith(self.keep)} if self.keep else {}
                if node.doc or len(left) < len(node.metadata):
                    node.doc, node.metadata, node.changed = "", left, True
                    changes += 1
        if changes:
            context.observer.applied(self.name, graph.exit, ())
        return changes
