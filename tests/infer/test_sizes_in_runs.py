"""What is claimed of a node's outputs holds in every run that succeeds, for small and for empty sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from graphopt.infer import infer_node
from graphopt.infer.protos import to_node_proto
from graphopt.infer.shapes import minimum
from graphopt.ir import Dim, DType, Editor, Model, Node, Shape, Size, Tensor, TensorType, Value
from graphopt.schema.spelling import spell
from tests.runtimes import HAS_OLD_RUNTIME

N, M = Dim.symbol("N"), Dim.symbol("M")
MIN = minimum(N, 3)
SIZES: Final = (0, 1, 2, 5)
INT64_MAX: Final = 2**63 - 1
I64 = DType.int64


def f32(*shape: Size) -> Value:
    return Value("x", TensorType(DType.float32, shape))


def held(data: Any, dtype: DType | None = None) -> Value:
    tensor = Tensor.of(data, dtype)
    return Value("c", TensorType(tensor.dtype, tensor.shape), tensor=tensor)


def known(*elements: Size) -> Value:
    """A vector of which it is known what it holds."""
    value = Value("v", TensorType(I64, (len(elements),)))
    value.contents = elements
    return value


def scalar(element: Size) -> Value:
    value = Value("v", TensorType(I64, ()))
    value.contents = (element,)
    return value


def number(size: Size, n: int, m: int) -> int:
    assert size is not None
    return size if isinstance(size, int) else size.evaluate({"N": n, "M": m})


class Runs:
    """One node that runs in onnxruntime for all sizes that its inputs' symbols may have."""

    def __init__(self, node: Node) -> None:
        self.node = node
        message = to_node_proto(node)
        given = [
            helper.make_tensor_value_info(f"i{slot}", int(value.dtype or 0), _numbers(value.shape or ()))
            for slot, value in enumerate(node.inputs)
            if value is not None
        ]
        results = [onnx.ValueInfoProto(name=name) for name in message.output]
        model = helper.make_model(
            helper.make_graph([message], "g", given, results), opset_imports=[helper.make_opsetid("", node.opset or 0)], ir_version=8
        )
        model = onnx.shape_inference.infer_shapes(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __iter__(self) -> Iterator[tuple[int, int, list[tuple[int, ...]]]]:
        """(N, M, shapes of the outputs) of each run that succeeds."""
        for n in SIZES:
            for m in SIZES:
                results = self._results(self._feeds(n, m))
                if results is not None:
                    yield n, m, [result.shape for result in results]

    def _results(self, feeds: dict[str, Any]) -> list[Any] | None:
        try:
            return list(self.session.run(None, feeds))
        except Exception as error:  # onnxruntime raises a class of its own for each status
            if "onnxruntime" not in type(error).__module__:
                raise
            return None

    def _feeds(self, n: int, m: int) -> dict[str, Any]:
        return {f"i{slot}": _fed(value, n, m) for slot, value in enumerate(self.node.inputs) if value is not None}


def _numbers(shape: Shape) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def _fed(value: Value, n: int, m: int) -> Any:
    if value.const is not None:
        return value.const.numpy()
    shape = tuple(number(size, n, m) for size in value.shape or ())
    if value.contents is not None:
        return np.array([number(element, n, m) for element in value.contents], np.int64).reshape(shape)
    assert value.dtype is not None
    return np.zeros(shape, value.dtype.numpy)


def node_of(op: str, inputs: list[Value | None], attributes: dict[str, Any]) -> Node:
    graph = Model(opsets={"": attributes.pop("opset", 20)}).graph
    node = spell(op, inputs, attributes, graph, outputs=attributes.pop("outputs", 1))
    return Editor(graph.model).insert(node, graph)


def claimed(op: str, inputs: list[Value | None], attributes: dict[str, Any]) -> tuple[Node, tuple[Shape, ...]]:
    node = node_of(op, inputs, dict(attributes))
    shapes = tuple(type.shape for type in infer_node(node) if isinstance(type, TensorType) and type.shape is not None)
    assert len(shapes) == len(node.outputs)
    return node, shapes


def text(shape: Shape) -> str:
    return ", ".join("?" if size is None else str(size) for size in shape)


WINDOWS: list[Any] = [
    ("Conv", [f32(1, 1, N), f32(1, 1, 3)], {"strides": [2]}, "1, 1, (N + 1)//2 - 1"),
    ("Conv", [f32(1, 1, N), f32(1, 1, 3)], {"strides": [2], "pads": [1, 1]}, "1, 1, (N + 1)//2"),
    ("Conv", [f32(N, 1, M), f32(4, 1, 3)], {"strides": [2], "auto_pad": "SAME_UPPER"}, "N, 4, (M + 1)//2"),
    ("Conv", [f32(1, 1, N), f32(1, 1, M + 1)], {"opset": 11}, "1, 1, -M + N"),
    ("Conv", [f32(1, 1, N + 6), f32(1, 1, 4)], {"strides": [3], "dilations": [2]}, "1, 1, (N + 2)//3"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [2], "strides": [2]}, "1, 1, ?"),
    ("MaxPool", [f32(1, 1, N + 1)], {"kernel_shape": [2], "strides": [2], "pads": [1, 0]}, "1, 1, N//2 + 1"),
    ("MaxPool", [f32(N, M, 1)], {"kernel_shape": [2], "strides": [2]}, "N, M, ?"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "outputs": 2}, "1, 1, (N + 1)//2"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [5], "strides": [2]}, "1, 1, ?"),
    ("AveragePool", [f32(1, 1, N)], {"kernel_shape": [5]}, "1, 1, N - 4"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}, "1, 1, N//2"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [3], "strides": [2], "ceil_mode": 1, "pads": [1, 1]}, "1, 1, N//2 + 1"),
    ("MaxPool", [f32(1, 1, N)], {"kernel_shape": [2], "strides": [3], "ceil_mode": 1}, "1, 1, ?"),
    ("AveragePool", [f32(1, 1, N)], {"kernel_shape": [2], "strides": [2], "auto_pad": "SAME_LOWER"}, "1, 1, (N + 1)//2"),
    ("ConvTranspose", [f32(1, 1, N), f32(1, 1, 3)], {"strides": [2]}, "1, 1, 2*N + 1"),
    ("ConvTranspose", [f32(1, 1, N), f32(1, 1, 3)], {"strides": [2], "pads": [2, 2]}, "1, 1, 2*N - 3"),
    ("ConvTranspose", [f32(1, 1, N), f32(1, 2, 3)], {"strides": [2], "auto_pad": "SAME_UPPER"}, "1, 2, 2*N"),
    ("ConvTranspose", [f32(1, 1, N), f32(1, 1, 3)], {"strides": [2], "output_shape": [9]}, "1, 1, 9"),
    ("GlobalMaxPool", [f32(N, 3, M)], {}, "N, 3, 1"),
]

