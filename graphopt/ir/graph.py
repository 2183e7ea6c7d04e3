"""Values, nodes and graphs: what a model is made of.

Read these freely; change them only through `graphopt.ir.edit.Editor`, which keeps the counts right and tells the listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import TYPE_CHECKING, cast, final

from graphopt.ir.attribute import Attribute, AttributeKind, AttributeValue
from graphopt.ir.dim import Shape
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType, Type

if TYPE_CHECKING:
    from graphopt.ir.model import Function, Model

EXIT = "exit"  # the operator of the node whose inputs are a graph's outputs; no ONNX operator is spelled so
GRAPH, GRAPHS = AttributeKind.graph, AttributeKind.graphs
DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})
INITIALIZERS_ARE_NO_INPUTS = 4  # the IR version from which on an initializer need not be an input as well (onnx.proto, Version)


@final
class Value:
    """What flows along an edge: a node's output, a graph's input, or an initializer.

    `users` maps each reader to how many of its input slots read this value, in the order in which they came; a graph output and a
    capture from a subgraph are uses like all others. `tensor` is the known content: an initializer's or a Constant's.
    """

    __slots__ = ("contents", "graph", "index", "name", "origin", "overridable", "producer", "tensor", "type", "users")

    def __init__(self, name: str = "", type: Type | None = None, *, tensor: Tensor | None = None) -> None:
        self.name = name
        self.type = type
        self.tensor = tensor
        self.contents: Shape | None = None  # what `infer.infer_contents` found in it; ask `infer.elements`, which knows constants too
        self.producer: Node | None = None  # the node whose output it is, and
        self.index = 0  # which output
        self.graph: Graph | None = None  # the graph whose input or initializer it is
        self.overridable = False  # an initializer that is a graph input as well: the caller may feed another value
        self.users: dict[Node, int] = {}
        self.origin: object = None

    @property
    def const(self) -> Tensor | None:
        """The content, when no caller can change it: an initializer's or a Constant's, never an overridable default."""
        return None if self.overridable else self.tensor

    @property
    def dtype(self) -> DType | None:
        """The element type, None when this is no tensor or not known."""
        return self.type.dtype if isinstance(self.type, TensorType) else None

    @property
    def shape(self) -> Shape | None:
        """The shape, None when this is no tensor or not even the rank is known."""
        return self.type.shape if isinstance(self.type, TensorType) else None

    @property
    def rank(self) -> int | None:
        """How many dimensions, None when not known."""
        shape = self.shape
        return None if shape is None else len(shape)

    @property
    def uses(self) -> int:
        """In how many slots it is read."""
        return sum(self.users.values())

    @property
    def scope(self) -> Graph | None:
        """The graph in which this value is made; None while its node is in no graph."""
        return self.graph if self.producer is None else self.producer.graph

    @property
    def is_input(self) -> bool:
        """Whether a caller (or the node that owns the subgraph) supplies it, or may: an overridable initializer is an input too."""
        return self.producer is None and self.graph is not None and (self.overridable or not self.is_initializer)

    @property
    def is_initializer(self) -> bool:
        """Whether the graph stores it, sparse or dense, overridable or not."""
        return self.producer is None and self.graph is not None and self.graph.initializers.get(self.name) is self

    @property
    def is_detached(self) -> bool:
        """Whether it is a constant that nothing owns yet: made by no node, in no graph."""
        return self.tensor is not None and self.producer is None and self.graph is None

    @property
    def is_output(self) -> bool:
        """Whether it is an output of the graph in which it is made."""
        scope = self.scope
        return scope is not None and scope.exit in self.users

    @property
    def is_captured(self) -> bool:
        """Whether a node (or the outputs) of a subgraph below its own graph reads it."""
        scope = self.scope
        return any(node.graph is not scope for node in self.users)

    def __repr__(self) -> str:
        return f"%{self.name}" if self.name else "%(unnamed)"


def operator(domain: str, op_type: str) -> str:
    """The one interned string that names an operator: "Conv", "com.microsoft.Gelu"."""
    if domain in DEFAULT_DOMAINS:
        return intern(op_type if "." not in op_type else f"ai.onnx.{op_type}")
    return intern(f"{domain}.{op_type}")


@final
class Node:
    """One call of an operator. `op` carries the domain ("com.microsoft.Gelu"); the default domain has none.

    An absent optional input is None; an output that the model does not name is a Value with an empty name. `metadata` is what
    the model says of the node (metadata_props), `replaces` names the nodes that a rewrite replaced by this one, `rule` that rewrite.
    """

    __slots__ = (
        "attributes", "changed", "doc", "domain", "graph", "inputs", "metadata", "name", "next", "op", "op_type", "origin", "outputs",
        "overload", "position", "previous", "replaces", "rule",
    )  # fmt: skip

    def __init__(
        self,
        op_type: str,
        inputs: Iterable[Value | None] = (),
        outputs: int | Iterable[Value] = 1,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        domain: str = "",
        name: str = "",
        overload: str = "",
    ) -> None:
        self.domain = "" if domain in DEFAULT_DOMAINS else intern(domain)
        self.op_type = intern(op_type)
        self.op = operator(domain, op_type)
        self.inputs: tuple[Value | None, ...] = tuple(inputs)
        self.outputs: tuple[Value, ...] = tuple(Value() for _ in range(outputs)) if isinstance(outputs, int) else tuple(outputs)
        self.attributes: dict[str, Attribute] = dict(attributes) if attributes else {}
        self.name, self.overload, self.doc = name, overload, ""
        self.metadata: dict[str, str] = {}
        self.rule = ""
        self.replaces: tuple[str, ...] = ()
        self.graph: Graph | None = None
        self.previous: Node | None = None
        self.next: Node | None = None
        self.position = 0
        self.origin: object = None
        self.changed = False  # whether `origin` no longer says what this node is
        for index, value in enumerate(self.outputs):
            value.producer, value.index = self, index

    @property
    def output(self) -> Value:
        """The first output."""
        return self.outputs[0]

    def input(self, slot: int) -> Value | None:
        """The value in an input slot; None when it is absent or the list is shorter."""
        return self.inputs[slot] if slot < len(self.inputs) else None

    def attribute(self, name: str, default: AttributeValue | None = None) -> AttributeValue | None:
        """What the attribute holds, `default` when it is absent or refers to an attribute of the enclosing function."""
        found = self.attributes.get(name)
        return default if found is None or found.value is None else found.value

    def attributes_without(self, *names: str) -> dict[str, Attribute]:
        """The attributes but those of these names."""
        return {name: attribute for name, attribute in self.attributes.items() if name not in names}

    @property
    def stands_for(self) -> tuple[str, ...]:
        """The names of those that the node replaced, or else its own, if it has one: what a node in its place `replaces`."""
        return self.replaces or ((self.name,) if self.name else ())

    @property
    def subgraphs(self) -> tuple[Graph, ...]:
        """The graphs that the node's attributes hold (the branches of If, the bodies of Loop and Scan)."""
        found: tuple[Graph, ...] = ()
        for attribute in self.attributes.values():
            if attribute.kind is GRAPH or attribute.kind is GRAPHS:
                found += attribute.graphs()
        return found

    @property
    def opset(self) -> int | None:
        """The version of the node's own domain that governs it; None when the model imports none."""
        return self.graph.opsets.get(self.domain) if self.graph is not None else None

    def __repr__(self) -> str:
        made = ", ".join(map(repr, self.outputs))
        return f"{made} = {self.op}({', '.join('' if value is None else repr(value) for value in self.inputs)})"


