"""Graphs of onnx-graphsurgeon, which become models here and come back.

What its graphs cannot hold; read from its importer and exporter, 0.5.2 and 0.6.1, and from what comes back of models that have it:

    not said again      metadata_props, doc strings of the model, of nodes, values and attributes, model_version, the model's domain,
                        training_info, quantization annotations, device configurations, denotations, types of values inside functions,
                        the declared types of initializers, the shapes inside sequences and sparse tensors, texts that are set and
                        empty; in 0.5.2 the IR version
    said otherwise      initializers have the order in which nodes read them, and those that nobody reads are gone; one that is an input
                        as well is no input any more; one that only subgraphs read lies in each of them; domains that are used and not
                        imported are imported; subgraphs repeat the declared types of what they capture
    refused on the way  attributes that are sparse tensors, types, or lists of tensors or graphs (it would leave them out), strings that
                        are no UTF-8, overloads of functions, and values that are optionals, maps or sequences of sequences
    held, not written   attributes that are empty lists: gs.export_onnx raises ValueError, from_graphsurgeon writes them; their kind, which
                        the graph does not know, is what the operator's schema says, and integers for an unknown operator
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import onnx

from graphopt.errors import ModelError
from graphopt.interop.said_again import say_again, share_tensors
from graphopt.io import load, to_proto
from graphopt.io.attributes import write_kind
from graphopt.io.held import come_from, from_held, to_held
from graphopt.ir.attribute import AttributeKind
from graphopt.ir.graph import INITIALIZERS_ARE_NO_INPUTS
from graphopt.ir.model import Model

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

_Attribute = onnx.AttributeProto
_MARK = "\0an empty list\0"
_HELD = {
    _Attribute.FLOAT, _Attribute.INT, _Attribute.STRING, _Attribute.TENSOR, _Attribute.GRAPH,
    _Attribute.FLOATS, _Attribute.INTS, _Attribute.STRINGS,
}  # fmt: skip


class SurgeonGraph(Protocol):
    """What a type checker may know of a `gs.Graph`: onnx-graphsurgeon ships no types, and as Any it would stand for everything."""

    @property
    def nodes(self) -> Any: ...  # Any: its lists have types of its own
    @property
    def producer_name(self) -> Any: ...
    @property
    def import_domains(self) -> Any: ...


def is_surgeon_graph(source: object) -> TypeGuard[SurgeonGraph]:
    """Whether it is a `gs.Graph`, found out without importing onnx-graphsurgeon."""
    return any(kind.__name__ == "Graph" and kind.__module__.partition(".")[0] == "onnx_graphsurgeon" for kind in type(source).__mro__)


def from_graphsurgeon(graph: gs.Graph, before: Model | None = None) -> Model:
    """The model that a `gs.Graph` describes, through `gs.export_onnx`, which copies the weights; later edits of the graph do not reach it.

    `before` is the model that the graph was made of, if it was: what a `gs.Graph` cannot hold is said again as that says it, as far as what
    it is said of is still there, and weights that are the same lie where they lay.

    Raises ModelError when graphsurgeon cannot write the graph (an input or output without a dtype), or what it writes is no model.
    Like every export of graphsurgeon this fixes the graph's opset imports. An initializer that it repeats in the subgraphs that capture
    it is taken once. Exact: what is computed does not change.
    """
    import onnx_graphsurgeon as gs

    try:
        with _marked_empty_lists(graph):
            message = gs.export_onnx(graph)
    except Exception as error:  # besides its own kind graphsurgeon raises UnboundLocalError, ValueError, whatever protobuf raises
        raise ModelError(f"the graph {graph.name!r} cannot be exported by onnx-graphsurgeon: {error}") from error
    if before is not None and not hasattr(graph, "ir_version"):  # before 0.6
        message.ir_version = before.ir_version
    _empty_marked_lists(message)
    _state_ir_version(message)
    _drop_repeated(message.graph, {})
    if before is None:
        return load(message)
    said, _ = to_held(before)
    say_again(message, said)
    model = from_held(message, share_tensors(message.graph, before), f"the graph {graph.name!r}")
    come_from(model, before)
    return model


def to_graphsurgeon(model: Model) -> gs.Graph:
    """The `gs.Graph` of a model, through `gs.import_onnx`; the model and the graph share nothing afterwards.

    The weights are copied once, out of their file where they lie in one, and are `LazyValues`: no array is made before somebody reads
    `values`. What a `gs.Graph` cannot hold is listed at the top of this module.

    Raises ModelError for what would silently be computed otherwise, and for 2 GiB and more. Exact.
    """
    import onnx_graphsurgeon as gs

    message = to_proto(model)
    obstacle = next(_obstacles(message), None)
    if obstacle is not None:
        raise ModelError(f"onnx-graphsurgeon cannot hold {obstacle}; keep this model as a graphopt Model or as a ModelProto")
    _state_ir_version(message)
    try:
        return gs.import_onnx(message)
    except Exception as error:  # see above
        raise ModelError(f"the model {message.graph.name!r} cannot be imported by onnx-graphsurgeon: {error}") from error


@contextmanager
def _marked_empty_lists(graph: Any) -> Iterator[None]:  # Any: a gs.Graph or gs.Function, which have no types
    """Let attributes that are empty lists hold a mark as long as the graph is exported, as graphsurgeon cannot write them."""
    marked = []
    left = [graph, *graph.functions]
    while left:
        for node in left.pop().nodes:
            for name, value in node.attrs.items():
                if isinstance(value, (list, tuple)) and not value:
                    marked.append((node, name, value))
                elif is_surgeon_graph(value):
                    left.append(value)
    try:
        for node, name, _ in marked:
            node.attrs[name] = [_MARK]
        yield
    finally:
        for node, name, value in marked:
            node.attrs[name] = value


def _empty_marked_lists(message: onnx.ModelProto) -> None:
    versions = {entry.domain: entry.version for entry in message.opset_import}
    left = [*message.graph.node, *(node for function in message.functions for node in function.node)]
    while left:
        node = left.pop()
        for attribute in node.attribute:
            left += attribute.g.node
            if len(attribute.strings) == 1 and attribute.strings[0] == _MARK.encode():
                attribute.ClearField("strings")
                write_kind(attribute, _kind_of_list(node, attribute.name, versions.get(node.domain, 1)))


def _kind_of_list(node: onnx.NodeProto, name: str, version: int) -> AttributeKind:
    if onnx.defs.has(node.op_type, node.domain):
        declared = onnx.defs.get_schema(node.op_type, version, node.domain).attributes.get(name)
        if declared is not None:
            return AttributeKind[str(declared.type).rpartition(".")[2].lower()]
    return AttributeKind.ints


def _state_ir_version(message: onnx.ModelProto) -> None:
    """Initializers of graphsurgeon are no inputs, which a model before IR version 4 would have to repeat."""
    if message.graph.initializer and message.ir_version < INITIALIZERS_ARE_NO_INPUTS:
        message.ir_version = INITIALIZERS_ARE_NO_INPUTS


def _drop_repeated(graph: onnx.GraphProto, outer: Mapping[str, onnx.TensorProto]) -> None:
    """Take out of subgraphs the initializers that graphsurgeon repeats because a node there reads them."""
    for index in reversed(range(len(graph.initializer))):
        name = graph.initializer[index].name
        if name in outer and graph.initializer[index] == outer[name]:
            del graph.initializer[index]
    visible = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
    for attribute in _attributes(graph.node):
        if attribute.type == _Attribute.GRAPH:
            _drop_repeated(attribute.g, visible)


def _obstacles(message: onnx.ModelProto) -> Iterator[str]:
    """What graphsurgeon would leave out or misread without a word, so that the graph computes something else."""
    for function in message.functions:
        if function.overload:
            yield f"the overload {function.overload!r} of the function {function.domain}.{function.name}"
        yield from _unheld_attributes([*function.attribute_proto, *_attributes(function.node)])
    yield from _unheld(message.graph)


def _unheld(graph: onnx.GraphProto) -> Iterator[str]:
    for info in (*graph.input, *graph.output, *graph.value_info):
        kind = info.type.WhichOneof("value")
        if kind == "sequence_type" and info.type.sequence_type.elem_type.WhichOneof("value") != "tensor_type":
            yield f"the value {info.name!r}, a sequence of something else than tensors"
        elif kind in ("optional_type", "map_type", "opaque_type"):
            yield f"the value {info.name!r}, of the kind {kind}"
    yield from _unheld_attributes(_attributes(graph.node))


def _unheld_attributes(attributes: Iterable[onnx.AttributeProto]) -> Iterator[str]:
    for attribute in attributes:
        if attribute.type not in _HELD:
            yield f"the attribute {attribute.name!r} of kind {_Attribute.AttributeType.Name(attribute.type)}"
        elif attribute.type == _Attribute.GRAPH:
            yield from _unheld(attribute.g)


def _attributes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.AttributeProto]:
    for node in nodes:
        yield from node.attribute
