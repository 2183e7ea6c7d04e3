"""The only way to change a model: a few edits that keep use counts, names and order right and tell one listener."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import final

from graphopt.errors import InternalError
from graphopt.ir.attribute import Attribute
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.listener import Listener
from graphopt.ir.model import Model
from graphopt.ir.node_index import NodeIndex
from graphopt.ir.positions import first_reader, link
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType, Type


@final
class Editor:
    """Edits one model. Everything else may only read it.

    A node that is in no graph (just built, or erased) counts as no reader: building one changes nothing.
    """

    __slots__ = ("_index", "listener", "model", "unsettled")

    def __init__(self, model: Model, listener: Listener | None = None) -> None:
        self.model = model
        self.listener = listener
        self._index: NodeIndex | None = None
        self.unsettled: dict[Node, None] = {}  # nodes whose operands became better known: their types may be inferred again

    @property
    def index(self) -> NodeIndex:
        """The nodes by operator and by last change; made when first asked for."""
        if self._index is None:
            self._index = NodeIndex(self.model)
        return self._index

    def calls(self, graph: Graph, ops: Iterable[str]) -> list[Node]:
        """All calls of some operators in a graph and the graphs inside it, outer before inner, each graph in its order."""
        return self.index.calls(graph, ops)

    def holds(self, node: Node) -> bool:
        """Whether a node stands in the model: neither it nor one of those around it was erased."""
        return self.index.holds(node)

    # ---- nodes

    def insert(self, node: Node, graph: Graph, before: Node | None = None) -> Node:
        """Put a new node before another of the same graph, or at the end. Its unnamed outputs get fresh names.

        Detached constants that it reads become the graph's (`adopt_constant`).
        Every value it reads must already be made there; `verify` checks. Raises InternalError when the node is in a graph already.
        """
        if node.graph is not None:
            raise InternalError(f"{node!r} is inserted twice")
        following = before if before is not None else graph.exit
        for value in node.inputs:
            if value is not None and value.is_detached:
                self.adopt_constant(graph, value, following)
        link(node, graph, following)
        if self._index is not None:
            self._index.add(node)
        for value in node.inputs:
            if value is not None:
                value.users[node] = value.users.get(node, 0) + 1
        for value in node.outputs:
            if not value.name:
                value.name = self.model.fresh_name(node.op_type)
        if self.listener is not None:
            self.listener.inserted(node)
        return node

    def erase(self, node: Node) -> None:
        """Take a node out of its graph. Raises InternalError while any output is read."""
        graph = node.graph
        if graph is None or any(value.users for value in node.outputs):
            raise InternalError(f"{node!r} cannot be erased: it is {'in no graph' if graph is None else 'still read'}")
        for value in {value for value in node.inputs if value is not None} if len(node.inputs) > 1 else node.inputs:
            if value is not None:
                del value.users[node]
        for inner in node.subgraphs:
            self._release(inner)
        assert node.previous is not None and node.next is not None  # a node in a graph is linked
        node.previous.next, node.next.previous = node.next, node.previous
        node.graph = None
        graph.size -= 1
        graph.owners.pop(node, None)
        if self._index is not None:
            self._index.remove(node)
            self._touch_around(node.inputs)
        if self.listener is not None:
            self.listener.erased(node)

    def erase_unread(self, nodes: Iterable[Node], may_erase: Callable[[Node], bool] | None = None) -> None:
        """Erase those of some nodes that nobody else reads any more, and drop the initializers that only they read.

        `may_erase` says which other nodes go as well, once only erased ones read them.
        """
        left = list(nodes)
        given = frozenset(left)
        while left:
            node = left.pop()
            if node.graph is None or any(value.users for value in node.outputs):
                continue
            self.erase(node)
            for value in node.inputs:
                if value is None or value.users:
                    continue
                if value.producer is None:
                    self.drop_if_unread(value)
                elif value.producer in given or (may_erase is not None and may_erase(value.producer)):
                    left.append(value.producer)

    def move(self, node: Node, graph: Graph, before: Node) -> None:
        """Put a node that stands in one graph before a node of another; nothing changes but where it stands.

        Every value it reads must already be made there, and the names of its outputs must be free there.
        """
        assert node.graph is not None and node.previous is not None and node.next is not None  # a node in a graph is linked
        node.previous.next, node.next.previous = node.next, node.previous
        node.graph.size -= 1
        node.graph.owners.pop(node, None)
        link(node, graph, before)
        if self._index is not None:
            self._index.touch(node)
        if self.listener is not None:
            self.listener.inserted(node)

    def set_input(self, node: Node, slot: int, new: Value | None) -> None:
        """Let an input slot of a node (or of `graph.exit`) read another value, or nothing."""
        old = node.inputs[slot]
        if old is new:
            return
        node.inputs = (*node.inputs[:slot], new, *node.inputs[slot + 1 :])
        node.changed = True
        if node.graph is not None:
            if old is not None:
                self._forget(old, node, 1)
            if new is not None:
                new.users[node] = new.users.get(node, 0) + 1
            if self._index is not None:
                self._index.touch(node)
                self._touch_around((old, new))
            if self.listener is not None:
                self.listener.rewired(node, slot, old)

    def set_attribute(self, node: Node, name: str, value: object) -> None:
        """Set an attribute (anything that `Attribute.of` takes), or remove it with None. Not for attributes that hold graphs."""
        if value is None:
            node.attributes.pop(name, None)
        else:
            node.attributes[name] = Attribute.of(value)
        node.changed = True
        if self._index is not None and node.graph is not None:
            self._index.touch(node)
        if self.listener is not None:
            self.listener.reattributed(node, name)

    # ---- values

    def redirect(self, old: Value, new: Value) -> None:
        """Every slot that reads `old` reads `new` instead, the graph's outputs among them; no name changes."""
        if old.type != new.type:
            self.unsettled.update(dict.fromkeys(old.users))
        for node, count in list(old.users.items()):
            self._redirect(node, count, old, new)

    def replace(self, old: Value, new: Value) -> None:
        """Every reader of `old` reads `new` instead, and what callers see keeps its name.

        `new` takes over the name of `old` when a node makes it and it is no graph output under a name of its own, provided that it
        was unnamed or `old` is a graph output. Where `old` is a graph output and `new` cannot take its name (an input, an
        initializer, a captured value, another output), an Identity between them keeps it.
        """
        if old is new:
            raise InternalError(f"{old!r} is replaced by itself")
        if not old.is_output:
            self.redirect(old, new)
            return
        graph = old.scope
        if new.producer is not None and new.scope is graph and not new.is_output:
            self.redirect(old, new)
            self.exchange_names(old, new)
            return
        assert graph is not None  # an output has a scope
        keeper = Node("Identity", (new,))
        keeper.output.type = old.type if old.type is not None else new.type
        keeper.output.contents = old.contents if old.contents is not None else new.contents
        name = old.name
        self.rename(old, self.model.fresh_name(name))
        keeper.output.name = name
        self.model.names.add(name)
        keeper.output.origin, old.origin = old.origin, None
        self.redirect(old, keeper.output)
        producer = new.producer if new.scope is graph else None
        after = producer.next if producer is not None else graph.exit.next
        self.insert(keeper, graph, before=graph.exit if after is None else first_reader(keeper.output, graph) or after)
        for node, count in list(keeper.output.users.items()):
            if node is not graph.exit:  # other readers need no Identity
                self._redirect(node, count, keeper.output, new)

    def exchange_names(self, one: Value, other: Value) -> None:
        """Swap the names of two values (and what the file said of them under these names)."""
        one.name, other.name = other.name, one.name
        one.origin, other.origin = other.origin, one.origin
        for value, old in ((one, other.name), (other, one.name)):
            self._renamed(value, old)

    def rename(self, value: Value, name: str) -> None:
        """Call a value otherwise. The name must be free (`Model.fresh_name`); a graph's output must end up under its own name."""
        old, value.name = value.name, name
        self.model.names.add(name)
        if value.graph is not None and value.graph.initializers.get(old) is value:
            initializers = value.graph.initializers
            value.graph.initializers = {(name if held is value else key): held for key, held in initializers.items()}
        self._renamed(value, old)

    def set_type(self, value: Value, type: Type | None) -> None:
        """Say what is now known of a value's type."""
        if value.type != type:
            value.type = type
            self.learned(value)
            if self.listener is not None:
                self.listener.retyped(value)

    def learned(self, value: Value) -> None:
        """More is known of what a value holds: whoever makes or reads it may be asked again."""
        if self._index is not None:
            for node in (value.producer, *value.users):
                if node is not None:
                    self._index.touch(node)

    # ---- constants and outputs

    def add_constant(self, graph: Graph, tensor: Tensor, name: str = "", before: Node | None = None) -> Value:
        """A new constant that `graph` can read: an initializer, or a Constant node (before `before`) where there can be none.

        `name` is a wish; the value gets a fresh name that starts with it.
        """
        value = Value(name, TensorType(tensor.dtype, tensor.shape), tensor=tensor)
        following = before if before is not None else graph.exit.next
        self.adopt_constant(graph, value, graph.exit if following is None else following)
        return value

    def adopt_constant(self, graph: Graph, value: Value, before: Node) -> None:
        """Give a detached constant a place that `graph` can read.

        It becomes an initializer, or the output of a Constant node before `before` where there can be no initializers.
        """
        value.name = self.model.fresh_name(value.name or "constant")
        if graph.holds_initializers:
            value.graph = graph
            graph.initializers[value.name] = value
        else:
            self.insert(Node("Constant", (), (value,), {"value": Attribute.of(value.tensor)}), graph, before)

    def make_constant(self, node: Node, tensors: Sequence[Tensor]) -> None:
        """Let what a node makes be constants: the same values, names and readers, now stored, and the node gone.

        `tensors` are the contents of its outputs. Where the graph holds no initializers, Constant nodes make them, and so they do for what
        a subgraph returns: onnx's inference knows no type of an initializer that is an output of a branch.
        """
        graph, values = node.graph, node.outputs
        if graph is None or len(tensors) != len(values):
            raise InternalError(f"{node!r} cannot become {len(tensors)} constants")
        node.outputs = tuple(Value(value.name) for value in values)  # what the erased node still shows
        for index, (shown, value, tensor) in enumerate(zip(node.outputs, values, tensors, strict=True)):
            shown.producer, shown.index = node, index
            if not value.name:
                continue
            value.producer, value.index, value.tensor = None, 0, tensor
            self.set_type(value, TensorType(tensor.dtype, tensor.shape))
            self.learned(value)
            self.unsettled.update(dict.fromkeys(value.users))
            if graph.holds_initializers and not (graph.owner is not None and graph.exit in value.users):
                value.graph = graph
                graph.initializers[value.name] = value
            else:
                self.insert(Node("Constant", (), (value,), {"value": Attribute.of(tensor)}), graph, node)
        self.erase(node)

    def adopt_initializer(self, graph: Graph, value: Value) -> None:
        """Move an initializer to another graph, which must enclose every reader; its name must be free there."""
        if value.graph is not None and value.graph.initializers.get(value.name) is value:
            del value.graph.initializers[value.name]
        value.graph = graph
        graph.initializers[value.name] = value

    def move_initializer(self, value: Value, graph: Graph, before: Node) -> None:
        """Move an initializer to a graph around its own, where its name must be free.

        A Constant node before `before` makes it where there can be no initializers.
        """
        if graph.holds_initializers or value.graph is None:
            self.adopt_initializer(graph, value)
            return
        del value.graph.initializers[value.name]
        value.graph = None
        self.insert(Node("Constant", (), (value,), {"value": Attribute.of(value.tensor)}), graph, before)

    def may_drop_initializer(self, value: Value) -> bool:
        """Whether nobody reads an initializer, no caller knows it, and nothing that is said of other values names it."""
        return not value.users and not value.overridable and value.name not in self.model.annotating

    def drop_initializer(self, value: Value, heir: Value | None = None) -> None:
        """Remove an initializer that nobody reads; `may_drop_initializer` says whether that is all.

        `heir`, another initializer of the same graph, takes over its name and its place.
        Raises InternalError when somebody reads it, or when it is a graph input as well.
        """
        if value.users or value.overridable or value.graph is None:
            raise InternalError(f"the initializer {value!r} cannot be dropped: it is {'read' if value.users else 'a graph input'}")
        if heir is None:
            del value.graph.initializers[value.name]
        else:
            del value.graph.initializers[heir.name]
            value.graph.initializers[value.name] = heir
            old, heir.name = heir.name, value.name
            self._renamed(heir, old)
        value.graph = None

    def drop_if_unread(self, value: Value) -> None:
        """Remove a value if it is an initializer that may be dropped; anything else stays."""
        if value.is_initializer and self.may_drop_initializer(value):
            self.drop_initializer(value)

    def drop_constant(self, value: Value) -> None:
        """Take out a constant that nobody reads any more: an initializer that may be dropped, or the node that makes it."""
        if value.producer is None:
            self.drop_if_unread(value)
        elif value.const is not None and not value.users:
            self.erase(value.producer)

    def freeze(self, value: Value) -> None:
        """Make an overridable initializer a constant: it stops being an input of its graph."""
        if value.overridable and value.graph is not None:
            value.overridable = False
            self.learned(value)
            value.graph.inputs = [held for held in value.graph.inputs if held is not value]

    def set_outputs(self, graph: Graph, values: Sequence[Value]) -> None:
        """Say what a new graph returns; `output_names` follows."""
        for value in {value: None for value in graph.exit.inputs if value is not None}:
            del value.users[graph.exit]
        graph.exit.inputs = tuple(values)
        for value in values:
            value.users[graph.exit] = value.users.get(graph.exit, 0) + 1
        graph.output_names = tuple(value.name for value in values)

    # ---- inside

    def _touch_around(self, values: Iterable[Value | None]) -> None:
        """Who reads these values changed: that is told to those who make them and, where one reader is left, to it."""
        assert self._index is not None  # the caller asked
        for value in values:
            if value is not None:
                if value.producer is not None:
                    self._index.touch(value.producer)
                if len(value.users) == 1:
                    self._index.touch(next(iter(value.users)))

    def _redirect(self, node: Node, count: int, old: Value, new: Value) -> None:
        slot = -1
        for _ in range(count):
            slot = node.inputs.index(old, slot + 1)  # values compare by identity, so this is one scan in C
            self.set_input(node, slot, new)

    def _renamed(self, value: Value, old: str) -> None:
        if value.producer is not None:
            value.producer.changed = True
        for node in value.users:
            node.changed = True
        if self.listener is not None:
            self.listener.renamed(value, old)

    def _forget(self, value: Value, node: Node, count: int) -> None:
        left = value.users[node] - count
        if left:
            value.users[node] = left
        else:
            del value.users[node]

    def _release(self, graph: Graph) -> None:
        """What an erased node's subgraphs captured is no longer read by them."""
        for node in (*graph, graph.exit):
            for value in node.inputs:
                if value is not None:
                    value.users.pop(node, None)
            if self._index is not None:
                self._index.remove(node)
            for inner in node.subgraphs:
                self._release(inner)