@final
class Graph:
    """Nodes in an order that always runs; iterating is safe while nodes are inserted and erased.

    The outputs are the inputs of one last node, `exit`, which is not among the nodes iterated. `owner` is the node whose attribute
    holds this graph; `function` the local function whose body it is; both None for the main graph. `owners` are its nodes that hold graphs.
    """

    __slots__ = ("_output_names", "exit", "function", "initializers", "inputs", "model", "name", "origin", "owner", "owners", "size")

    def __init__(self, name: str, model: Model, *, owner: Node | None = None, function: Function | None = None) -> None:
        self.name, self.model, self.owner, self.function = name, model, owner, function
        self.inputs: list[Value] = []
        self.initializers: dict[str, Value] = {}
        self._output_names: tuple[str, ...] = ()
        self.exit = Node(EXIT, (), 0)
        self.exit.graph = self
        self.exit.previous = self.exit.next = self.exit  # a ring: the graph is empty when exit follows itself
        self.size = 0
        self.origin: object = None
        self.owners: dict[Node, None] = {}
        if owner is not None and owner.graph is not None:
            owner.graph.owners[owner] = None

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The graph's outputs in their order; `output_names` are the names they must keep."""
        return cast("tuple[Value, ...]", self.exit.inputs)  # an output is never absent

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the outputs are called. Callers know them by it; whoever owns a subgraph counts them, so there any name will do."""
        return self._output_names if self.owner is None else tuple(value.name for value in self.outputs)

    @output_names.setter
    def output_names(self, names: tuple[str, ...]) -> None:
        self._output_names = names

    @property
    def parent(self) -> Graph | None:
        """The graph around this one; None for the main graph and for a function's body."""
        return self.owner.graph if self.owner is not None else None

    @property
    def opsets(self) -> Mapping[str, int]:
        """Domain -> version, as the model or the function imports them."""
        function = self.function if self.owner is None else self.root.function
        return self.model.opsets if function is None else function.opsets

    @property
    def root(self) -> Graph:
        """The main graph or the function body that this graph lies in, possibly itself."""
        graph = self
        while (parent := graph.parent) is not None:
            graph = parent
        return graph

    @property
    def holds_initializers(self) -> bool:
        """Whether constants may be stored as initializers here without changing what callers must or may feed.

        A function has none (FunctionProto), and before IR version 4 every initializer has to be an input as well.
        """
        return self.root.function is None and self.model.ir_version >= INITIALIZERS_ARE_NO_INPUTS

    def __iter__(self) -> Iterator[Node]:
        node = self.exit.next
        while node is not None and node is not self.exit:
            here, node = node, node.next
            if here.graph is self:
                yield here

    def __reversed__(self) -> Iterator[Node]:
        node = self.exit.previous
        while node is not None and node is not self.exit:
            here, node = node, node.previous
            if here.graph is self:
                yield here

    def __len__(self) -> int:
        return self.size

    def precedes(self, first: Node, second: Node) -> bool:
        """Whether `first` runs before `second`; both must be nodes of this graph."""
        return first.position < second.position

    def encloses(self, other: Graph | None) -> bool:
        """Whether `other` is this graph or lies inside it, so that it can read this graph's values."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def walk(self) -> Iterator[Graph]:
        """This graph and all graphs inside it, outer before inner."""
        yield self
        for node in sorted(self.owners, key=_position) if self.owners else ():
            if node.graph is self:
                for inner in node.subgraphs:
                    yield from inner.walk()

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {self.size} nodes)"


def _position(node: Node) -> int:
    return node.position