CUTS: list[Any] = [
    ("Slice", [f32(7), known(0), known(N)], {}, "min(7, N)"),
    ("Slice", [f32(N), known(0), known(M)], {}, "min(M, N)"),
    ("Slice", [f32(N), known(M), known(INT64_MAX)], {}, None),
    ("Slice", [f32(N), known(1), known(INT64_MAX)], {}, None),
    ("Slice", [f32(N), known(1), known(-1)], {}, None),
    ("Slice", [f32(N), known(-2), known(INT64_MAX)], {}, "min(2, N)"),
    ("Slice", [f32(N), known(-3), known(-1)], {}, None),
    ("Slice", [f32(N), known(-1 - M), known(INT64_MAX)], {}, None),
    ("Slice", [f32(N), known(0), known(INT64_MAX), known(0), known(2)], {}, "(N + 1)//2"),
    ("Slice", [f32(N), known(1), known(4), known(0), known(2)], {}, None),
    ("Slice", [f32(N), known(-1), known(-INT64_MAX), known(0), known(-1)], {}, "N"),
    ("Slice", [f32(N), known(-1), known(-INT64_MAX), known(0), known(-2)], {}, "(N + 1)//2"),
    ("Slice", [f32(N), known(M - N), known(INT64_MAX)], {}, "?"),
    ("Slice", [f32(N + M), known(N), known(N + M)], {}, "M"),
    ("Slice", [f32(5), known(-7), known(-INT64_MAX), known(0), known(-1)], {}, "?"),
    ("Slice", [f32(5), known(-2), known(INT64_MAX), known(0), known(-1)], {}, "?"),
    ("Slice", [f32(5), known(3), known(0), known(0), known(-2)], {}, "2"),
    ("Slice", [f32(5), known(9), known(-9), known(0), known(-2)], {}, "3"),
    ("Split", [f32(N)], {"opset": 11, "outputs": 2}, "N//2"),
    ("Split", [f32(N * 6)], {"num_outputs": 3, "outputs": 3}, "2*N"),
    ("Split", [f32(N)], {"num_outputs": 2, "outputs": 2}, "(N + 1)//2"),
    ("Split", [f32(N)], {"num_outputs": 3, "outputs": 3}, None),
    ("Split", [f32(N + M), known(N, M)], {"outputs": 2}, "N"),
    ("Pad", [f32(N), known(1, M)], {}, "M + N + 1"),
    ("Pad", [f32(N), known(-1, -1)], {}, "N - 2"),
    ("Concat", [f32(N, 3), f32(M, 3)], {"axis": 0}, "M + N, 3"),
    ("Concat", [f32(N, 2, 1), f32(3, M, 1)], {"axis": 2}, "?, ?, 2"),
    ("Concat", [f32(N, 2, 1), f32(3, 2, 1)], {"axis": 2}, "3, 2, 2"),
    ("DepthToSpace", [f32(N, M, 2, 3)], {"blocksize": 2}, "N, M//4, 4, 6"),
    ("SpaceToDepth", [f32(N, 1, M, 2)], {"blocksize": 2}, "N, 4, M//2, 1"),
]

