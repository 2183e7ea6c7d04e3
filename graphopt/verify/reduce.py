"""Making a failing model small: whatever is not needed for the failure goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnx.inliner
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, numpy_helper

from graphopt.ir.tensor import Array

BUDGET = 600  # models that are tried before the smallest so far is good enough


def reduce_model(model: ModelProto, fails: Callable[[ModelProto], bool], *, budget: int = BUDGET) -> ModelProto:
    """The smallest model found on which `fails` still holds; one greedy step after the other, until none helps.

    `fails` must be False for models that are invalid or cannot be judged, and must hold of `model` itself. Steps: outputs, nodes, inputs,
    attributes and functions go; a node's result becomes an input or one of its operands; dimensions shrink to 2 and 1, symbols
    become numbers; constants become 0, 1 or short numbers. The model given is not changed. Weights are held in memory: not for big models.
    """
    best, left = _copy(model), budget
    improved = True
    while improved and left > 0:
        improved = False
        for step in (_flatter, _without_outputs, _without_nodes, _without_parts, _smaller, _simpler_constants):
            kept = True
            while kept and left > 0:  # start a step again after each success: what it offers has changed
                kept = False
                for candidate in step(best):
                    left -= 1
                    if left < 0:
                        return best
                    if fails(candidate):
                        best, kept, improved = candidate, True, True
                        break
    return best


def reduce_feeds(feeds: dict[str, Array], fails: Callable[[dict[str, Array]], bool], *, budget: int = 200) -> dict[str, Array]:
    """The simplest numbers found on which `fails` still holds: zeros, ones, short numbers, array by array, then element by element."""
    best = dict(feeds)
    for name in feeds:
        for other in _simpler(best[name]):
            budget -= 1
            if budget < 0:
                return best
            if fails({**best, name: other}):
                best[name] = other
                break
    return best


def _copy(model: ModelProto) -> ModelProto:
    made = ModelProto()
    made.CopyFrom(model)
    return made


def _tidy(model: ModelProto) -> ModelProto:
    """Without what nobody reads any more, and with output types as inference finds them."""
    graph = model.graph
    while True:
        read = _read(graph)
        dead = [node for node in graph.node if not read & set(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    for stored in [stored for stored in graph.initializer if stored.name not in read]:
        graph.initializer.remove(stored)
    for port in [port for port in graph.input if port.name not in read]:
        graph.input.remove(port)
    called = {(node.domain, node.op_type) for node in _nodes(graph)}
    called |= {(node.domain, node.op_type) for function in model.functions for node in function.node}
    for function in [function for function in model.functions if (function.domain, function.name) not in called]:
        model.functions.remove(function)
    for inner in (graph, *_subgraphs(graph)):
        del inner.value_info[:]
        for port in inner.output if inner is not graph else ():
            port.ClearField("type")  # a subgraph need not say; what it said may no longer be so
    for port in graph.output:
        if port.type.HasField("tensor_type"):
            rank = len(port.type.tensor_type.shape.dim)
            port.type.tensor_type.ClearField("shape")
            types = _types(model)
            if port.name in types and types[port.name].tensor_type.HasField("shape"):
                port.type.CopyFrom(types[port.name])
            else:
                for _ in range(rank):
                    port.type.tensor_type.shape.dim.add()
    return model


def _read(graph: GraphProto) -> set[str]:
    return {name for node in _nodes(graph) for name in node.input if name} | {
        port.name for inner in (graph, *_subgraphs(graph)) for port in inner.output
    }


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for inner in (graph, *_subgraphs(graph)):
        yield from inner.node


def _subgraphs(graph: GraphProto) -> Iterator[GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield attribute.g
                yield from _subgraphs(attribute.g)


def _types(model: ModelProto) -> dict[str, TypeProto]:
    """The types of all values of the main graph, as far as inference goes."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        graph = model.graph  # not inferable as it is: what is declared has to do
    return {port.name: port.type for port in (*graph.input, *graph.value_info, *graph.output)}


def _flatter(model: ModelProto) -> Iterator[ModelProto]:
    """Functions in the place of their calls; a branch in the place of its If."""
    if model.functions:
        yield _tidy(onnx.inliner.inline_local_functions(model))
    for i, node in enumerate(model.graph.node):
        for attribute in node.attribute if node.op_type == "If" and not node.domain else ():
            made = _copy(model)
            before, after = list(made.graph.node)[:i], list(made.graph.node)[i + 1 :]
            del made.graph.node[:]
            made.graph.node.extend([*before, *attribute.g.node, *after])
            made.graph.initializer.extend(attribute.g.initializer)
            for port, name in zip(attribute.g.output, node.output, strict=True):
                _rename(made.graph, port.name, name)
            yield _tidy(made)


def _without_outputs(model: ModelProto) -> Iterator[ModelProto]:
    for i in range(len(model.graph.output) if len(model.graph.output) > 1 else 0):
        made = _copy(model)
        del made.graph.output[i]
        yield _tidy(made)


