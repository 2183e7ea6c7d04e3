"""The types of single nodes: exact where shapes are known, symbolic where they are not, unknown where nothing is proved."""

from __future__ import annotations

from typing import Any

import pytest

from graphopt.infer import infer_node
from graphopt.infer.shapes import floor_divide, maximum
from graphopt.ir import Attribute, AttributeKind, Dim, DType, Editor, Graph, Model, Node, Tensor, TensorType, Value
from graphopt.schema import facts
from graphopt.schema.spelling import spell

N, M, C = Dim.symbol("N"), Dim.symbol("M"), Dim.symbol("C")
F32, I64 = DType.float32, DType.int64


def graph_at(opset: int = 17) -> Graph:
    return Model(opsets={"": opset}).graph


def f32(*shape: Any) -> Value:
    return Value("x", TensorType(F32, shape))


def held(data: Any, dtype: DType | None = None) -> Value:
    tensor = Tensor.of(data, dtype)
    return Value("c", TensorType(tensor.dtype, tensor.shape), tensor=tensor)


def shape_after(op: str, *inputs: Value | None, outputs: int = 1, opset: int = 20, **attributes: Any) -> Any:
    """The shape of the first output of a node."""
    graph = graph_at(opset)
    node = Editor(graph.model).insert(spell(op, inputs, attributes, graph, outputs=outputs), graph)
    types = infer_node(node)
    assert len(types) == len(node.outputs)
    return types[0].shape if isinstance(types[0], TensorType) else None


