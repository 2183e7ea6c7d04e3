"""The graph in memory, built of protobuf messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import onnx

from graphopt.errors import ModelError
from graphopt.io.order import describe, in_order, undefined
from graphopt.io.origin import Body, GraphOrigin
from graphopt.io.tensors import TensorReader, constant_tensor
from graphopt.io.types import type_from_proto
from graphopt.ir.attribute import Attribute, AttributeKind, AttributeValue, Opaque
from graphopt.ir.dtype import DType
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value
from graphopt.ir.model import Function, Model
from graphopt.ir.positions import GAP
from graphopt.ir.types import SparseTensorType, TensorType, Type

Scope: TypeAlias = "dict[str, Value]"


class UnorderedError(Exception):
    """A node reads what is not made yet: the nodes have to be sorted, or the name is made nowhere."""


class Builder:
    """Builds graphs of one model.

    With `sort` it puts nodes into an order that runs, and `moved` names the graphs that needed it, once each.
    """

    def __init__(self, model: Model, tensors: TensorReader, *, sort: bool = False) -> None:
        self.model, self.tensors, self.sort = model, tensors, sort
        self.moved: dict[str, None] = {}
        self._types: dict[bytes, Type | None] = {}
        self._operators: dict[tuple[str, str], tuple[str, str, str]] = {}  # (domain, op_type) -> op, op_type, domain of Node

    def graph(self, message: onnx.GraphProto, graph: Graph, outer: tuple[Scope, ...] = ()) -> None:
        """Fill `graph` with what a GraphProto holds; `outer` are the scopes around it, the nearest first."""
        scope: Scope = {}
        where = f"{self.tensors.name}: graph {message.name!r}"
        for info in message.input:
            value = self._input(info.name, graph, scope, where)
            value.type, value.origin = self._type(info.type), info
        self._initializers(message, graph, scope, where)
        nodes = self._ordered(message, where, scope, outer)
        self._nodes(nodes, graph, scope, outer, where)
        self._outputs([info.name for info in message.output], graph, scope, outer, where)
        graph.origin = self._value_info(message, scope)
        self._text(*scope)
        self.model.names.update(scope)

    def function(self, message: onnx.FunctionProto, function: Function) -> None:
        """Fill `function` with what a FunctionProto holds."""
        scope: Scope = {}
        graph, where = function.graph, f"{self.tensors.name}: function {message.name!r}"
        for name in message.input:
            self._input(name, graph, scope, where)
        self._nodes(self._ordered(message, where, scope, ()), graph, scope, (), where)
        self._outputs(message.output, graph, scope, (), where)
        graph.origin = self._value_info(message, scope)
        self._text(*scope)
        self.model.names.update(scope)
        function.attributes = tuple(message.attribute)
        function.defaults = {attribute.name: self._attribute(attribute, None, ()) for attribute in message.attribute_proto}
        function.origin = message

    # ---- values

    def _input(self, name: str, graph: Graph, scope: Scope, where: str) -> Value:
        if not name:
            raise ModelError(f"{where}: input {len(graph.inputs)} has no name")
        if name in scope:
            raise ModelError(f"{where}: two inputs are called {name!r}")
        value = scope[name] = Value(name)
        value.graph = graph
        graph.inputs.append(value)
        return value

    def _initializers(self, message: onnx.GraphProto, graph: Graph, scope: Scope, where: str) -> None:
        held = graph.initializers
        for tensor in message.initializer:
            value = self._initializer(tensor.name, graph, scope, where)
            value.tensor = self.tensors.read(tensor, tensor.name)
            if value.type is None and value.tensor.dtype:
                value.type = TensorType(value.tensor.dtype, value.tensor.shape)
        for sparse in message.sparse_initializer:
            value = self._initializer(sparse.values.name, graph, scope, where)
            value.origin = sparse
            if value.type is None and sparse.values.data_type in _KNOWN:
                value.type = SparseTensorType(DType(sparse.values.data_type), tuple(sparse.dims))
        for value in graph.inputs:
            value.overridable = value.name in held

    def _initializer(self, name: str, graph: Graph, scope: Scope, where: str) -> Value:
        if not name or name in graph.initializers:
            raise ModelError(f"{where}: {'an initializer has no name' if not name else f'two initializers are called {name!r}'}")
        value = scope.get(name)
        if value is None:
            value = scope[name] = Value(name)
            value.graph = graph
        graph.initializers[name] = value
        return value

    def _outputs(self, names: Iterable[str], graph: Graph, scope: Scope, outer: tuple[Scope, ...], where: str) -> None:
        wanted = tuple(names)
        graph.output_names = wanted
        values = []
        for index, name in enumerate(wanted):
            value = scope.get(name) or self._outer(name, outer)
            if value is None:
                if outer and not self.sort:
                    raise UnorderedError
                raise undefined(where, f"output {index}", name)
            value.users[graph.exit] = value.users.get(graph.exit, 0) + 1
            values.append(value)
        graph.exit.inputs = tuple(values)

    def _text(self, *names: str) -> None:
        """See that names are text: some of protobuf's implementations hand out bytes where the file holds no UTF-8."""
        try:
            "".join(names)
        except TypeError as error:
            wrong = next(name for name in names if name.__class__ is not str)
            raise ModelError(f"{self.tensors.name}: a name in it is not UTF-8 text: {wrong!r}") from error

    def _outer(self, name: str, outer: tuple[Scope, ...]) -> Value | None:
        for scope in outer:
            if name in scope:
                return scope[name]
        return None

    def _type(self, message: onnx.TypeProto) -> Type | None:
        """The type that a message declares; the same object for the same declaration."""
        key = message.SerializeToString()
        try:
            return self._types[key]
        except KeyError:
            declared = self._types[key] = type_from_proto(message)
            return declared

    def _value_info(self, message: Body, scope: Scope) -> GraphOrigin:
        """Give values the types that the message declares for them."""
        origin = GraphOrigin(message)
        names = [info.name for info in message.value_info]
        for name, info in zip(names, message.value_info, strict=True):
            value = scope.get(name)
            if value is not None and value.type is None:
                value.type = self._type(info.type)
        if isinstance(message, onnx.GraphProto):
            for info in message.output:  # what callers see counts more
                value = scope.get(info.name)
                if value is not None and value.producer is not None and (declared := self._type(info.type)) is not None:
                    value.type = declared
            for annotation in message.quantization_annotation:
                parameters = [entry.value for entry in annotation.quant_parameter_tensor_names]
                names += (annotation.tensor_name, *parameters)
                self.model.annotating.update(parameters)
        if names:
            origin.types = [value.type if (value := scope.get(info.name)) is not None else None for info in message.value_info]
            origin.bound = scope.keys() & names
            self.model.names.update(names)  # a new value must not fall under what is said of another
        return origin

    # ---- nodes

    def _ordered(self, message: Body, where: str, scope: Scope, outer: tuple[Scope, ...]) -> Iterable[onnx.NodeProto]:
        if not self.sort:
            nodes: Iterable[onnx.NodeProto] = message.node
            return nodes
        nodes = in_order(message, where, lambda name: self._outer(name, outer) is not None)
        if any(one is not other for one, other in zip(nodes, message.node, strict=True)):
            self.moved[where] = None
        return nodes

    def _nodes(self, messages: Iterable[onnx.NodeProto], graph: Graph, scope: Scope, outer: tuple[Scope, ...], where: str) -> None:
        """The hot loop: every name is looked up once, in the innermost scope first."""
        known = scope.get
        previous = end = graph.exit
        count = 0
        for message in messages:
            names = message.input
            length = len(names)
            # Indexing costs half of what iterating over a protobuf container does.
            inputs = (known(names[0]),) if length == 1 else (known(names[0]), known(names[1])) if length == 2 else tuple(map(known, names))
            if None in inputs:
                inputs = self._resolve(message, scope, outer)
            names = message.output
            outputs = (Value(names[0]),) if len(names) == 1 else tuple(map(Value, names))
            node = self._node(message, inputs, outputs)
            count += 1
            node.graph, node.previous, node.position = graph, previous, count * GAP
            previous.next = previous = node
            for value in inputs:
                if value is not None:
                    users = value.users
                    users[node] = users[node] + 1 if node in users else 1
            if message.attribute:
                self._attributes(node, message, scope, outer)
            for value in outputs:
                name = value.name
                if name:
                    if name in scope:
                        raise self._made_twice(where, message, name, scope[name])
                    scope[name] = value
        previous.next, end.previous = end, previous
        end.position = (count + 1) * GAP
        graph.size = count

    def _node(self, message: onnx.NodeProto, inputs: tuple[Value | None, ...], outputs: tuple[Value, ...]) -> Node:
        """A node that stands nowhere yet. It does what `Node` does, in a third of the time, as all strings are interned before."""
        key = message.domain, message.op_type
        spelled = self._operators.get(key)
        if spelled is None:
            self._text(*key)
            model = Node(key[1], (), 0, domain=key[0])
            spelled = self._operators[key] = model.op, model.op_type, model.domain
        node = Node.__new__(Node)
        node.op, node.op_type, node.domain = spelled
        node.inputs, node.outputs, node.attributes = inputs, outputs, {}
        node.name, node.doc, node.overload, node.rule = message.name, message.doc_string, message.overload, ""
        if node.name.__class__ is not str:
            self._text(node.name)
        properties = message.metadata_props
        node.metadata = {entry.key: entry.value for entry in properties} if properties else {}
        node.replaces, node.origin, node.changed = (), message, False
        node.graph = node.previous = node.next = None
        node.position = 0
        if len(outputs) == 1:
            outputs[0].producer = node
        else:
            for index, value in enumerate(outputs):
                value.producer, value.index = node, index
        return node

    def _resolve(self, message: onnx.NodeProto, scope: Scope, outer: tuple[Scope, ...]) -> tuple[Value | None, ...]:
        """The inputs of a node of which some are absent or come from outside."""
        inputs: list[Value | None] = []
        for name in message.input:
            value = scope.get(name) or self._outer(name, outer) if name else None
            if value is None and name:
                raise UnorderedError
            inputs.append(value)
        return tuple(inputs)

    def _made_twice(self, where: str, message: onnx.NodeProto, name: str, first: Value) -> ModelError:
        producer = first.producer.origin if first.producer is not None else None
        maker = describe(producer) if isinstance(producer, onnx.NodeProto) else "an input or initializer"
        return ModelError(f"{where}: {name!r} is made twice, by {maker} and by {describe(message)}; every name may be made once")

    # ---- attributes

    def _declared(self, node: Node) -> None:
        """Keep what a Loop's body declares of what the Loop collects; it is inferred anew later."""
        body, carried = node.attribute("body"), len(node.inputs) - 2
        made = body.outputs[carried + 1 :] if isinstance(body, Graph) and carried >= 0 else ()
        for value, inside in zip(node.outputs[carried:], made, strict=False):
            if isinstance(inside.type, TensorType) and inside.type.shape is not None:
                sizes = tuple(size if isinstance(size, int) else None for size in inside.type.shape)
                self.model.declared[value] = TensorType(inside.type.dtype, sizes)

    def _attributes(self, node: Node, message: onnx.NodeProto, scope: Scope, outer: tuple[Scope, ...]) -> None:
        attributes = node.attributes
        for each in message.attribute:
            name = each.name
            if name in attributes:
                raise ModelError(f"{self.tensors.name}: {describe(message)} has two attributes {name!r}")
            attributes[name] = self._attribute(each, node, (scope, *outer))
        if node.op == "Loop":
            self._declared(node)
        if node.op == "Constant" and len(attributes) == 1 and len(node.outputs) == 1:
            tensor = constant_tensor(next(iter(attributes.values())))
            if tensor is not None:
                node.outputs[0].tensor = tensor
                node.outputs[0].type = TensorType(tensor.dtype, tensor.shape) if tensor.dtype else None

    def _attribute(self, message: onnx.AttributeProto, owner: Node | None, scopes: tuple[Scope, ...]) -> Attribute:
        number = message.type or _guess(message)
        if message.ref_attr_name:
            return Attribute(_ATTRIBUTE_KINDS.get(number, AttributeKind.undefined), None, reference=message.ref_attr_name, origin=message)
        value: AttributeValue
        if number == 2:
            value = message.i
        elif number == 7:
            value = tuple(message.ints)
        elif number == 1:
            value = message.f
        elif number == 3:
            value = _text(message.s)
        elif number == 4:
            value = self.tensors.read(message.t, message.name)
        elif number == 6:
            value = tuple(message.floats)
        elif number == 8:
            value = tuple(map(_text, message.strings))
        elif number == 9:
            value = tuple(self.tensors.read(tensor, message.name) for tensor in message.tensors)
        elif number in (5, 10) and owner is not None:
            graphs = [self._subgraph(each, owner, scopes) for each in ([message.g] if number == 5 else message.graphs)]
            value = graphs[0] if number == 5 else tuple(graphs)
        elif number == 13 and (declared := self._type(message.tp)) is not None:
            value = declared
        else:  # sparse tensors, types that are none, kinds newer than graphopt, graphs as a function's defaults
            kind = AttributeKind(number) if number in (11, 12, 13, 14) else AttributeKind.undefined
            return Attribute(kind, Opaque(message), origin=message)
        return Attribute(_ATTRIBUTE_KINDS[number], value, origin=message)

    def _subgraph(self, message: onnx.GraphProto, owner: Node, scopes: tuple[Scope, ...]) -> Graph:
        graph = Graph(message.name, self.model, owner=owner)
        self.graph(message, graph, scopes)
        return graph


_KNOWN = frozenset(int(kind) for kind in DType) - {0}
_ATTRIBUTE_KINDS = {int(kind): kind for kind in AttributeKind}
_GUESSES = (("f", 1), ("i", 2), ("s", 3), ("t", 4), ("g", 5), ("sparse_tensor", 11), ("tp", 13))
_LIST_GUESSES = (("floats", 6), ("ints", 7), ("strings", 8), ("tensors", 9), ("graphs", 10), ("sparse_tensors", 12), ("type_protos", 14))


def _guess(message: onnx.AttributeProto) -> int:
    """The kind of an attribute of IR version 1, which did not say it. Source: onnx.proto, AttributeProto.type."""
    for name, number in _GUESSES:
        if message.HasField(name):
            return number
    for name, number in _LIST_GUESSES:
        if getattr(message, name):
            return number
    return 0


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def opsets_of(entries: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Domain -> version; the default domain is "" however it is spelled, and the first of two entries counts."""
    opsets: dict[str, int] = {}
    for entry in entries:
        opsets.setdefault("" if entry.domain in DEFAULT_DOMAINS else entry.domain, entry.version)
    return opsets
