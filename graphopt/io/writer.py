"""The graph in memory to protobuf messages. What did not change is copied from the message it was read from."""

from __future__ import annotations

from typing import final

import onnx

from graphopt.errors import ModelError
from graphopt.io.attributes import write_kind, write_plain
from graphopt.io.build import opsets_of
from graphopt.io.declared import apply_sizes, refine_body, refine_ports, write_ports
from graphopt.io.origin import GraphOrigin, ModelOrigin, copy_without
from graphopt.io.pending import Pending, is_pending, write_tensor
from graphopt.io.types import type_to_proto
from graphopt.io.wire import paste
from graphopt.ir.attribute import Attribute, AttributeKind, Opaque
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value
from graphopt.ir.model import Function, Model
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType, Type

LIMIT = (1 << 31) - 1  # protobuf reads and writes no message of 2 GiB
_WITH_GRAPHS = (AttributeKind.graph, AttributeKind.graphs)
_WITH_TENSORS = (AttributeKind.tensor, AttributeKind.tensors)


def to_proto(model: Model, *, weights: bool = True) -> onnx.ModelProto:
    """The whole model as a ModelProto; with `weights=False` tensors of 1 KiB and more say their type and shape only.

    External data are taken in, unless they are not to be had (a model given in memory): then the reference stays.
    Raises ModelError for what protobuf cannot hold: 2 GiB and more.
    """
    writer = Writer()
    message = writer.model(model)
    if weights and message.ByteSize() + sum(each.tensor.nbytes for each in writer.pending) > LIMIT:
        raise ModelError(f"{model_name(model)}: takes more than 2 GiB, which one ModelProto cannot hold; save it with external data")
    for each in writer.pending:
        if weights:
            each.fill()
        else:
            each.leave_out()
    origin = model.origin
    if isinstance(origin, ModelOrigin) and origin.slices:  # tensors that only io knows of: their tokens give way to their bytes
        pieces = paste(serialize(message, model), origin.seal, origin.slices)
        whole = b"".join(piece if isinstance(piece, (bytes, memoryview)) else piece.view() for piece in pieces)
        message = onnx.ModelProto.FromString(whole)
    return message


def node_to_proto(node: Node) -> onnx.NodeProto:
    """One node, its tensors and subgraphs included."""
    writer, message = Writer(), onnx.NodeProto()
    writer.node(message, node)
    for each in writer.pending:
        each.fill()
    return message


def tensor_to_proto(tensor: Tensor, name: str | None = None) -> onnx.TensorProto:
    """One tensor with its bytes; None keeps the name it was read with."""
    message = onnx.TensorProto()
    write_tensor(message, tensor, name)
    return message


def model_name(model: Model) -> str:
    """How messages call a model: the path it was read from."""
    return model.origin.name if isinstance(model.origin, ModelOrigin) else f"model {model.graph.name!r}"


def serialize(message: onnx.ModelProto, model: Model) -> bytes:
    """The bytes of a message. Raises ModelError for what protobuf cannot hold."""
    try:
        data: bytes = message.SerializeToString()
        return data
    except Exception as error:  # protobuf's implementations raise ValueError, EncodeError or their own kinds
        raise ModelError(f"{model_name(model)}: cannot be written as protobuf, even without its weights: {error}") from error