UNKNOWN_RANK = Value("x", TensorType(F32))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "shape"),
    [
        ("Add", [f32(N, 1), f32(1, M)], {}, (N, M)),
        ("Add", [f32(N), f32(M)], {}, (None,)),
        ("Add", [f32(None, 3), f32(None, 1)], {}, (None, 3)),
        ("Add", [f32(2), f32(3)], {}, None),
        ("Sum", [f32(N, 1), f32(3), f32(1)], {}, (N, 3)),
        ("Where", [Value("c", TensorType(DType.bool, (N, 1))), f32(3), f32()], {}, (N, 3)),
        ("MatMul", [f32(N, 2, 3), f32(3, 5)], {}, (N, 2, 5)),
        ("MatMul", [f32(3), f32(M, 3, 5)], {}, (M, 5)),
        ("MatMul", [f32(2, 3), f32(4, 5)], {}, None),
        ("Gemm", [f32(M, N), f32(5, M)], {"transA": 1, "transB": 1}, (N, 5)),
        ("Conv", [f32(N, 3, M, 8), f32(4, 3, 3, 3)], {"pads": [1, 1, 1, 1]}, (N, 4, M, 8)),
        ("Conv", [f32(N, 3, M * 2, 8), f32(4, 3, 3, 3)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}, (N, 4, M, 4)),
        ("Conv", [f32(N, 3, M, 8), f32(4, 3, 3, 3)], {"strides": [2, 2]}, (N, 4, floor_divide(M - 1, 2), 3)),
        ("Conv", [UNKNOWN_RANK, f32(4, 3, 3, 3)], {}, (None, 4, None, None)),
        ("ConvTranspose", [f32(N, 3, M, 8), f32(3, 4, 2, 2)], {"strides": [2, 2]}, (N, 4, M * 2, 16)),
        ("MaxPool", [f32(N, 3, M, 8)], {"kernel_shape": [2, 2], "strides": [1, 2]}, (N, 3, M - 1, 4)),
        ("MaxPool", [f32(1, 3, 7, 8)], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, (1, 3, 4, 4)),
        ("GlobalAveragePool", [f32(N, C, 5, None)], {}, (N, C, 1, 1)),
        ("Transpose", [f32(N, 2, M)], {}, (M, 2, N)),
        ("Transpose", [f32(N, 2, M)], {"perm": [0, 0, 1]}, None),
        ("Reshape", [f32(N, 3, 4), held([0, -1])], {}, (N, 12)),
        ("Reshape", [f32(N, 3, 4), held([-1, 6])], {}, (N * 2, 6)),
        ("Reshape", [f32(N, M), held([-1])], {}, (N * M,)),
        ("Reshape", [f32(2, 3), held([-1, 4])], {}, (None, 4)),
        ("Reshape", [f32(0, 3), held([3, 0])], {"allowzero": 1}, (3, 0)),
        ("Reshape", [f32(2, 3), Value("s", TensorType(I64, (3,)))], {}, (None, None, None)),
        ("Flatten", [f32(N, 3, 4)], {"axis": 1}, (N, 12)),
        ("Flatten", [f32(N, M, 4)], {"axis": -1}, (N * M, 4)),
        ("Squeeze", [f32(1, N, 1)], {}, None),
        ("Squeeze", [f32(1, 3, 1)], {}, (3,)),
        ("Squeeze", [f32(1, N, 1), held([-1])], {}, (1, N)),
        ("Unsqueeze", [f32(N), held([2, 0])], {}, (1, N, 1)),
        ("Concat", [f32(N, 2), f32(M, 2)], {"axis": 0}, (N + M, 2)),
        ("Concat", [f32(N, None), f32(3, 2)], {"axis": -2}, (N + 3, 2)),
        ("Split", [f32(N, 7)], {"axis": 1, "num_outputs": 3, "outputs": 3}, (N, 3)),
        ("Split", [f32(N * 2, 7)], {"num_outputs": 2, "outputs": 2}, (N, 7)),
        ("Split", [f32(N, 7), held([3, 4])], {"axis": 1, "outputs": 2}, (N, 3)),
        ("Slice", [f32(N, 8), held([1]), held([-1]), held([1])], {}, (N, 6)),
        ("Slice", [f32(N, 8), held([0]), held([2**63 - 1])], {}, (N, 8)),
        ("Slice", [f32(N + 2, 8), held([2]), held([2**63 - 1])], {}, (N, 8)),
        ("Slice", [f32(N, 8), held([2]), held([2**63 - 1])], {}, (maximum(N - 2, 0), 8)),
        ("Slice", [f32(5, 8), held([-1]), held([-(2**63)]), held([0]), held([-2])], {}, (3, 8)),
        ("Gather", [f32(N, 4), Value("i", TensorType(I64, (2, M)))], {"axis": 1}, (N, 2, M)),
        ("GatherND", [f32(N, 4, 5), Value("i", TensorType(I64, (M, 2)))], {}, (M, 5)),
        ("Expand", [f32(N, 1), held([1, 5])], {}, (N, 5)),
        ("Tile", [f32(N, 2), held([2, 3])], {}, (N * 2, 6)),
        ("Pad", [f32(N, 2), held([1, 0, 1, -1])], {}, (N + 2, 1)),
        ("Pad", [f32(N, 2), held([1, 1]), None, held([-1])], {}, (N, 4)),
        ("ReduceSum", [f32(N, 2, M), held([1])], {}, (N, 1, M)),
        ("ReduceSum", [f32(N, 2, M), held([-1])], {"keepdims": 0}, (N, 2)),
        ("ReduceSum", [f32(N, 2)], {"keepdims": 0}, ()),
        ("ReduceSum", [f32(N, 2)], {"noop_with_empty_axes": 1}, (N, 2)),
        ("ReduceMean", [f32(N, 2), Value("axes", TensorType(I64, (1,)))], {}, (None, None)),
        ("ArgMax", [f32(N, 2)], {"axis": -1, "keepdims": 0}, (N,)),
        ("TopK", [f32(N, 9), held([4])], {"outputs": 2}, (N, 4)),
        ("Shape", [f32(N, 2, 3)], {"start": 1}, (2,)),
        ("ConstantOfShape", [held([2, 3])], {}, (2, 3)),
        ("Range", [held(1), held(10), held(3)], {}, (3,)),
        ("NonZero", [f32(N, 2)], {}, (2, None)),
        ("OneHot", [Value("i", TensorType(I64, (N,))), held(5), f32(2)], {}, (N, 5)),
        ("Resize", [f32(1, 1, 4, 4), None, held([1.0, 1, 2, 2], F32)], {}, (1, 1, 8, 8)),
        ("Einsum", [f32(2, 3), f32(3, 4)], {"equation": "ij,jk->ik"}, (2, 4)),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_shape(op: str, inputs: list[Value | None], attributes: dict[str, Any], shape: Any) -> None:
    assert shape_after(op, *inputs, **attributes) == shape


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "dtype"),
    [
        ("Cast", [f32(2)], {"to": 10}, DType.float16),
        ("Equal", [f32(2), f32(2)], {}, DType.bool),
        ("QuantizeLinear", [f32(2), f32(), held(0, DType.int8)], {}, DType.int8),
        ("QuantizeLinear", [f32(2), f32()], {}, DType.uint8),
        ("DequantizeLinear", [Value("x"), f32()], {}, F32),
        ("CastLike", [f32(2), held(1)], {}, I64),
        ("Pow", [f32(2), held(2)], {}, F32),
        ("Add", [f32(2), held([1, 2])], {}, None),
        ("Relu", [Value("x")], {}, None),
    ],
)
def test_element_type(op: str, inputs: list[Value | None], attributes: dict[str, Any], dtype: DType | None) -> None:
    graph = graph_at()
    node = Editor(graph.model).insert(spell(op, inputs, attributes, graph), graph)
    (type,) = infer_node(node)
    assert (type.dtype if isinstance(type, TensorType) else None) == dtype


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18])
def test_old_spellings_are_read(opset: int) -> None:
    assert shape_after("Unsqueeze", f32(N), held([0]), opset=opset) == (1, N)
    assert shape_after("ReduceSum", f32(N, 2), held([1]), opset=opset, keepdims=0) == (N,)
    assert shape_after("Slice", f32(N, 8), held([1]), held([3]), held([1]), opset=opset) == (N, 2)
    assert shape_after("Pad", f32(N, 2), held([1, 0, 1, 0]), opset=opset) == (N + 2, 2)
    assert shape_after("TopK", f32(N, 9), held([4]), opset=opset, outputs=2, axis=1) == (N, 4)


