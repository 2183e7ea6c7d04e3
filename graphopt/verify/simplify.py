"""The fine steps of reduction: each offers models that are a little simpler than a small one, the boldest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import onnx
import onnx.inliner
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from graphopt.io.walking import subgraphs
from graphopt.ir.tensor import Array
from graphopt.verify.messages import copied, keep, renamed, tidied, types_of
from graphopt.verify.skeleton import Skeleton

SMALL: Final = 1 << 16  # bytes up to which the contents of a tensor are tried to be simpler, and not only its shape
BIG: Final = 1 << 10  # bytes from which an initializer is tried as an input
Step: TypeAlias = "Callable[[ModelProto], Iterator[ModelProto]]"


def steps(skeleton: Skeleton) -> tuple[Step, ...]:
    """The fine steps for models made of a skeleton."""
    unstored = partial(_without_weights, skeleton=skeleton)
    sizes, constants = partial(_smaller, skeleton=skeleton), partial(_simpler_constants, skeleton=skeleton)
    return _flatter, _without_outputs, unstored, _without_nodes, _without_inner_nodes, _without_parts, sizes, constants


def _flatter(model: ModelProto) -> Iterator[ModelProto]:
    """Functions in the place of their calls; a branch in the place of its If."""
    if model.functions:
        yield tidied(onnx.inliner.inline_local_functions(model))
    for i, node in enumerate(model.graph.node):
        for attribute in node.attribute if node.op_type == "If" and not node.domain else ():
            if len(attribute.g.output) != len(node.output):
                continue  # an invalid model, or optional results at the end: nothing says what takes their place
            made = copied(model)
            before, after = list(made.graph.node)[:i], list(made.graph.node)[i + 1 :]
            del made.graph.node[:]
            made.graph.node.extend([*before, *attribute.g.node, *after])
            made.graph.initializer.extend(attribute.g.initializer)
            for port, name in zip(attribute.g.output, node.output, strict=True):
                renamed(made.graph, port.name, name)
            yield tidied(made)


def _without_outputs(model: ModelProto) -> Iterator[ModelProto]:
    for i in range(len(model.graph.output) if len(model.graph.output) > 1 else 0):
        made = copied(model)
        del made.graph.output[i]
        yield tidied(made)


def _without_nodes(model: ModelProto) -> Iterator[ModelProto]:
    """A node's results become inputs of the graph, or one of its operands takes the place of its result."""
    types = types_of(model)
    outputs = {port.name for port in model.graph.output}
    for i in reversed(range(len(model.graph.node))):
        node = model.graph.node[i]
        names = [name for name in node.output if name]
        if not outputs & set(names) and all(name in types and types[name].tensor_type.elem_type for name in names):
            made = copied(model)
            del made.graph.node[i]
            for name in names:
                made.graph.input.add(name=name).type.CopyFrom(types[name])
            yield tidied(made)
        for name in dict.fromkeys(node.input):
            if name and name in types and names and types.get(names[0]) == types[name]:
                made = copied(model)
                del made.graph.node[i]
                if names[0] in outputs:
                    if not any(name in other.output for other in made.graph.node) or name in outputs:
                        continue
                    renamed(made.graph, name, names[0])
                else:
                    renamed(made.graph, names[0], name)
                yield tidied(made)


def _without_inner_nodes(model: ModelProto) -> Iterator[ModelProto]:
    """In the graphs inside the main graph: one of a node's operands takes the place of its result."""
    for number, inner in enumerate(subgraphs(model.graph)):
        made_here = {name for node in inner.node for name in node.output}
        given_back = {port.name for port in inner.output}
        for i in reversed(range(len(inner.node))):
            result, *others = inner.node[i].output
            for name in dict.fromkeys(inner.node[i].input) if not any(others) else ():
                if not name or (result in given_back and (name not in made_here or name in given_back)):
                    continue
                made = copied(model)
                body = list(subgraphs(made.graph))[number]
                del body.node[i]
                renamed(body, *((name, result) if result in given_back else (result, name)))
                yield tidied(made)


def _without_weights(model: ModelProto, skeleton: Skeleton) -> Iterator[ModelProto]:
    """Big initializers become inputs: all, halves, each."""
    names = weights(model, skeleton)
    size = len(names)
    while size:
        for first in range(0, len(names), size):
            yield tidied(fed(model, names[first : first + size]))
        size //= 2