@final
class Writer:
    """Writes messages; the bytes of big tensors are left to `pending`."""

    def __init__(self) -> None:
        self.pending: list[Pending] = []

    def model(self, model: Model) -> onnx.ModelProto:
        """The message of a whole model."""
        message = onnx.ModelProto()
        origin = model.origin
        if isinstance(origin, ModelOrigin):
            copy_without(origin.message, message, {"graph", "functions", "opset_import"})
            _opsets(message, origin.message, model.opsets)
        else:
            message.producer_name = "graphopt"
            _new_opsets(message, model.opsets)
        if message.ir_version != model.ir_version:
            message.ir_version = model.ir_version
        message.graph.SetInParent()
        self.graph(message.graph, model.graph)
        for function in model.functions.values():
            self.function(message.functions.add(), function)
        return message

    def graph(self, message: onnx.GraphProto, graph: Graph) -> None:
        """Fill an empty message with a graph."""
        origin = graph.origin if isinstance(graph.origin, GraphOrigin) and isinstance(graph.origin.message, onnx.GraphProto) else None
        known = origin.message if origin is not None else None
        if isinstance(known, onnx.GraphProto):
            copy_without(known, message, _REBUILT)
        if message.name != graph.name or known is None:
            message.name = graph.name
        self._nodes(message, graph)
        for name, value in graph.initializers.items():
            if value.tensor is not None:
                self._tensor(message.initializer.add(), value.tensor, name, is_initializer=True)
            elif isinstance(value.origin, onnx.SparseTensorProto):
                sparse = message.sparse_initializer.add()
                sparse.CopyFrom(value.origin)
                if sparse.values.name != name:
                    sparse.values.name = name
        write_ports(message, graph, known if isinstance(known, onnx.GraphProto) else None)
        if origin is not None:
            _value_info(message, graph, origin)
            _annotations(message, graph, origin)
        if graph is graph.model.graph:
            refine_ports(message, graph)
        elif graph.model.frozen and graph.root.function is None:
            apply_sizes(message, graph.model.frozen)
        if graph.owner is not None and graph.owner.op in ("Loop", "Scan"):
            refine_body(message, graph)

    def function(self, message: onnx.FunctionProto, function: Function) -> None:
        """Fill an empty message with a local function."""
        graph, origin = function.graph, function.origin
        if isinstance(origin, onnx.FunctionProto):
            copy_without(origin, message, _REBUILT_FUNCTION)
            _opsets(message, origin, function.opsets)
        else:
            message.name, message.domain = function.name, function.domain
            if function.overload:
                message.overload = function.overload
            _new_opsets(message, function.opsets)
        message.input.extend(value.name for value in graph.inputs)
        message.output.extend(graph.output_names)
        message.attribute.extend(function.attributes)
        for name, attribute in function.defaults.items():
            self._attribute(message.attribute_proto.add(), name, attribute)
        self._nodes(message, graph)
        if isinstance(graph.origin, GraphOrigin):
            _value_info(message, graph, graph.origin)

    # ---- nodes

    def _nodes(self, message: onnx.GraphProto | onnx.FunctionProto, graph: Graph) -> None:
        unchanged: list[onnx.NodeProto] = []  # protobuf copies many at once faster than one by one
        for node in graph:
            if not node.changed and isinstance(node.origin, onnx.NodeProto) and not (node.attributes and _is_heavy(node)):
                unchanged.append(node.origin)
                continue
            if unchanged:
                message.node.extend(unchanged)
                unchanged = []
            self.node(message.node.add(), node)
        message.node.extend(unchanged)

    def node(self, message: onnx.NodeProto, node: Node) -> None:
        """Fill an empty message with a node."""
        origin = node.origin
        if isinstance(origin, onnx.NodeProto):
            if not node.changed and not _is_heavy(node):
                message.CopyFrom(origin)
                return
            if _is_heavy(node):
                copy_without(origin, message, {"input", "output", "attribute"})
            else:
                message.CopyFrom(origin)
                message.ClearField("input")
                message.ClearField("output")
                message.ClearField("attribute")
            if message.name != node.name:
                message.name = node.name
            if message.doc_string != node.doc:
                message.doc_string = node.doc
        else:
            message.op_type = node.op_type
            for name, content in (("name", node.name), ("domain", node.domain), ("overload", node.overload), ("doc_string", node.doc)):
                if content:
                    setattr(message, name, content)
        if (message.metadata_props or node.metadata) and {entry.key: entry.value for entry in message.metadata_props} != node.metadata:
            message.ClearField("metadata_props")
            for key, text in node.metadata.items():
                message.metadata_props.add(key=key, value=text)
        message.input.extend(["" if value is None else value.name for value in node.inputs])
        message.output.extend([value.name for value in node.outputs])
        for name, attribute in node.attributes.items():
            self._attribute(message.attribute.add(), name, attribute)

    def _attribute(self, message: onnx.AttributeProto, name: str, attribute: Attribute) -> None:
        origin = attribute.origin
        if isinstance(origin, onnx.AttributeProto):
            if attribute.kind in _WITH_GRAPHS or (attribute.kind in _WITH_TENSORS and not attribute.reference):
                copy_without(origin, message, {"t", "g", "tensors", "graphs"})
                self._content(message, attribute)
            else:
                message.CopyFrom(origin)
            if message.name != name:
                message.name = name
            return
        if isinstance(attribute.value, Opaque) and isinstance(attribute.value.origin, onnx.AttributeProto):
            message.CopyFrom(attribute.value.origin)
        message.name = name
        write_kind(message, attribute.kind)
        if attribute.reference:
            message.ref_attr_name = attribute.reference
        else:
            self._content(message, attribute)

    def _content(self, message: onnx.AttributeProto, attribute: Attribute) -> None:
        value = attribute.value
        if isinstance(value, Graph):
            message.g.SetInParent()
            self.graph(message.g, value)
        elif isinstance(value, Tensor):
            message.t.SetInParent()
            self._tensor(message.t, value, None)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Graph):
                    self.graph(message.graphs.add(), item)
                elif isinstance(item, Tensor):
                    self._tensor(message.tensors.add(), item, None)
            write_plain(message, attribute)
        else:
            write_plain(message, attribute)

    def _tensor(self, message: onnx.TensorProto, tensor: Tensor, name: str | None, *, is_initializer: bool = False) -> None:
        if is_pending(tensor):
            self.pending.append(Pending(message, tensor, name, is_initializer))
        else:
            write_tensor(message, tensor, name)


