"""Cutting a model to some of its nodes: what these read of the others becomes an input, or a constant as it was in a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar, final

import numpy as np
import numpy.typing as npt
import onnx.inliner
from onnx import ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper

from graphopt.errors import GraphoptError
from graphopt.infer.model import infer_model
from graphopt.io.types import type_to_proto
from graphopt.io.walking import subgraphs
from graphopt.ir.dtype import DType
from graphopt.verify.messages import alive, captures, copied, drop_uncalled, drop_unread, types_of
from graphopt.verify.skeleton import Skeleton

Item = TypeVar("Item")
SHORT: Final = 64  # elements of a vector of integers that is kept as it was: a shape, axes, sizes of parts
STORED: Final = 1 << 20  # bytes of a value of unknown type that is kept as it was
_WHOLE: Final = frozenset({TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL})


def shrunk(items: Sequence[Item], attempt: Callable[[list[Item]], bool]) -> list[Item]:
    """As few of the items as possible with which an attempt succeeds: halves go, then quarters, and so on down to each.

    Takes about 2 log2(items) attempts for each item that must stay. The order stays.
    """
    left = list(items)
    size = (len(left) + 1) // 2
    while size and len(left) > 1:
        before, end = len(left), len(left)
        while end > 0:
            start = max(0, end - size)
            fewer = left[:start] + left[end:]
            if fewer and attempt(fewer):
                left = fewer
            end = start
        if size > 1:
            size = min(size, len(left)) // 2 or 1
        elif len(left) == before:
            break
    return left


def inlined(message: ModelProto) -> ModelProto | None:
    """The same without local functions; None when it has none."""
    made: ModelProto | None = onnx.inliner.inline_local_functions(message) if message.functions else None
    return made


def undocumented(message: ModelProto) -> ModelProto:
    """The same with nothing said about it: no documentation, no types of what lies between, no training."""
    model = copied(message)
    model.ClearField("doc_string")
    del model.metadata_props[:], model.training_info[:]
    for graph in (model.graph, *subgraphs(model.graph)):
        graph.ClearField("doc_string")
        del graph.value_info[:], graph.quantization_annotation[:]
        for node in graph.node:
            node.ClearField("doc_string")
            del node.metadata_props[:]
    return model


def sized(message: ModelProto, size: int) -> ModelProto | None:
    """The same with a number for each symbol of its inputs; None when there is none. What is declared of other values goes."""
    model, found = copied(message), False
    for port in model.graph.input:
        for dim in port.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value, found = size, True
    for port in model.graph.output:
        for dim in port.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.Clear()
    for graph in (model.graph, *subgraphs(model.graph)):
        del graph.value_info[:]
    return model if found else None


@final
class Cutting:
    """What is known of one model, of which many smaller ones are cut. `indices` are its nodes, `ports` the names of its outputs."""

    def __init__(self, skeleton: Skeleton, message: ModelProto) -> None:
        self.skeleton, self.message = skeleton, message
        graph = message.graph
        self.nodes = list(graph.node)
        self.indices = list(range(len(self.nodes)))
        self.ports = [port.name for port in graph.output]
        self.reads = [captures(node) for node in self.nodes]
        self.stored = {stored.name for stored in graph.initializer} | {sparse.values.name for sparse in graph.sparse_initializer}
        self.given = {port.name: port for port in graph.input}

    def needed(self, kept: Sequence[int], ports: Sequence[str]) -> list[int]:
        """Those of the nodes that some outputs depend on."""
        chosen = alive([self.nodes[index] for index in kept], ports)
        return [index for index, is_alive in zip(kept, chosen, strict=True) if is_alive]

    def model(self, kept: Sequence[int], ports: Sequence[str]) -> ModelProto | None:
        """The model of some nodes, with those of the outputs that they make. What nobody reads any more is an output too.

        None when something is missing of which neither type nor content is known.
        """
        kept = self.needed(kept, [*ports, *self._ends(kept)])
        made = {name for index in kept for name in self.nodes[index].output if name}
        read = {name: None for index in kept for name in sorted(self.reads[index])}
        ends = dict.fromkeys([name for name in ports if name in made] + self._ends(kept))
        if not ends:
            return None
        model = self._frame(read.keys() | ends.keys(), made)
        graph = model.graph
        graph.node.extend(self.nodes[index] for index in kept)
        for name in read:
            if name not in made and name not in self.stored and name not in self.given and not self._supply(graph, name):
                return None
        declared = {port.name: port for port in self.message.graph.output}
        for name in ends:
            port = graph.output.add(name=name)
            known = declared[name].type if name in declared else self.types.get(name)
            if known is not None:
                port.type.CopyFrom(known)
        drop_uncalled(model)
        return model

    def body(self, number: int) -> ModelProto | None:
        """The model that consists of one of the graphs inside the main graph alone; None when it reads what cannot be given to it."""
        inner, stored = self.bodies[number], self._stored_anywhere
        listed = {port.name for port in inner.input} | {each.name for each in inner.initializer}
        made = {name for node in inner.node for name in node.output}
        captured = set().union(*(captures(node) for node in inner.node)) - made - listed
        model = self._frame(captured, made)
        graph = model.graph
        graph.node.extend(inner.node)
        held = {each.name for each in graph.initializer}
        graph.initializer.extend([*inner.initializer, *(stored[name] for name in sorted((captured & stored.keys()) - held))])
        for name in [*(port.name for port in inner.input), *sorted(captured - stored.keys() - self.given.keys())]:
            if not self._supply(graph, name):
                return None
        for port in inner.output:
            if port.name not in made:
                return None
            graph.output.add(name=port.name).type.CopyFrom(self.types.get(port.name, port.type))
        drop_uncalled(model)
        return model

    def thinned(self, number: int, kept: Sequence[int]) -> ModelProto | None:
        """The model with some of the nodes of one of the graphs inside it; what the rest makes comes from inputs of the main graph."""
        model = copied(self.message)
        inner = list(subgraphs(model.graph))[number]
        nodes = [inner.node[index] for index in kept]
        made = {name for node in nodes for name in node.output}
        gone = {name for node in inner.node for name in node.output if name} - made
        lost = [port.name for port in inner.output if port.name in gone]  # a graph must make what it gives back
        nodes += [helper.make_node("Identity", [f"{name}/given"], [name]) for name in lost]
        wanted = alive(nodes, [port.name for port in inner.output])
        nodes = [node for node, is_wanted in zip(nodes, wanted, strict=True) if is_wanted]
        missing = {name: name for name in sorted(gone & set().union(*(captures(node) for node in nodes)))}
        missing |= {f"{name}/given": name for name in lost}
        fresh = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del inner.node[:]
        inner.node.extend(fresh)
        for new, name in missing.items():
            known = self.types.get(name)
            if known is None or not _is_complete(known):
                return None
            model.graph.input.add(name=new).type.CopyFrom(known)
        drop_unread(model)
        return model

    def _ends(self, kept: Sequence[int]) -> list[str]:
        """What the nodes make that none of them reads and others did."""
        read = set().union(*(self.reads[index] for index in kept))
        return [name for index in kept for name in self.nodes[index].output if name in self._read_anywhere and name not in read]

    @cached_property
    def bodies(self) -> list[onnx.GraphProto]:
        """The graphs inside the main graph, outer before inner."""
        return list(subgraphs(self.message.graph))

    @cached_property
    def _stored_anywhere(self) -> dict[str, TensorProto]:
        return {each.name: each for graph in (self.message.graph, *self.bodies) for each in graph.initializer}

    @cached_property
    def _read_anywhere(self) -> set[str]:
        return set().union(*self.reads)

    def _frame(self, names: set[str], made: set[str]) -> ModelProto:
        """The model without nodes and outputs, with the inputs, initializers and declarations of some names."""
        model, graph = ModelProto(), self.message.graph
        for part, content in self.message.ListFields():
            if part.name not in ("graph", "training_info"):
                _put(model, part.name, content)
        for part, content in graph.ListFields():
            if part.name in ("name", "doc_string", "metadata_props"):
                _put(model.graph, part.name, content)
        model.graph.input.extend(port for port in graph.input if port.name in names)
        model.graph.initializer.extend(stored for stored in graph.initializer if stored.name in names)
        model.graph.sparse_initializer.extend(sparse for sparse in graph.sparse_initializer if sparse.values.name in names)
        model.graph.value_info.extend(port for port in graph.value_info if port.name in made)
        model.graph.quantization_annotation.extend(each for each in graph.quantization_annotation if each.tensor_name in names)
        return model

    def _supply(self, graph: onnx.GraphProto, name: str) -> bool:
        """Give a graph what a node that is gone made; whether that is possible."""
        known = self.types.get(name)
        is_typed = known is not None and _is_complete(known)
        is_whole = known is not None and known.tensor_type.elem_type in _WHOLE and len(known.tensor_type.shape.dim) <= 1
        sample = self.samples.get(name) if is_whole or not is_typed else None
        if sample is not None and (sample.size <= SHORT if is_typed else sample.nbytes <= STORED):
            graph.initializer.append(numpy_helper.from_array(sample, name))
        elif known is not None and is_typed:
            graph.input.add(name=name).type.CopyFrom(known)
        else:
            return False
        return True

    @cached_property
    def types(self) -> dict[str, TypeProto]:
        """The types of the values of all graphs, as graphopt infers them, or onnx where graphopt does not read the model."""
        try:
            model = self.skeleton.model(self.message)
            infer_model(model)
        except GraphoptError:
            return types_of(self.message)
        graphs = list(model.graph.walk())
        values = [value for graph in graphs for value in (*graph.inputs, *(made for node in graph for made in node.outputs))]
        return {value.name: type_to_proto(value.type) for value in reversed(values) if value.type is not None}

    @cached_property
    def samples(self) -> dict[str, npt.NDArray[Any]]:
        """What short integers, and values of unknown type, were in one run of the model; nothing when it does not run."""
        from graphopt.verify.comparison import Options, Original

        model = copied(self.message)
        listed = {port.name for port in model.graph.output}
        wanted = [name for node in self.nodes for name in node.output if name in self._read_anywhere and name not in listed]
        for name in wanted:
            known = self.types.get(name)
            if known is None or not _is_complete(known):
                model.graph.output.add(name=name)
            elif known.tensor_type.elem_type in _WHOLE and len(known.tensor_type.shape.dim) <= 1:
                model.graph.output.add(name=name).type.CopyFrom(known)
        with tempfile.TemporaryDirectory(prefix="graphopt-reduce-") as folder:
            path = Path(folder) / "model.onnx"
            try:
                self.skeleton.write(model, path)
                cases = Original(path, Options(seeds=1, special=False)).cases
            except GraphoptError:
                return {}
        return {name: value for name, value in cases[0].expected.items() if isinstance(value, np.ndarray)} if cases else {}


def _put(message: Any, name: str, content: Any) -> None:  # Any: protobuf ships no types
    """Copy one field."""
    if hasattr(content, "extend"):
        getattr(message, name).extend(content)
    elif hasattr(content, "CopyFrom"):
        getattr(message, name).CopyFrom(content)
    else:
        setattr(message, name, content)


def _is_complete(type: TypeProto) -> bool:
    """Whether an input can be declared so: every element type is known, and of tensors the rank."""
    which = type.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(type, which)
        return bool(tensor.elem_type) and tensor.elem_type in set(map(int, DType)) and bool(tensor.HasField("shape"))
    if which in ("sequence_type", "optional_type"):
        return _is_complete(getattr(type, which).elem_type)
    return which == "map_type" and _is_complete(type.map_type.value_type)
