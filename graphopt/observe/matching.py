"""Which node of one model is which of another: by their names, then by what they make, then by what they are and read.

No two models are too different for it: what has no counterpart is left out. Linear in the nodes and edges of both.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeAlias, final

from graphopt.io.tensors import Missing
from graphopt.ir.attribute import Attribute, Opaque
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model
from graphopt.ir.tensor import FileSlice, Tensor

SMALL = 1 << 16  # bytes of a constant inside a node that is read to tell it from others
Key: TypeAlias = "tuple[Hashable, ...]"


@final
class Matching:
    """The pairs that were found: `nodes` and `values` from the first model to the second, `back` the nodes the other way."""

    def __init__(self, before: Model, after: Model) -> None:
        self.before, self.after = before, after
        self.nodes: dict[Node, Node] = {}
        self.back: dict[Node, Node] = {}
        self.values: dict[Value, Value] = {}
        self.graphs: list[tuple[Graph, Graph]] = []
        self._slots: dict[Node, dict[Value, int]] = {}  # where a reader reads each value
        self._pair(before.graph, after.graph)
        for key, function in before.functions.items():
            if key in after.functions:
                self._pair(function.graph, after.functions[key].graph)
        self._across_graphs()
        for one, other in self.graphs:  # grows while nodes with graphs inside are found
            self._by_outputs(one, other, of_one_operator=False)
        self._by_structure()

    # ---- by name

    def _pair(self, one: Graph, other: Graph) -> None:
        self.graphs.append((one, other))
        self._inputs(one, other)
        for name, value in one.initializers.items():
            if name in other.initializers:
                self.values[value] = other.initializers[name]
        for key_of in (_name_and_output, _name):
            self._by_key(one, other, key_of)
        self._by_outputs(one, other, of_one_operator=True)

    def _by_outputs(self, one: Graph, other: Graph, *, of_one_operator: bool) -> None:
        made = {value.name: node for node in other for value in node.outputs if value.name}
        for node in one:
            for value in node.outputs:
                same = made.get(value.name)
                if same is not None and (same.op == node.op or not of_one_operator):
                    self._link(node, same)

    def _inputs(self, one: Graph, other: Graph) -> None:
        ours, names = {value.name for value in one.inputs}, {value.name: value for value in other.inputs}
        for place, value in enumerate(one.inputs):
            same = names.get(value.name)
            if same is None and len(one.inputs) == len(other.inputs) and other.inputs[place].name not in ours:
                same = other.inputs[place]
            if same is not None:
                self.values[value] = same

    def _link(self, one: Node, other: Node) -> None:
        """Let two nodes be the same, unless one of them is another's; the graphs inside them are compared in turn."""
        if one in self.nodes or other in self.back:
            return
        self.nodes[one], self.back[other] = other, one
        self.values.update(zip(one.outputs, other.outputs, strict=False))
        for name, attribute in one.attributes.items():
            theirs = other.attributes.get(name)
            for inner, same in zip(attribute.graphs(), theirs.graphs() if theirs is not None else (), strict=False):
                self._pair(inner, same)

    def _across_graphs(self) -> None:
        """Nodes that stand in another graph than before (a branch was inlined, a body hoisted), where their name is one of a kind."""
        for key_of in (_name, _first_output):
            self._by_key(self.before.nodes(), self.after.nodes(), key_of)

    def _by_key(self, ones: Iterable[Node], others: Iterable[Node], key_of: Callable[[Node], str]) -> None:
        """Of the nodes that are still without a counterpart, those whose key no other has on their side."""
        there = _one_of_a_kind((node for node in others if node not in self.back), key_of)
        for key, node in _one_of_a_kind((node for node in ones if node not in self.nodes), key_of).items():
            if key in there:
                self._link(node, there[key])

    # ---- by what they are

    def _by_structure(self) -> None:
        self._equal_initializers()
        for one, other in self.graphs:
            self._forward(one, other)
            self._backward(one, other)
            self._forward(one, other)

    def _equal_initializers(self) -> None:
        """Initializers of other names with equal bytes; only what has the type and shape of another is read."""
        taken = set(self.values.values())
        left = _by_kind(value for value in _initializers(self.before) if value not in self.values)
        there = _by_kind(value for value in _initializers(self.after) if value not in taken)
        for kind in left.keys() & there.keys():
            found: dict[bytes, deque[Value]] = defaultdict(deque)
            for tensor, value in there[kind]:
                found[tensor.digest()].append(value)
            for tensor, value in left[kind]:
                if same := found.get(tensor.digest()):
                    self.values[value] = same.popleft()

    def _forward(self, one: Graph, other: Graph) -> None:
        """Nodes of the same operator and attributes that read the same, from the inputs on."""
        there: dict[Key, deque[Node]] = defaultdict(deque)
        for node in other:
            if node not in self.back:
                there[_kind_of(node), node.inputs].append(node)
        if not there:
            return
        for node in one:
            if node in self.nodes or any(value is not None and value not in self.values for value in node.inputs):
                continue
            read = tuple(value if value is None else self.values[value] for value in node.inputs)
            if same := there.get((_kind_of(node), read)):
                self._link(node, same.popleft())

    def _backward(self, one: Graph, other: Graph) -> None:
        """Nodes of the same operator and attributes that are read in the same place, from the outputs on."""
        for node in reversed(one):
            if node in self.nodes:
                continue
            for value in node.outputs:
                for same in self._read_where(value, one, other):
                    if same not in self.back and same.graph is other and same.op == node.op and _kind_of(same) == _kind_of(node):
                        self._link(node, same)

    def _read_where(self, value: Value, one: Graph, other: Graph) -> Iterator[Node]:
        """Who makes, in the second model, what is read where the first reads a value."""
        for reader in value.users:
            theirs = other.exit if reader is one.exit else self.nodes.get(reader)
            if theirs is None:
                continue
            if reader not in self._slots:
                self._slots[reader] = {read: slot for slot, read in enumerate(reader.inputs) if read is not None}
            held = theirs.input(self._slots[reader][value])
            if held is not None and held.producer is not None:
                yield held.producer