OLD_RESIZE: Final = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "opset": 10}

MADE: list[Any] = [
    ("Range", [scalar(0), scalar(N), scalar(1)], {}, "N"),
    ("Range", [scalar(1), scalar(N), scalar(2)], {}, None),
    ("Range", [scalar(N), scalar(N + M), scalar(1)], {}, "M"),
    ("Range", [scalar(N), scalar(M), scalar(1)], {}, None),
    ("Range", [scalar(N), scalar(0), scalar(-1)], {}, "N"),
    ("Range", [scalar(N), scalar(-1), scalar(-2)], {}, None),
    ("Range", [held(0.0, DType.float32), held(2.5, DType.float32), held(0.5, DType.float32)], {}, "5"),
    ("ConstantOfShape", [known(N, M - 1)], {}, "N, M - 1"),
    ("Expand", [f32(1), known(N, M)], {}, "N, M"),
    ("Expand", [f32(N), known(M)], {}, "?"),
    ("Expand", [f32(3), known(N, 1)], {}, "N, 3"),
    ("Tile", [f32(N, 2), known(M, N)], {}, "M*N, 2*N"),
    ("OneHot", [Value("i", TensorType(I64, (N,))), scalar(M), held([0.0, 1.0], DType.float32)], {}, "N, M"),
    ("TopK", [f32(N, 4), known(M)], {"axis": 0, "outputs": 2}, "M, 4"),
    ("Flatten", [f32(N, M, 3)], {"axis": 1}, "N, 3*M"),
    ("Einsum", [f32(N, M), f32(M, 3)], {"equation": "ij,jk->ik"}, "N, 3"),
    ("Einsum", [f32(2, N, M), f32(2, M, 3)], {"equation": "...ij,...jk"}, "2, N, 3"),
    ("Einsum", [f32(N, M)], {"equation": "ba"}, "M, N"),
    ("Einsum", [f32(2, N, M)], {"equation": "...j->..."}, "2, N"),
    ("Einsum", [f32(N, N)], {"equation": "ii"}, ""),
    ("Resize", [f32(N, 1, M), None, held([1, 1, 3], DType.float32)], {"mode": "nearest"}, "N, 1, 3*M"),
    ("Resize", [f32(N, 1, M), None, held([1, 1, 0.5], DType.float32)], {"mode": "nearest"}, "N, 1, M//2"),
    ("Resize", [f32(1, 1, M), None, held([1, 1, 1 / 3], DType.float32)], {"mode": "nearest"}, "1, 1, ?"),
    ("Resize", [f32(1, 1, 9), None, held([1, 1, 1 / 3], DType.float32)], {"mode": "nearest"}, "1, 1, 3"),
    ("Resize", [f32(1, 1, M), None, None, known(1, 1, N)], {"mode": "nearest"}, "1, 1, N"),
    ("Resize", [f32(1, 1, M), None, held([2], DType.float32)], {"mode": "nearest", "axes": [2]}, "1, 1, 2*M"),
    ("Resize", [f32(1, 1, M), None, held([1, 1, 2], DType.float32)], OLD_RESIZE, "1, 1, 2*M"),
    ("Upsample", [f32(1, 1, M), held([1, 1, 2], DType.float32)], {"mode": "nearest", "opset": 9}, "1, 1, 2*M"),
    ("AffineGrid", [f32(N, 2, 3), known(N, 1, M, 5)], {}, "N, M, 5, 2"),
    ("CenterCropPad", [f32(5, N), known(M)], {"axes": [0]}, "M, N"),
    ("LayerNormalization", [f32(N, M, 4), f32(4)], {"outputs": 3, "opset": 17}, "N, M, 4"),
]