@pytest.mark.parametrize(
    ("node", "opset"),
    [
        (Node("Relu"), 17),
        (Node("Conv", (f32(1, 2), None)), 17),
        (Node("Transpose", (f32(1, 2),), 1, {"perm": Attribute.of("nonsense")}), 17),
        (Node("Concat", (f32(1, 2),), 1, {"axis": Attribute.of(9)}), 17),
        (Node("Concat", (f32(1, 2),), 1, {"axis": Attribute(AttributeKind.int, None, reference="axis")}), 17),
        (Node("Slice", (f32(1, 2), held([1, 1, 1]), held([1]), held([7]))), 17),
        (Node("Conv", (f32(1, 1, 2, 2), f32(1, 1, 5, 5))), 17),
        (Node("Split", (f32(4),), 0), 17),
        (Node("Einsum", (f32(4),), 1, {"equation": Attribute.of("((")}), 17),
        (Node("Gelu", (f32(4),)), 17),
        (Node("Relu", (f32(4),)), facts.newest_opset() + 1),
        (Node("Gelu", (f32(4),), domain="com.microsoft"), 17),
    ],
    ids=lambda part: part.op if isinstance(part, Node) else str(part),
)
def test_malformed_and_unknown_nodes_have_unknown_types(node: Node, opset: int) -> None:
    graph = graph_at(opset)
    Editor(graph.model).insert(node, graph)
    assert not any(infer_node(node))


def test_a_node_in_no_graph_is_looked_at_where_it_shall_stand() -> None:
    node = Node("Relu", (f32(N),))
    assert infer_node(node) == (None,)
    assert infer_node(node, graph_at()) == (TensorType(F32, (N,)),)
    assert node.graph is None


def test_symbols_survive_onnx() -> None:
    """Operators without a rule of ours are asked of onnx, which knows nothing of expressions."""
    graph = graph_at()
    node = Editor(graph.model).insert(Node("Det", (f32(N + 1, 4, 4),)), graph)
    assert infer_node(node) == (TensorType(F32, (N + 1,)),)
