"""Whether a model is valid ONNX: the checker, strict inference, and element types, which neither of the two looks at."""

from __future__ import annotations

from functools import cache

import onnx
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto

from graphopt.ir.dtype import DType
from graphopt.schema import facts


class Invalid(Exception):
    """The model breaks the specification; the message says how."""


def check(model: ModelProto) -> ModelProto:
    """Check a model and return it with the types of all values that inference finds. Raises Invalid."""
    inferred = infer(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise Invalid(_first_line(error)) from error
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    local = {(function.domain, function.name) for function in model.functions}
    _check_graph(inferred.graph, {}, opsets, local)
    _check_kernels(inferred.graph)
    for function in model.functions:
        _check_versions(function)
    return inferred


def infer(model: ModelProto) -> ModelProto:
    """The model with all types that onnx infers. Raises Invalid."""
    _check_fatal(model.graph)
    for function in model.functions:
        _check_fatal(function)
    try:
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise Invalid(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]


def _check_fatal(graph: GraphProto | FunctionProto) -> None:
    """What ends the process inside onnx's inference or onnxruntime instead of being refused there."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "num_outputs" and attribute.i != len(node.output):
                raise Invalid(f"{node.op_type}: num_outputs is {attribute.i}, there are {len(node.output)} outputs")
            if attribute.HasField("g"):
                _check_fatal(attribute.g)


def _check_graph(
    graph: GraphProto, outer: dict[str, DType], opsets: dict[str, int], local: set[tuple[str, str]]
) -> None:
    types = dict(outer)
    for value in (*graph.input, *graph.value_info, *graph.output):
        dtype = _dtype(value.type)
        if dtype is not None:
            types[value.name] = dtype
    types |= {tensor.name: DType(tensor.data_type) for tensor in graph.initializer}
    for node in graph.node:
        if (node.domain, node.op_type) not in local:
            _check_node(node, types, opsets)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _check_graph(attribute.g, types, opsets, local)


def _check_node(node: NodeProto, types: dict[str, DType], opsets: dict[str, int]) -> None:
    """Each operand's element type must be one that this version of the operator takes, and type variables have one binding."""
    opset = opsets.get(node.domain)
    if opset is None:
        raise Invalid(f"{node.op_type}: the model does not import {node.domain or 'the default domain'}")
    known = facts.of(node.domain, node.op_type, opset)
    if known is None:
        if not node.domain:
            raise Invalid(f"{node.op_type} does not exist at opset {opset}")
        return
    bound: dict[str, DType] = {}
    for slot, name in enumerate(node.input):
        formal, dtype = known.input(slot), types.get(name)
        if formal is None or dtype is None or not name:
            continue
        if dtype not in _taken(formal.types):
            raise Invalid(f"{node.op_type} of opset {opset} takes no {dtype} for its input {formal.name!r}")
        if formal.is_homogeneous and bound.setdefault(formal.constraint, dtype) != dtype:
            raise Invalid(f"{node.op_type}: its inputs of type {formal.constraint} are {bound[formal.constraint]} and {dtype}")


def _check_kernels(graph: GraphProto) -> None:
    """A stated kernel_shape must be that of the weights: inference does not compare them, and the reference computes something."""
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes |= {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in graph.input}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
        stated = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), None)
        slot = 3 if node.op_type == "QLinearConv" else 1
        weights = None if node.domain or len(node.input) <= slot else shapes.get(node.input[slot])
        if stated is not None and weights is not None and weights[2:] != stated:
            raise Invalid(f"{node.op_type}: kernel_shape is {stated}, the weights are {weights}")


def _check_versions(function: FunctionProto) -> None:
    """Nothing is known of types inside a function; that its operators exist is."""
    opsets = {entry.domain: entry.version for entry in function.opset_import}
    for node in function.node:
        if not node.domain and facts.of("", node.op_type, opsets.get("", 1)) is None:
            raise Invalid(f"{node.op_type} does not exist at opset {opsets.get('')}")


@cache
def tensor_dtype(text: str) -> DType | None:
    """The element type of a type as schemas write it ("tensor(float)"); None for what is no tensor."""
    if not text.startswith("tensor("):
        return None
    name = text[7:-1]
    return DType.of({"float": "float32", "double": "float64"}.get(name, name))


@cache
def _taken(types: frozenset[str]) -> frozenset[DType]:
    return frozenset(dtype for text in types if (dtype := tensor_dtype(text)) is not None)


def _dtype(type_: TypeProto) -> DType | None:
    return DType(type_.tensor_type.elem_type) if type_.HasField("tensor_type") else None
