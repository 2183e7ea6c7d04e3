"""Copies of what stands in a graph, put elsewhere: a function's body where it is called, a loop's body once for each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from graphopt.io.tensors import constant_tensor
from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.edit import Editor
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value
from graphopt.ir.types import SequenceType, TensorType, Type
from graphopt.rewrite.node_names import NodeNames
from graphopt.rewrite.respell import respelled
from graphopt.schema import facts
from graphopt.schema.spelling import CannotSpell

# From these opsets on their texts changed, what they do did not.
SETTLED: Final = {"If": 11, "Loop": 11, "Scan": 11}


@final
class Cloner:
    """Copies nodes into a graph. `values` says what the copies read instead of what the originals read, and grows with each copy.

    `attributes` are what a function's caller gives (None: nothing is known, references stay as they are). Every copied value gets a name
    that nothing in the model has. Types keep what holds for every copy: element types, ranks and numbers, no symbols.
    """

    def __init__(
        self,
        editor: Editor,
        values: Mapping[Value, Value | None],
        attributes: Mapping[str, Attribute] | None = None,
        *,
        prefix: str = "",
        names: NodeNames | None = None,
    ) -> None:
        self.editor, self.values, self.attributes, self.prefix = editor, dict(values), attributes, prefix
        self.names = names if names is not None else NodeNames()

    def copy(self, node: Node, graph: Graph, before: Node | None = None) -> Node:
        """Put a copy of a node, and of the graphs inside it, before another node of `graph`. `refusal` must have agreed."""
        made = self._respelled(node, graph)
        made.name = f"{self.prefix}/{node.name}" if self.prefix and node.name else node.name
        self.names.settle(made, graph)
        made.doc, made.metadata = node.doc, dict(node.metadata)
        for old, new in zip(node.outputs, made.outputs, strict=False):  # the last ones may be left out when nobody reads them
            self._describe(old, new)
        self.editor.insert(made, graph, before)
        for name, attribute in node.attributes.items():
            if held := attribute.graphs():
                copies = tuple(self._subgraph(each, made) for each in held)
                made.attributes[name] = Attribute(attribute.kind, copies[0] if attribute.kind is AttributeKind.graph else copies)
        if made.op == "Constant" and len(made.attributes) == 1:
            made.output.tensor = constant_tensor(next(iter(made.attributes.values())))
        return made

    def read(self, value: Value | None) -> Value | None:
        """What a copy reads where the original reads `value`."""
        return value if value is None else self.values.get(value, value)

    def refusal(self, node: Node, graph: Graph) -> str | None:
        """Why no copy of a node can stand in `graph`; None when it can."""
        references = [attribute.reference for attribute in node.attributes.values() if attribute.reference]
        if node.op == "Constant" and self.attributes is not None and any(name not in self.attributes for name in references):
            return f"what {node.output!r} holds, its caller does not say"
        if not self._is_as_written(node, graph):
            try:
                self._spelled(node, graph)
            except CannotSpell as reason:
                return str(reason)
        for inner in node.subgraphs:
            if any(value.tensor is None for value in inner.initializers.values()):
                return f"a sparse initializer stands in {inner.name!r}"
            if any(value.overridable for value in inner.initializers.values()):
                return f"an input of {inner.name!r} has a default"
            for held in inner:
                if (why := self.refusal(held, graph)) is not None:
                    return why
        return None

    # ---- inside

    def _respelled(self, node: Node, graph: Graph) -> Node:
        if self._is_as_written(node, graph):
            return self._bare(node, node.graph)
        return self._spelled(node, graph)

    def _is_as_written(self, node: Node, graph: Graph) -> bool:
        """Whether a node means in `graph` what it means where it stands."""
        origin = node.graph
        if origin is None or facts.is_function_call(node):
            return True
        here, there = origin.opsets.get(node.domain), graph.opsets.get(node.domain)
        if here == there or there is None:  # the import comes with it
            return True
        before, after = facts.of(node.domain, node.op_type, here or 0), facts.of(node.domain, node.op_type, there)
        if before is None or after is None:
            return False
        return before is after or SETTLED.get(node.op, 1 << 30) <= min(before.since_version, after.since_version)

    def _bare(self, node: Node, graph: Graph | None) -> Node:
        """The node with its operands and attributes replaced, without graphs, in no graph."""
        given = {}
        for name, attribute in node.attributes.items():
            if attribute.graphs():
                continue
            if attribute.reference and self.attributes is not None:
                replaced = self.attributes.get(attribute.reference)
                if replaced is not None:  # what the caller does not give is absent
                    given[name] = Attribute(replaced.kind, replaced.value, reference=replaced.reference)
            else:
                given[name] = Attribute(attribute.kind, attribute.value, reference=attribute.reference, origin=attribute.origin)
        inputs = tuple(map(self.read, node.inputs))
        return Node(node.op_type, inputs, len(node.outputs), given, domain=node.domain, overload=node.overload)

    def _spelled(self, node: Node, graph: Graph) -> Node:
        """The node as the opset of `graph` writes it. Raises CannotSpell."""
        source, there = node.graph, graph.opsets.get(node.domain)
        if source is None or node.domain not in DEFAULT_DOMAINS or node.subgraphs:
            raise CannotSpell(f"{node.op} of opset {node.opset} may be something else at opset {there}")
        read = self._bare(node, source)
        if read.op == "Constant":
            return _constant(read, graph)
        read.graph = source  # it says which opset it is written in
        read.outputs = node.outputs  # they say what is read, and of which types
        try:
            spelled = respelled(read, graph)
        except CannotSpell as reason:
            raise CannotSpell(f"{node.op} of opset {node.opset} cannot be said at opset {there}: {reason}") from reason
        return self._bare(node, source) if spelled is None else spelled

    def _describe(self, old: Value, new: Value) -> None:
        new.name = self.editor.model.fresh_name(old.name) if old.name else ""
        new.type, new.tensor = without_symbols(old.type), old.tensor
        self.values[old] = new

    def _subgraph(self, graph: Graph, owner: Node) -> Graph:
        made = Graph(graph.name, self.editor.model, owner=owner)
        for value in graph.inputs:
            copied = Value()
            self._describe(value, copied)
            copied.graph = made
            made.inputs.append(copied)
        holds = made.holds_initializers
        for value in graph.initializers.values():
            copied = Value()
            self._describe(value, copied)
            if holds:
                copied.graph = made
                made.initializers[copied.name] = copied
            else:
                self.editor.insert(Node("Constant", (), (copied,), {"value": Attribute.of(copied.tensor)}), made)
        for node in graph:
            self.copy(node, made)
        returned = [self.read(value) for value in graph.outputs]
        self.editor.set_outputs(made, [value for value in returned if value is not None])
        return made


def _constant(node: Node, graph: Graph) -> Node:
    """A Constant in the form that every opset has. Raises CannotSpell."""
    tensor = constant_tensor(next(iter(node.attributes.values()))) if len(node.attributes) == 1 else None
    if tensor is None:
        raise CannotSpell("what a Constant holds is not known")
    made = Node("Constant", (), (Value("", TensorType(tensor.dtype, tensor.shape)),), {"value": Attribute.of(tensor)})
    if (why := facts.accepts(made, graph)) is not None:
        raise CannotSpell(why)
    return made


def without_symbols(type: Type | None) -> Type | None:
    """What holds of a value's type in every copy: sizes that are symbols may be other sizes there."""
    if isinstance(type, SequenceType):
        return SequenceType(without_symbols(type.element))
    if not isinstance(type, TensorType):
        return None
    if type.shape is None:
        return type
    return TensorType(type.dtype, tuple(size if isinstance(size, int) else None for size in type.shape))
