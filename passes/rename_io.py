"""Names of a model's inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.errors import SpecError, nearest
from graphopt.io.declared import declaration_of, is_annotated
from graphopt.ir import Graph
from graphopt.ir.scopes import values_of
from graphopt.pipeline.base import Context, Pass


@dataclass(frozen=True)
class RenameIo(Pass):
    """Call inputs and outputs of the model otherwise. Callers must use the new names: the signature changes.

    Before:  (float[2] x) => (float[2] y)  { y = Relu(x) }
    After:   (float[2] image) => (float[2] y)  { y = Relu(image) }                       with names = ["x=image"]
    Keeps:   order and types. A value inside the model that has the new name gets another one. Exact.
    """

    name: ClassVar[str] = "rename-io"
    changes_signature: ClassVar[bool] = True
    names: tuple[str, ...] = field(default=(), metadata={"doc": 'what is called how, as "old=new"'})

    def __post_init__(self) -> None:
        for pair in self.names:
            old, equals, new = pair.partition("=")
            if not (old and equals and new):
                raise ValueError(f"{pair!r} is not old=new")
        if len({pair.partition("=")[2] for pair in self.names}) < len(self.names):
            raise ValueError("two of the new names are the same")

    def run(self, graph: Graph, context: Context) -> int:
        """Rename in the main graph. Raises SpecError for a name that is no input or output, or is one already."""
        wanted = dict(pair.split("=", 1) for pair in self.names)
        if graph is not context.model.graph or not wanted:
            return 0
        ports = [value.name for value in (*graph.inputs, *graph.outputs)]
        if not any(old in ports for old in wanted) and all(new in ports for new in wanted.values()):
            return 0  # it has been done
        for old, new in wanted.items():
            if old not in ports:
                raise SpecError(f"rename-io: the model has no input or output {old!r}{nearest(old, ports)}")
            if new in ports:
                raise SpecError(f"rename-io: the model has an input or output {new!r} already; rename that one first, in a pass of its own")
            if is_annotated(graph, old):
                raise SpecError(f"rename-io: a quantization annotation speaks of {old!r}; it has to keep its name")
        if not context.observer.may_apply(self.name, graph.exit):
            return 0
        self.free(graph, set(wanted.values()), context)
        for value in dict.fromkeys((*graph.inputs, *graph.outputs)):
            if value.name in wanted:
                if not value.is_initializer:
                    value.origin = declaration_of(graph, value.name) or value.origin
                context.editor.rename(value, wanted[value.name])
        graph.output_names = tuple(value.name for value in graph.outputs)
        context.observer.applied(self.name, graph.exit, ())
        return len(wanted)

    def free(self, graph: Graph, names: set[str], context: Context) -> None:
        """Give other names to the values inside that have these."""
        for inner in graph.walk():
            for value in list(values_of(inner)):
                if value.name in names:
                    context.editor.rename(value, context.model.fresh_name(value.name))
