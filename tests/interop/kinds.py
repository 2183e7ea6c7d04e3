"""One small model for each kind of thing that a model may hold; each is valid, and most are a line or two."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnx.parser
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from graphopt.ir import DType

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'
IDENTITY = "g (float[3] x) => (float[3] y) { y = Identity(x) }"
CAPTURES = """g (bool c, float[3] x) => (float[3] y)
<float[3] both = {1, 2, 3}, float[3] below = {4, 5, 6}> {
    a = Add(x, both)
    y = If (c) <
        then_branch = t () => (float[3] r) { s = Add(a, both) r = Mul(s, below) },
        else_branch = e () => (float[3] q) { q = If (c) <
            then_branch = n () => (float[3] u) { u = Sub(x, both) },
            else_branch = m () => (float[3] v) <float[3] v = {7, 8, 9}> {}
        > }
    >
}"""
SEQUENCES = """g (float[2] a, float[N] b, seq(float[M]) s) => (float[K] y, int64 n, seq(float[L]) t) {
    made = SequenceConstruct(a, b)
    at = Constant<value_int = 1>()
    t = SequenceInsert(s, b, at)
    n = SequenceLength(t)
    y = ConcatFromSequence<axis = 0>(made)
}"""
OPTIONALS = "g (optional(float[3]) o) => (bool there) { there = OptionalHasElement(o) }"
LOOP = """g (int64 n, float[2] x) => (float[2] y, float[T, 2] all) <bool keep = {1}> {
    y, all = Loop(n, keep, x) <body = b (int64 i, bool k, float[2] u) => (bool k, float[2] v, float[2] w) { v = Add(u, u) w = Identity(v) }>
}"""


def parsed(text: str) -> ModelProto:
    """The model of a text without its header."""
    return onnx.parser.parse_model(HEADER + text)


def with_function(message: ModelProto, overload: str = "") -> ModelProto:
    """The same model with y = own.scaled<factor=2.>(x) for its body."""
    function = onnx.parser.parse_function(
        '<domain: "own", opset_import: ["" : 20]> scaled <factor, shift: float = 1.0> (x) => (y)'
        "{ f = Constant<value_float: float = @factor>() s = Constant<value_float: float = @shift>() m = Mul(x, f) y = Add(m, s) }"
    )
    if overload:
        function.overload = overload
    message.functions.append(function)
    message.opset_import.add(domain="own", version=1)
    del message.graph.node[:]
    message.graph.node.append(helper.make_node("scaled", ["x"], ["y"], domain="own", overload=overload or None, factor=2.0))
    return message


def with_attribute(message: ModelProto, kind: Any, **content: Any) -> ModelProto:  # Any: as many types as attributes have
    """The same model, its first node with one more attribute."""
    message.graph.node[0].attribute.append(AttributeProto(name="more", type=kind, **content))
    return message


def described() -> ModelProto:
    """Metadata, doc strings and denotations on everything that can have them."""
    message = parsed("g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, 2, 3}, float s = {0.5}> { a = Add(x, w) y = Relu(a) }")
    message.producer_name, message.producer_version, message.domain, message.model_version = "me", "1.2", "mine", 7
    graph = message.graph
    named = [graph.input[0], graph.output[0], graph.value_info.add(name="a")]
    described: list[Any] = [message, graph, *graph.node, *named, graph.initializer[0]]
    graph.value_info[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3]))
    for number, each in enumerate(described):
        each.doc_string = f"what {number} is for"
        for key in ("b", "a") if each is not graph.initializer[0] else ():
            each.metadata_props.add(key=key, value=f"{key} of {number}")
    graph.input[0].type.denotation = "IMAGE"
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    return message


def annotated() -> ModelProto:
    """Quantization annotations, of an input and of a value that a node makes."""
    message = parsed("g (float[3] x) => (float[3] y) <float s = {0.5}, uint8 z = {3}> { a = Relu(x) y = Neg(a) }")
    for name in ("x", "a"):
        annotation = message.graph.quantization_annotation.add(tensor_name=name)
        annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
        annotation.quant_parameter_tensor_names.add(key="ZERO_POINT_TENSOR", value="z")
    return message


def every_type(count: int, known: Collection[int] = tuple(DType)) -> ModelProto:
    """An initializer of each element type that is among the known, each of `count` elements and read by an Identity."""
    message = parsed("g () => () {}")
    message.ir_version = 13
    message.opset_import[0].version = 25
    for kind in DType:
        if kind is DType.undefined or int(kind) not in known or not hasattr(TensorProto, _name(kind)):
            continue
        if kind is DType.string:
            tensor = numpy_helper.from_array(np.array(["é", ""] * (count // 2), object))
        else:
            nbytes = (count * kind.bits + 7) // 8
            content = np.resize(np.array([1, 0], np.uint8), nbytes).tobytes()
            tensor = TensorProto(data_type=int(kind), dims=[count], raw_data=content)
        tensor.name = f"w_{kind.name}"
        message.graph.initializer.append(tensor)
        message.graph.node.append(helper.make_node("Identity", [tensor.name], [f"y_{kind.name}"]))
        message.graph.output.append(helper.make_tensor_value_info(f"y_{kind.name}", int(kind), [count]))
    return message


def _name(kind: DType) -> str:
    return next((name for name, number in TensorProto.DataType.items() if number == int(kind)), "(not in this onnx)")


def heavy() -> ModelProto:
    """Two tensors of several KiB, an initializer and a Constant's, and one in a branch."""
    draw = np.random.default_rng(0)
    message = parsed("""g (bool c, float[64] x) => (float[64] y) {
        k = Constant<value = float[1] {0}>()
        m = MatMul(x, w)
        a = Add(m, k)
        y = If (c) <
            then_branch = t () => (float[64] r) { r = Mul(a, b) },
            else_branch = e () => (float[64] q) { q = Neg(a) }
        >
    }""")
    message.graph.initializer.append(numpy_helper.from_array(draw.random((64, 64), np.float32), "w"))
    message.graph.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(draw.random((1024, 1), np.float32)))
    message.graph.node[0].attribute[0].t.dims[:] = [16, 64]
    branch = message.graph.node[3].attribute[0].g
    branch.initializer.append(numpy_helper.from_array(draw.random((8, 64), np.float32), "b"))
    for info in (message.graph.output[0], branch.output[0], message.graph.node[3].attribute[1].g.output[0]):
        info.type.tensor_type.shape.Clear()
    return message