def same_bytes(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same type, shape and bytes; those that lie at one place in one file are not read.

    Where bytes are not to be had (`is_readable`), type and shape decide.
    """
    if one.dtype != other.dtype or one.shape != other.shape or one.nbytes != other.nbytes:
        return False
    return is_one_place(one, other) or not (is_readable(one) and is_readable(other)) or one.same(other)


def is_one_place(one: Tensor, other: Tensor) -> bool:
    """Whether the bytes of two tensors begin at one place in one file."""
    first, second = one.storage, other.storage
    if not (isinstance(first, FileSlice) and isinstance(second, FileSlice)):
        return False
    return first.offset == second.offset and first.file.is_same(second.file)


def is_readable(tensor: Tensor) -> bool:
    """Whether the bytes of a tensor are there: external data may be missing."""
    return not isinstance(tensor.storage, Missing)


def same_attribute(one: Attribute, other: Attribute) -> bool:
    """Whether two attributes hold the same; graphs do, since their nodes are compared."""
    if one.kind != other.kind or one.reference != other.reference:
        return False
    if one.graphs():
        return len(one.graphs()) == len(other.graphs())
    if isinstance(one.value, Tensor) and isinstance(other.value, Tensor):
        return same_bytes(one.value, other.value)
    if isinstance(one.value, tuple) and isinstance(other.value, tuple) and len(one.value) == len(other.value):
        return all(map(_same_element, one.value, other.value))
    return _same_element(one.value, other.value)


def _same_element(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return same_bytes(one, other)
    if isinstance(one, Opaque) and isinstance(other, Opaque):
        return one.origin == other.origin
    return one == other or (one != one and other != other)  # NaN


def _kind(tensor: Tensor) -> Key:
    return int(tensor.dtype), tensor.shape, tensor.nbytes


def _kind_of(node: Node) -> Key:
    """The operator and the attributes of a node."""
    return node.op, node.overload, tuple(sorted((name, _held(attribute)) for name, attribute in node.attributes.items()))


def _held(attribute: Attribute) -> str:
    value = attribute.value
    if isinstance(value, Tensor):
        return f"{_kind(value)} {value.digest().hex() if value.nbytes <= SMALL and is_readable(value) else ''}"
    if attribute.graphs() or isinstance(value, Opaque):
        return str([len(graph) for graph in attribute.graphs()])
    return f"{attribute.kind} {attribute.reference} {value!r}"


def _initializers(model: Model) -> Iterator[Value]:
    return (value for graph in model.graphs() for value in graph.initializers.values())


def _name(node: Node) -> str:
    return f"{node.op} {node.name}" if node.name else ""


def _name_and_output(node: Node) -> str:
    return f"{_name(node)}\0{_first_output(node)}" if node.name else ""


def _first_output(node: Node) -> str:
    return next((value.name for value in node.outputs if value.name), "")


def _one_of_a_kind(nodes: Iterable[Node], key_of: Callable[[Node], str]) -> dict[str, Node]:
    """The nodes whose key no other has."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        found[key_of(node)].append(node)
    return {key: nodes[0] for key, nodes in found.items() if key and len(nodes) == 1}


def _by_kind(values: Iterable[Value]) -> dict[Key, list[tuple[Tensor, Value]]]:
    found: dict[Key, list[tuple[Tensor, Value]]] = defaultdict(list)
    for value in values:
        if value.tensor is not None and is_readable(value.tensor):
            found[_kind(value.tensor)].append((value.tensor, value))
    return found