RESHAPES: list[Any] = [
    # the same size at the same place, or never 0
    ("Reshape", [f32(N, M, 4), known(N, M * 4)], {}, "N, 4*M"),
    ("Reshape", [f32(N, M), known(N * M, 1)], {}, "M*N, 1"),
    ("Reshape", [f32(N + 1, M), known(M, N + 1)], {}, "M, N + 1"),
    ("Reshape", [f32(N * 3), known(3, N)], {}, "3, N"),
    # 0 whenever the size at its place is
    ("Reshape", [f32(N, 3, M), known(N * 3, M)], {}, "3*N, ?"),
    ("Reshape", [f32(N * 12, M, 4), known(N, 12, M, 4)], {}, "N, 12, ?, 4"),
    ("Reshape", [f32(N, 12, M, 4), known(N * 12, M, 4)], {}, "12*N, ?, 4"),
    ("Reshape", [f32(N), known(MIN)], {}, "min(3, N)"),
    # where the run could not succeed
    ("Reshape", [f32(2, 12, N, 4), known(24, N, 4)], {}, "24, N, 4"),
    ("Reshape", [f32(5, N), known(N, 5)], {}, "N, 5"),
    ("Reshape", [f32(N, M), known(M, N)], {}, "?, ?"),
    ("Reshape", [f32(N, 3), known(M, 0)], {}, "N, 3"),
    # what is left
    ("Reshape", [f32(N, M, 4), known(-1, 4)], {}, "M*N, 4"),
    ("Reshape", [f32(N, M, 4), known(0, -1)], {}, "N, 4*M"),
    ("Reshape", [f32(N, M, 4), known(N, -1)], {}, "N, 4*M"),
    ("Reshape", [f32(N, M, 4), known(-1, M, 4)], {}, "N, M, 4"),
    ("Reshape", [f32(N, 12, M, 4), known(-1, M, 4)], {}, "?, ?, 4"),
    ("Reshape", [f32(N, 6), known(-1, 4)], {}, None),
    ("Reshape", [f32(N, M), known(M - 1, 2)], {}, "(M*N)//2, 2"),
    # with allowzero
    ("Reshape", [f32(N, M, 4), known(M, N, 4)], {"allowzero": 1}, "M, N, 4"),
    ("Reshape", [f32(N, M), known(N, -1)], {"allowzero": 1}, "N, ?"),
    ("Reshape", [f32(N, 3, 4), known(N, -1)], {"allowzero": 1}, "N, 12"),
    ("Reshape", [f32(N, M * 4), known(-1, 4)], {"allowzero": 1}, "M*N, 4"),
    ("Reshape", [f32(N, M * 2, 3), known(M * 2, -1)], {"allowzero": 1}, "2*M, ?"),
]


def test_pads_beside_padding_that_is_chosen() -> None:
    """Which the texts forbid: onnxruntime takes no such Conv and pools without these pads, onnx counts the windows with them."""
    both = {"auto_pad": "VALID", "pads": [0, 1]}
    assert text(claimed("Conv", [f32(N, 1, M), f32(4, 1, 3)], both)[1][0]) == "N, 4, ?"
    assert text(claimed("MaxPool", [f32(N, 1, 8)], {"kernel_shape": [3], **both})[1][0]) == "N, 1, ?"


CRASHING = {"ConvTranspose", "Einsum", "OneHot"}  # with sizes of 0, in older runtimes


@pytest.mark.parametrize(("op", "inputs", "attributes", "expected"), [*WINDOWS, *CUTS, *MADE, *RESHAPES])
def test_claims_hold_in_every_run(op: str, inputs: list[Value | None], attributes: dict[str, Any], expected: str | None) -> None:
    """`expected` is None where the claim is one of several forms of the same expression, but for being a claim."""
    node, shapes = claimed(op, inputs, attributes)
    if expected is None:
        assert None not in shapes[0]
    else:
        assert text(shapes[0]) == expected
    if HAS_OLD_RUNTIME and op in CRASHING:
        return  # the claim was made; no run can be asked
    runs = 0
    for n, m, actual in Runs(node):
        runs += 1
        for shape, real in zip(shapes, actual, strict=True):
            assert len(shape) == len(real)
            wrong = [axis for axis, size in enumerate(shape) if size is not None and number(size, n, m) != real[axis]]
            assert not wrong, f"N={n}, M={m}: claimed {text(shape)}, came out as {real}"
    assert runs >= 4
