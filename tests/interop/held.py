"""What each library can hold of a model: a model less what the docstring of its module in graphopt.interop lists as lost or said otherwise.

Two models are equal as far as a library can hold them when what is held of both is equal.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_graphsurgeon as gs
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    StringStringEntryProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
)

HOLDS_IR_VERSION = "ir_version" in inspect.signature(gs.Graph).parameters
DEFAULT = ("", "ai.onnx")


def replace(container: Any, entries: Sequence[Any]) -> None:  # Any: protobuf's containers come without types
    """Make a container of messages hold these, of which some may be its own."""
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
    del container[:]
    container.extend(copies)


# ---- onnx-graphsurgeon


def held_by_graphsurgeon(message: ModelProto) -> ModelProto:
    """The part of a model that the docstring of graphopt.interop.graphsurgeon does not list as lost or said otherwise."""
    kept = ModelProto()
    kept.CopyFrom(message)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props", "training_info"):
        kept.ClearField(field)
    if not HOLDS_IR_VERSION:
        kept.ClearField("ir_version")
    for domain in sorted({node.domain for node in kept.graph.node} - {entry.domain for entry in kept.opset_import}):
        kept.opset_import.add(domain=domain, version=1)
    _hold(kept.graph, {})
    _drop_empty_texts(kept)
    return kept


def _hold(graph: GraphProto, sunk: Mapping[str, TensorProto]) -> None:
    """`sunk`: the initializers of enclosing graphs that only subgraphs read; they lie in those."""
    stored: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
    made = {name for node in graph.node for name in node.output}
    read = {info.name for info in graph.output} | {name for node in graph.node for name in node.input}
    here = {name: tensor for name, tensor in {**sunk, **stored}.items() if name in read}
    below = {name: tensor for name, tensor in {**sunk, **stored}.items() if name not in read}
    inputs = [info for info in graph.input if info.name not in stored]
    known = made | {info.name for info in inputs}
    replace(graph.initializer, [here[name] for name in sorted(here)])
    replace(graph.input, inputs)
    replace(graph.value_info, sorted((info for info in graph.value_info if info.name in known), key=lambda info: info.name))
    for field in ("doc_string", "metadata_props", "quantization_annotation"):
        graph.ClearField(field)
    for infos in (graph.input, graph.output, graph.value_info):
        for info in infos:
            kept = ValueInfoProto(name=info.name)
            if info.HasField("type"):
                kept.type.CopyFrom(info.type)
            info.CopyFrom(kept)
            _plain(info.type)
    for tensor in graph.initializer:
        tensor.ClearField("doc_string")
    for node in graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            if attribute.HasField("g"):
                _hold(attribute.g, below)


def _plain(type: TypeProto) -> None:
    """Without denotations, and without the shapes inside sequences."""
    type.ClearField("denotation")
    for dim in type.tensor_type.shape.dim if type.HasField("tensor_type") else ():
        dim.ClearField("denotation")
    if type.HasField("sequence_type"):
        type.sequence_type.elem_type.tensor_type.ClearField("shape")


# ---- onnx-ir


def held_by_onnx_ir(message: ModelProto) -> ModelProto:
    """The part of a model that the docstring of graphopt.interop.onnx_ir does not list as lost or said otherwise."""
    kept = ModelProto()
    kept.CopyFrom(message)
    kept.ClearField("training_info")
    _sort_metadata(kept.metadata_props)
    _settle_imports(kept)
    _settle_graph(kept.graph)
    for function in kept.functions:
        _settle_imports(function)
        _sort_metadata(function.metadata_props)
        made = set(function.input).union(*(node.output for node in function.node))
        _settle_values(function.value_info, made)
        _settle_nodes(function.node)
    _drop_empty_texts(kept)
    return kept


def _settle_imports(message: ModelProto | FunctionProto) -> None:
    versions: dict[str, int] = {}
    for entry in message.opset_import:
        versions.setdefault("" if entry.domain in DEFAULT else entry.domain, entry.version)
    del message.opset_import[:]
    for domain in sorted(versions):
        message.opset_import.add(domain=domain, version=versions[domain])


def _settle_graph(graph: GraphProto) -> None:
    _sort_metadata(graph.metadata_props)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    inputs, outputs = {info.name for info in graph.input}, {info.name for info in graph.output}
    made = {name for node in graph.node for name in node.output}
    plain = [info for info in graph.value_info if info.name not in stored or not _repeats(info, stored[info.name])]
    replace(graph.value_info, plain)
    _settle_values(graph.value_info, (made | stored.keys()) - inputs - outputs)
    for info in (*graph.input, *graph.output):
        _sort_metadata(info.metadata_props)
    for tensor in graph.initializer:
        _sort_metadata(tensor.metadata_props)
    annotations = [each for each in graph.quantization_annotation if each.tensor_name in inputs | made | stored.keys()]
    replace(graph.quantization_annotation, sorted(annotations, key=lambda each: each.tensor_name))
    for annotation in graph.quantization_annotation:
        _sort_metadata(annotation.quant_parameter_tensor_names)
    _settle_nodes(graph.node)


def _repeats(info: ValueInfoProto, tensor: TensorProto) -> bool:
    dims = info.type.tensor_type.shape.dim
    says_more = info.doc_string or info.metadata_props or any(dim.denotation for dim in dims)
    same = info.type.tensor_type.elem_type == tensor.data_type and [dim.dim_value for dim in dims] == list(tensor.dims)
    return same and not says_more


def _settle_values(infos: Any, known: set[str]) -> None:
    for info in infos:
        _sort_metadata(info.metadata_props)
    kept = [info for info in infos if info.name in known and (info.HasField("type") or info.doc_string or info.metadata_props)]
    replace(infos, sorted(kept, key=lambda info: info.name))


def _settle_nodes(nodes: Sequence[NodeProto]) -> None:
    for node in nodes:
        if node.domain in DEFAULT:
            node.ClearField("domain")
        _sort_metadata(node.metadata_props)
        while node.output and not node.output[-1]:
            del node.output[-1]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _settle_graph(attribute.g)
            for graph in attribute.graphs:
                _settle_graph(graph)


def _sort_metadata(entries: Any) -> None:
    last: dict[str, StringStringEntryProto] = {entry.key: entry for entry in entries}
    replace(entries, [last[key] for key in sorted(last)])


def _drop_empty_texts(message: Any) -> None:
    """Clear texts that are set and empty, and versions that are set and 0, in all that a message holds but values of attributes."""
    for part, content in message.ListFields():
        if part.message_type is not None:
            for each in content if hasattr(content, "extend") else (content,):
                if not isinstance(each, (TensorProto, SparseTensorProto)):
                    _drop_empty_texts(each)
                elif isinstance(each, TensorProto):
                    _drop_unset(each)
        elif content == "" or (part.name == "model_version" and not content):
            message.ClearField(part.name)



def _drop_unset(tensor: TensorProto) -> None:
    for name in ("name", "doc_string"):
        if not getattr(tensor, name):
            tensor.ClearField(name)