def weights(model: ModelProto, skeleton: Skeleton) -> list[str]:
    """The names of the big initializers."""
    return [stored.name for stored in model.graph.initializer if skeleton.nbytes(stored) >= BIG]


def fed(model: ModelProto, names: Collection[str]) -> ModelProto:
    """The same with some initializers as inputs."""
    made, wanted = copied(model), set(names)
    unlisted = wanted - {port.name for port in made.graph.input}
    for stored in made.graph.initializer:
        if stored.name in unlisted:
            made.graph.input.append(helper.make_tensor_value_info(stored.name, stored.data_type, stored.dims))
    keep(made.graph.initializer, lambda stored: stored.name not in wanted)
    return made


def _without_parts(model: ModelProto) -> Iterator[ModelProto]:
    """Attributes, optional inputs, listed but unread outputs, defaults of inputs, documentation and names."""
    for i, node in enumerate(model.graph.node):
        for k in range(len(node.attribute)):
            if node.attribute[k].type == AttributeProto.GRAPH:
                continue
            made = copied(model)
            del made.graph.node[i].attribute[k]
            yield tidied(made)
        for k in range(len(node.input)):
            if node.input[k]:
                made = copied(model)
                names = made.graph.node[i].input
                names[k] = ""
                while names and not names[-1]:
                    del names[-1]
                yield tidied(made)
    stored = {tensor.name for tensor in model.graph.initializer}
    for i, port in enumerate(model.graph.input):
        if port.name in stored:
            made = copied(model)
            del made.graph.input[i]
            yield tidied(made)


def _smaller(model: ModelProto, skeleton: Skeleton) -> Iterator[ModelProto]:
    """Dimensions of one size shrink together; then single ones. Symbols become numbers first."""
    places = list(_extents(model))
    symbols = {symbol for *_, symbol in places if symbol}
    for symbol in sorted(symbols):
        for size in (2, 1, 3):
            yield _resized(model, skeleton, {(name, axis): size for name, axis, _, held in places if held == symbol})
    sizes = sorted({size for _, _, size, _ in places if size > 1}, reverse=True)
    for size in sizes:
        for other in [1, 2] if size > 2 else [1]:
            yield _resized(model, skeleton, {(name, axis): other for name, axis, held, _ in places if held == size})
    for name, axis, size, _ in places:
        for other in ([1, 2] if size > 2 else [1]) if size > 1 else []:
            yield _resized(model, skeleton, {(name, axis): other})


def _extents(model: ModelProto) -> Iterator[tuple[str, int, int, str]]:
    """(name, axis, size, symbol) of every dimension of inputs and initializers; a size is 0 where it is free."""
    for port in model.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            yield port.name, axis, dim.dim_value, dim.dim_param or ("" if dim.HasField("dim_value") else f"{port.name}?{axis}")
    for stored in model.graph.initializer:
        for axis, size in enumerate(stored.dims):
            yield stored.name, axis, size, ""


def _resized(model: ModelProto, skeleton: Skeleton, wanted: dict[tuple[str, int], int]) -> ModelProto:
    made = copied(model)
    for port in made.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            if (port.name, axis) in wanted:
                dim.dim_value = wanted[port.name, axis]
    for stored in made.graph.initializer:
        cuts = {axis: wanted[stored.name, axis] for axis, size in enumerate(stored.dims) if wanted.get((stored.name, axis), size) < size}
        if cuts:
            array = skeleton.array(stored)[tuple(slice(cuts.get(axis)) for axis in range(len(stored.dims)))]
            stored.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), stored.name))
    return tidied(made)


def _simpler_constants(model: ModelProto, skeleton: Skeleton) -> Iterator[ModelProto]:
    for i, stored in enumerate(model.graph.initializer):
        for array in simpler(skeleton.array(stored)) if skeleton.nbytes(stored) <= SMALL else ():
            made = copied(model)
            replacement: TensorProto = numpy_helper.from_array(array, stored.name)
            made.graph.initializer[i].CopyFrom(replacement)
            yield made


def simpler(array: Array) -> Iterator[Array]:
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
