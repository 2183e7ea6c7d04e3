"""What a model file declares of its inputs and outputs: kept as it was read, with what is known beyond it filled in.

A declared name stays a name and a declared number a number, with one exception: a size that the caller froze (`Model.frozen`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import onnx

from graphopt.io.origin import GraphOrigin
from graphopt.io.types import declarable, is_open, type_to_proto
from graphopt.ir.graph import Graph, Value
from graphopt.ir.types import TensorType, Type


def write_ports(message: onnx.GraphProto, graph: Graph, known: onnx.GraphProto | None) -> None:
    """Fill in the inputs and outputs of a graph; `known` is the message it was read from."""
    _infos(message.input, graph.inputs, [value.name for value in graph.inputs], known.input if known is not None else ())
    _infos(message.output, graph.outputs, graph.output_names, known.output if known is not None else ())


def refine_ports(message: onnx.GraphProto, graph: Graph) -> None:
    """Write what is known of the main graph's inputs and outputs where the file left a size open; also write down what was frozen.

    An input gets what the caller gave it. An output gets a number, or the name of an input's size, when it is proved to be that; once
    anything is frozen, a name that no input has gives way to the number that it now always is.
    """
    frozen = graph.model.frozen
    apply_sizes(message, frozen)
    for info, value in zip(message.input, graph.inputs, strict=True):
        _refine(info.type, value.type, None, ())
    names = {dim.dim_param for info in message.input for dim in info.type.tensor_type.shape.dim if dim.dim_param}
    derived = {dim.dim_param for info in message.output for dim in info.type.tensor_type.shape.dim} - names if frozen else ()
    for info, value in zip(message.output, graph.outputs, strict=True):
        if frozen or value.producer is not None:  # an input that is an output as well: nothing was found out
            _refine(info.type, value.type, names, derived)


def refine_body(message: onnx.GraphProto, graph: Graph) -> None:
    """Write the numbers that are known of what a changed body of a Loop or Scan gives in each round.

    A runtime asks for them before any round has run, and what told it may be a node that is gone.
    """
    known = graph.origin.message if isinstance(graph.origin, GraphOrigin) else None
    if isinstance(known, onnx.GraphProto) and len(known.node) == graph.size and not any(node.changed for node in graph):
        return
    names = {dim.dim_param for info in message.output for dim in info.type.tensor_type.shape.dim}
    for info, value in zip(message.output, graph.outputs, strict=True):
        _refine(info.type, value.type, (), names)


def apply_sizes(message: onnx.GraphProto, sizes: Mapping[str, int]) -> None:
    """Write a number for each size of a name that was frozen, wherever the graph itself declares it."""
    if sizes:
        for info in (*message.input, *message.output, *message.value_info):
            with_sizes(info.type, sizes)


def with_sizes(type: onnx.TypeProto, sizes: Mapping[str, int]) -> None:
    """Write the numbers that `sizes` has for names, into a type of any kind."""
    kind = type.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        for dim in getattr(type, kind).shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    elif kind in ("sequence_type", "optional_type"):
        with_sizes(getattr(type, kind).elem_type, sizes)
    elif kind == "map_type":
        with_sizes(type.map_type.value_type, sizes)


def _infos(target: Any, values: Iterable[Value], names: Iterable[str], known: Iterable[onnx.ValueInfoProto]) -> None:  # Any: a container
    """Inputs or outputs: as the model declared them, so that what callers see stays; from the values where it did not."""
    declared = list(known)
    by_name = {info.name: info for info in declared}
    for index, (value, name) in enumerate(zip(values, names, strict=True)):
        message = target.add()
        same_place = declared[index] if index < len(declared) and declared[index].name == name else None
        origin = same_place or by_name.get(name) or (value.origin if isinstance(value.origin, onnx.ValueInfoProto) else None)
        if origin is not None:
            message.CopyFrom(origin)
            if message.name != name:
                message.name = name
        else:
            message.name = name
            if value.type is not None:
                message.type.CopyFrom(type_to_proto(_without_expressions(value.type)))


def _without_expressions(type: Type) -> Type:
    """A type as callers may see it: the name of a size is a name, no formula that would read as a new one."""
    if not isinstance(type, TensorType) or type.shape is None:
        return type
    return TensorType(type.dtype, tuple(None if declarable(size) is None else size for size in type.shape))


def _refine(declared: onnx.TypeProto, type: Type | None, names: Collection[str] | None, derived: Collection[str]) -> None:
    """Fill in the open sizes of a declared tensor, with numbers and `names` (None: any name); `derived` names give way to numbers."""
    tensor = declared.tensor_type
    if declared.WhichOneof("value") != "tensor_type" or not isinstance(type, TensorType) or type.shape is None:
        return
    if tensor.elem_type != int(type.dtype):
        return
    if not tensor.HasField("shape"):
        tensor.shape.SetInParent()
        tensor.shape.dim.extend([onnx.TensorShapeProto.Dimension() for _ in type.shape])
    if len(tensor.shape.dim) != len(type.shape):
        return
    sizes = [(dim, declarable(size)) for dim, size in zip(tensor.shape.dim, type.shape, strict=True)]
    if any(isinstance(size, int) and not is_open(dim) and not dim.dim_param and dim.dim_value != size for dim, size in sizes):
        return  # what is declared is false: nothing is built upon it
    for dim, size in sizes:
        if isinstance(size, int):
            if is_open(dim) or dim.dim_param in derived:
                dim.dim_value = size
        elif size is not None and is_open(dim) and (names is None or size in names):
            dim.dim_param = size


def declaration_of(graph: Graph, name: str) -> onnx.ValueInfoProto | None:
    """What the file declares of an input or output of this name."""
    known = graph.origin.message if isinstance(graph.origin, GraphOrigin) else None
    infos = (*known.input, *known.output) if isinstance(known, onnx.GraphProto) else ()
    return next((info for info in infos if info.name == name), None)


def is_annotated(graph: Graph, name: str) -> bool:
    """Whether a quantization annotation of the file names a value."""
    known = graph.origin.message if isinstance(graph.origin, GraphOrigin) else None
    annotations = known.quantization_annotation if isinstance(known, onnx.GraphProto) else ()
    return any(name in (each.tensor_name, *(entry.value for entry in each.quant_parameter_tensor_names)) for each in annotations)