def _without_nodes(model: ModelProto) -> Iterator[ModelProto]:
    """A node's results become inputs of the graph, or one of its operands takes the place of its result."""
    types = _types(model)
    outputs = {port.name for port in model.graph.output}
    for i in reversed(range(len(model.graph.node))):
        node = model.graph.node[i]
        names = [name for name in node.output if name]
        if not outputs & set(names) and all(name in types and types[name].tensor_type.elem_type for name in names):
            made = _copy(model)
            del made.graph.node[i]
            for name in names:
                made.graph.input.add(name=name).type.CopyFrom(types[name])
            yield _tidy(made)
        for name in dict.fromkeys(node.input):
            if name and name in types and names and types.get(names[0]) == types[name]:
                made = _copy(model)
                del made.graph.node[i]
                if names[0] in outputs:
                    if not any(name in other.output for other in made.graph.node) or name in outputs:
                        continue
                    _rename(made.graph, name, names[0])
                else:
                    _rename(made.graph, names[0], name)
                yield _tidy(made)


def _rename(graph: GraphProto, old: str, new: str) -> None:
    for node in _nodes(graph):
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _without_parts(model: ModelProto) -> Iterator[ModelProto]:
    """Attributes, optional inputs, listed but unread outputs, defaults of inputs, documentation and names."""
    for i, node in enumerate(model.graph.node):
        for k in range(len(node.attribute)):
            if node.attribute[k].type == AttributeProto.GRAPH:
                continue
            made = _copy(model)
            del made.graph.node[i].attribute[k]
            yield _tidy(made)
        for k in range(len(node.input)):
            if node.input[k]:
                made = _copy(model)
                names = made.graph.node[i].input
                names[k] = ""
                while names and not names[-1]:
                    del names[-1]
                yield _tidy(made)
    stored = {tensor.name for tensor in model.graph.initializer}
    for i, port in enumerate(model.graph.input):
        if port.name in stored:
            made = _copy(model)
            del made.graph.input[i]
            yield _tidy(made)


def _smaller(model: ModelProto) -> Iterator[ModelProto]:
    """Dimensions of one size shrink together; then single ones. Symbols become numbers first."""
    places = list(_extents(model))
    symbols = {symbol for *_, symbol in places if symbol}
    for symbol in sorted(symbols):
        for size in (2, 1, 3):
            yield _resized(model, {(name, axis): size for name, axis, _, held in places if held == symbol})
    sizes = sorted({size for _, _, size, _ in places if size > 1}, reverse=True)
    for size in sizes:
        for other in [1, 2] if size > 2 else [1]:
            yield _resized(model, {(name, axis): other for name, axis, held, _ in places if held == size})
    for name, axis, size, _ in places:
        for other in ([1, 2] if size > 2 else [1]) if size > 1 else []:
            yield _resized(model, {(name, axis): other})


def _extents(model: ModelProto) -> Iterator[tuple[str, int, int, str]]:
    """(name, axis, size, symbol) of every dimension of inputs and initializers; a size is 0 where it is free."""
    for port in model.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            yield port.name, axis, dim.dim_value, dim.dim_param or ("" if dim.HasField("dim_value") else f"{port.name}?{axis}")
    for stored in model.graph.initializer:
        for axis, size in enumerate(stored.dims):
            yield stored.name, axis, size, ""


def _resized(model: ModelProto, wanted: dict[tuple[str, int], int]) -> ModelProto:
    made = _copy(model)
    for port in made.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            if (port.name, axis) in wanted:
                dim.dim_value = wanted[port.name, axis]
    for stored in made.graph.initializer:
        array = numpy_helper.to_array(stored)
        for axis in range(array.ndim):
            if (stored.name, axis) in wanted:
                array = np.take(array, range(min(wanted[stored.name, axis], array.shape[axis])), axis)
        if array.shape != tuple(stored.dims):
            stored.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), stored.name))
    return _tidy(made)


def _simpler_constants(model: ModelProto) -> Iterator[ModelProto]:
    for i, stored in enumerate(model.graph.initializer):
        for array in _simpler(numpy_helper.to_array(stored)):
            made = _copy(model)
            replacement: TensorProto = numpy_helper.from_array(array, stored.name)
            made.graph.initializer[i].CopyFrom(replacement)
            yield made


def _simpler(array: Array) -> Iterator[Array]:
    """Simpler contents of the same type and shape, the simplest first; nothing when it is as simple as that."""
    if array.dtype == object or not array.size:
        return
    whole = math.prod(array.shape)
    counting = (np.arange(whole) + 1).reshape(array.shape)
    with np.errstate(all="ignore"):
        wide = array.astype(np.int64) if array.dtype.kind in "biu" else array.astype(np.float64)
        for simpler in (np.zeros(array.shape), np.ones(array.shape), counting, np.round(wide), np.round(wide, 1)):
            other = np.asarray(simpler).astype(array.dtype)
            if np.array_equal(other, array) and array.tobytes() == other.tobytes():
                return
            yield other