_REBUILT = frozenset({"node", "initializer", "sparse_initializer", "input", "output", "value_info", "quantization_annotation"})
_REBUILT_FUNCTION = frozenset({"node", "input", "output", "attribute", "attribute_proto", "opset_import", "value_info"})


def _is_heavy(node: Node) -> bool:
    """Whether a node's message may not be copied whole: it holds graphs, which have changes of their own, or big tensors."""
    for attribute in node.attributes.values():
        kind = attribute.kind
        if kind in _WITH_GRAPHS:
            return True
        if kind in _WITH_TENSORS and attribute.value is not None:
            value = attribute.value
            if any(isinstance(each, Tensor) and is_pending(each) for each in (value if isinstance(value, tuple) else (value,))):
                return True
    return False


def _opsets(message: onnx.ModelProto | onnx.FunctionProto, origin: onnx.ModelProto | onnx.FunctionProto, opsets: dict[str, int]) -> None:
    """The imports in their old order; changed ones with their new version, new ones after them."""
    before = opsets_of(origin.opset_import)
    for entry in origin.opset_import:
        domain = "" if entry.domain in DEFAULT_DOMAINS else entry.domain
        if domain in opsets:
            written = message.opset_import.add()
            written.CopyFrom(entry)
            if opsets[domain] != before[domain]:
                written.version = opsets[domain]
    _new_opsets(message, {domain: version for domain, version in opsets.items() if domain not in before})


def _new_opsets(message: onnx.ModelProto | onnx.FunctionProto, opsets: dict[str, int]) -> None:
    message.opset_import.extend([onnx.OperatorSetIdProto(domain=domain, version=version) for domain, version in opsets.items()])


def _value_info(message: onnx.GraphProto | onnx.FunctionProto, graph: Graph, origin: GraphOrigin) -> None:
    """What was declared of inner values, where it still holds: entries of values that are gone go too, types that changed follow."""
    if not origin.types:
        return
    named = names_of(graph)
    unchanged: list[onnx.ValueInfoProto] = []
    for info, type in zip(origin.message.value_info, origin.types, strict=True):
        value = named.get(info.name)
        known = type if value is None else _both(value.type, type)
        if (value is None and info.name not in origin.bound) or (value is not None and known == type):
            unchanged.append(info)
        elif value is not None:
            message.value_info.extend(unchanged)
            unchanged = []
            written = message.value_info.add()
            copy_without(info, written, {"type"})
            written.type.CopyFrom(type_to_proto(known))
    message.value_info.extend(unchanged)


def _both(known: Type | None, declared: Type | None) -> Type | None:
    """What was found out of a value, and what the model declares beyond that as long as both can be true."""
    if known is None:
        return declared
    if not isinstance(known, TensorType) or not isinstance(declared, TensorType) or known.dtype != declared.dtype:
        return known
    if known.shape is None or declared.shape is None:
        return known if declared.shape is None else declared
    if len(known.shape) != len(declared.shape):
        return known
    sizes = []
    for found, said in zip(known.shape, declared.shape, strict=True):
        if isinstance(found, int) and isinstance(said, int) and found != said:
            return known
        sizes.append(found if isinstance(found, int) or said is None else said)
    return TensorType(known.dtype, tuple(sizes))


def _annotations(message: onnx.GraphProto, graph: Graph, origin: GraphOrigin) -> None:
    """Quantization annotations whose tensors are all still there."""
    if not isinstance(origin.message, onnx.GraphProto) or not origin.message.quantization_annotation:
        return
    named = names_of(graph)
    for annotation in origin.message.quantization_annotation:
        names = (annotation.tensor_name, *(entry.value for entry in annotation.quant_parameter_tensor_names))
        if all(name in named or name not in origin.bound for name in names):
            message.quantization_annotation.add().CopyFrom(annotation)


def names_of(graph: Graph) -> dict[str, Value]:
    """The values that a graph makes or is given, by name."""
    named = {value.name: value for value in graph.inputs}
    named.update(graph.initializers)
    for node in graph:
        for value in node.outputs:
            named[value.name] = value
    return named