def kinds() -> Iterator[tuple[str, ModelProto]]:
    """Every kind, by its name."""
    yield "function", with_function(parsed(IDENTITY))
    yield "overload", with_function(parsed(IDENTITY), "o")
    yield "captures", parsed(CAPTURES)
    yield "loop", parsed(LOOP)
    yield "sequences", parsed(SEQUENCES)
    yield "optionals", parsed(OPTIONALS)
    yield "metadata", described()
    yield "annotations", annotated()
    yield "element-types", every_type(4)
    yield "long-element-types", every_type(4096)
    yield "heavy", heavy()
    absent = "g (float[N,?] x) => (float[N,?] y, int64 k) <int64 k = {1}> { m = Constant<value_float=1.0>() y = Clip(x, , m) }"
    yield "absent-input", parsed(absent)
    strings = parsed("g (float[3] x) => (float[3] y) { y = own.Call(x) }")
    yield "unknown-domain", with_attribute(strings, AttributeProto.STRINGS, strings=[b"a", b""])
    empty = parsed("g (float[3] x) => (float[3] y, int64[0] n) { n = Constant() y = own.Call(x) }")
    empty.graph.node[0].attribute.add(name="value_ints", type=AttributeProto.INTS)
    empty.graph.node[1].attribute.add(name="more", type=AttributeProto.INTS)
    yield "empty-lists", empty
    yield "type-attribute", with_attribute(parsed(IDENTITY), AttributeProto.TYPE_PROTO, tp=helper.make_tensor_type_proto(1, ["N", 3]))
    yield "overridable", parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    old = parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    old.ir_version, old.opset_import[0].version = 3, 7
    yield "ir-3", old
