"""What another library's graph cannot hold of a model, said again of what that library made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx

from graphopt.io.origin import copy_without
from graphopt.io.pending import Holes
from graphopt.io.wire import BIG
from graphopt.ir.model import Model
from graphopt.ir.tensor import Storage, Tensor

_OF_GRAPHS = frozenset({"graph", "functions", "opset_import", "ir_version"})
_TEXTS = ("doc_string", "metadata_props")


def say_again(message: onnx.ModelProto, before: onnx.ModelProto) -> None:
    """Say of a model, which came back, what `before` says of it beyond its graphs, and of what is in both under one name.

    That is: producer, versions and metadata of the model; doc strings and metadata of graphs, of nodes (the same operator makes values of
    the same names) and of inputs and outputs (with types of the same kind), with their denotations; quantization annotations whose tensors
    are all there.
    """
    for part, _ in message.ListFields():
        if part.name not in _OF_GRAPHS:
            message.ClearField(part.name)
    bare = onnx.ModelProto()
    copy_without(before, bare, _OF_GRAPHS)
    message.MergeFrom(bare)
    _graph(message.graph, before.graph)
    known = {(function.domain, function.name): function for function in before.functions}
    for function in message.functions:
        old = known.get((function.domain, function.name))
        if old is not None:
            _texts(function, old)
            _nodes(function.node, old.node)


def _graph(graph: onnx.GraphProto, before: onnx.GraphProto) -> None:
    _texts(graph, before)
    _nodes(graph.node, before.node)
    for infos, old in ((graph.input, before.input), (graph.output, before.output)):
        known = {info.name: info for info in old}
        for info in infos:
            declared = known.get(info.name)
            if declared is not None and _same_type(info.type, declared.type):
                info.CopyFrom(declared)
    names = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    names.update(name for node in graph.node for name in node.output)
    for annotation in before.quantization_annotation:
        if {annotation.tensor_name, *(entry.value for entry in annotation.quant_parameter_tensor_names)} <= names:
            graph.quantization_annotation.add().CopyFrom(annotation)


def _nodes(nodes: Iterable[onnx.NodeProto], before: Iterable[onnx.NodeProto]) -> None:
    known = {(node.domain, node.op_type, *node.output): node for node in before}
    for node in nodes:
        old = known.get((node.domain, node.op_type, *node.output))
        if old is None:
            continue
        _texts(node, old)
        graphs = {attribute.name: attribute.g for attribute in old.attribute if attribute.HasField("g")}
        for attribute in node.attribute:
            if attribute.HasField("g") and attribute.name in graphs:
                _graph(attribute.g, graphs[attribute.name])


def _texts(message: Any, before: Any) -> None:  # Any: messages of one kind that have doc strings; not all have metadata in every release
    for name in _TEXTS:
        said = getattr(before, name, None)
        if said and not getattr(message, name):
            if name == "doc_string":
                message.doc_string = said
            else:
                message.metadata_props.extend(said)


def _same_type(one: onnx.TypeProto, other: onnx.TypeProto) -> bool:
    """Whether two types differ in nothing but the shapes that a graph of the other library cannot hold."""
    kind = one.WhichOneof("value")
    if kind != other.WhichOneof("value"):
        return False
    if kind == "sequence_type":
        return _same_type(one.sequence_type.elem_type, other.sequence_type.elem_type) or not one.sequence_type.HasField("elem_type")
    if kind != "tensor_type":
        return one == other
    mine, theirs = one.tensor_type, other.tensor_type
    sizes = [[(dim.dim_value, dim.dim_param) for dim in each.shape.dim] for each in (mine, theirs)]
    return mine.elem_type == theirs.elem_type and mine.HasField("shape") == theirs.HasField("shape") and sizes[0] == sizes[1]


def share_tensors(graph: onnx.GraphProto, before: Model) -> Mapping[bytes, Storage]:
    """Let tokens stand for the bytes of stored tensors that `before` has under the same name; returns what they stand for."""
    holes = Holes()
    known = {name: value.tensor for each in before.graphs() for name, value in each.initializers.items() if value.tensor is not None}
    for tensor in graph.initializer:
        old = known.get(tensor.name)
        if old is not None and old.nbytes >= BIG and tensor.HasField("raw_data") and _is_same(tensor, old):
            tensor.raw_data = holes.add(old.storage)
    return holes.contents


def _is_same(tensor: onnx.TensorProto, old: Tensor) -> bool:
    if tensor.data_type != int(old.dtype) or tuple(tensor.dims) != old.shape:
        return False
    return memoryview(tensor.raw_data) == old.storage.view()
